//go:build arm64 && !purego && !race

package kernel

import "golang.org/x/sys/cpu"

// availablePaths lists what this machine can run, slowest first.
func availablePaths() []path { return []path{portable, neon} }

// hasDot says whether the processor has SDOT.
var hasDot = cpu.ARM64.HasASIMDDP
