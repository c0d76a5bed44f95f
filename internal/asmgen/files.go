package asmgen

// Files returns every generated file.
func Files() []*File {
	return []*File{
		F32AVX2(),
		F32AVX512(),
	}
}
