package asmgen

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

var generate = flag.Bool("generate", false, "rewrite the assembly of package kernel")

// TestFilesAreCurrent fails where a checked-in file is not what the generator
// writes.
func TestFilesAreCurrent(t *testing.T) {
	for _, f := range Files() {
		path := filepath.Join(testkit.Root(), f.Path)
		text := f.Text()
		if *generate {
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		old, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := firstDifference(string(old), text); diff != "" {
			t.Errorf("%s is stale (go test ./internal/asmgen -generate rewrites it):\n%s", f.Path, diff)
		}
	}
}

// TestNoStrayFiles fails where package kernel has generated assembly that the
// generator no longer writes.
func TestNoStrayFiles(t *testing.T) {
	known := map[string]bool{}
	for _, f := range Files() {
		known[f.Path] = true
	}
	found, err := filepath.Glob(filepath.Join(testkit.Root(), "kernel", "*.s"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if name := "kernel/" + filepath.Base(path); !known[name] {
			t.Errorf("%s is not a file that asmgen writes", name)
		}
	}
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(old, text string) string {
	a, b := strings.Split(old, "\n"), strings.Split(text, "\n")
	for i := range max(len(a), len(b)) {
		was, is := "(end of file)", "(end of file)"
		if i < len(a) {
			was = a[i]
		}
		if i < len(b) {
			is = b[i]
		}
		if was != is {
			return fmt.Sprintf("line %d:\n-%s\n+%s", i+1, was, is)
		}
	}
	return ""
}
