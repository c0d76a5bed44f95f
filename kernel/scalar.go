package kernel

// ToBF16 rounds x to bfloat16, to nearest even; NaN stays NaN.
func ToBF16(x float32) uint16 { return toBF16(x) }

// FromBF16 widens a bfloat16.
func FromBF16(b uint16) float32 { return fromBF16(b) }

// FMA32 returns a·b + c, rounded once.
func FMA32(a, b, c float32) float32 { return fma32(a, b, c) }
