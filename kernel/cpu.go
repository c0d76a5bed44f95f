// Package kernel holds the loops that all time is spent in: products of rows
// with panels of weights, and what stands between products. Every function
// works on slices, on one thread, without allocating, and gives the same bits
// on every processor: portable Go is the definition, and assembly equals it
// bit for bit (any NaN counts as equal to any NaN).
//
// Weights lie in panels: sixteen outputs by k, so that one row of a panel
// fills one 64-byte register. See PackF32, PackBF16 and QPanels.
//
// The path (portable, avx2, avx512 or neon) is chosen once, when the package
// is loaded. WENMO_KERNEL demands one by name. The build tag purego, and the
// race detector, which cannot see into assembly, leave the portable path only.
package kernel

import (
	"fmt"
	"os"
	"strings"
)

// A path is an implementation of the kernels.
type path uint8

const (
	portable path = iota
	avx2          // AVX2, FMA and F16C
	avx512        // AVX-512 F, BW, DQ, VL, VNNI and BF16
	neon          // every arm64
)

var pathNames = [...]string{portable: "portable", avx2: "avx2", avx512: "avx512", neon: "neon"}

// active is the path in use; every dispatch reads it.
var active, pathErr = choosePath(os.Getenv("WENMO_KERNEL"))

func choosePath(name string) (path, error) {
	have := availablePaths()
	if name == "" {
		return have[len(have)-1], nil
	}
	for _, p := range have {
		if pathNames[p] == name {
			return p, nil
		}
	}
	for _, known := range pathNames {
		if known == name {
			return portable, fmt.Errorf("kernel: this processor or build has no path %q (available: %s)", name, strings.Join(Paths(), ", "))
		}
	}
	return portable, fmt.Errorf("kernel: unknown path %q (available: %s)", name, strings.Join(Paths(), ", "))
}

// Path returns the name of the path in use: "portable", "avx2", "avx512" or
// "neon".
func Path() string { return pathNames[active] }

// Paths returns the names of the paths that this machine and build can run,
// the portable one first and the fastest last.
func Paths() []string {
	var names []string
	for _, p := range availablePaths() {
		names = append(names, pathNames[p])
	}
	return names
}

// SetPath changes the path in use. It is meant for tests and benchmarks and
// must not be called while a kernel runs. An unknown or unavailable name is an
// error and changes nothing.
func SetPath(name string) error {
	if name == "" {
		return fmt.Errorf("kernel: no path named")
	}
	p, err := choosePath(name)
	if err != nil {
		return err
	}
	active = p
	return nil
}

// Err tells that WENMO_KERNEL names an unknown or unavailable path. The
// portable path runs meanwhile; a caller must report the error.
func Err() error { return pathErr }
