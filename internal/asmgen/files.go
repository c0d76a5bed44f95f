package asmgen

// Files returns every generated file.
func Files() []*File {
	return []*File{
		F32AVX2(),
		F32AVX512(),
		BF16AVX2(),
		BF16AVX512(),
		QuantAVX2(),
		QuantAVX512(),
		PackAVX2(),
		F32NEON(),
		BF16NEON(),
		QuantNEON(),
		Quantize(),
		VecAVX2(),
		VecAVX512(),
	}
}
