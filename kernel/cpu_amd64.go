//go:build amd64 && !purego && !race

package kernel

import "golang.org/x/sys/cpu"

// availablePaths lists what this machine can run, slowest first.
func availablePaths() []path {
	have := []path{portable}
	x := &cpu.X86
	if !x.HasAVX2 || !x.HasFMA || !x.HasF16C {
		return have
	}
	have = append(have, avx2)
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI && x.HasAVX512BF16 {
		have = append(have, avx512)
	}
	return have
}
