package kernel

import (
	"os"
	"testing"
)

// onEveryPath runs f as a subtest for each path of this machine.
func onEveryPath(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before := Path()
	defer SetPath(before)
	for _, name := range Paths() {
		if err := SetPath(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, f)
	}
}

// newQPanels allocates the panels of a quantised matrix.
func newQPanels(t QuantType, n, k int) QPanels {
	quants, scales := QPanelSizes(t, n, k)
	return QPanels{Type: t, N: n, K: k, Quants: make([]byte, quants), Scales: make([]byte, scales)}
}

// TestPathDemanded fails where WENMO_KERNEL names a path that does not run.
func TestPathDemanded(t *testing.T) {
	if Err() != nil {
		t.Fatal(Err())
	}
	if want := os.Getenv("WENMO_KERNEL"); want != "" && Path() != want {
		t.Fatalf("path %q runs, WENMO_KERNEL demands %q", Path(), want)
	}
}

func TestChoosePath(t *testing.T) {
	names := Paths()
	if names[0] != "portable" {
		t.Fatalf("paths %v do not begin with portable", names)
	}
	for _, name := range names {
		if p, err := choosePath(name); err != nil || pathNames[p] != name {
			t.Errorf("choosePath(%q) = %v, %v", name, pathNames[p], err)
		}
	}
	if p, err := choosePath(""); err != nil || pathNames[p] != names[len(names)-1] {
		t.Errorf("without a name: %v, %v; want the last of %v", pathNames[p], err, names)
	}
	before := Path()
	for _, bad := range []string{"avx3", "AVX2", " avx2", ""} {
		if err := SetPath(bad); err == nil || Path() != before {
			t.Errorf("SetPath(%q) = %v, path %s", bad, err, Path())
		}
	}
}
