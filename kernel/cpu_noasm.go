//go:build purego || race || !(amd64 || arm64)

package kernel

// availablePaths lists what this machine can run, slowest first.
func availablePaths() []path { return []path{portable} }
