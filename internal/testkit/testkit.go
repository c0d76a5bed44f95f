// Package testkit finds the fixtures (reference numbers, see README of the
// fixture folder) and runs a subtest for each.
package testkit

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"
)

// Root returns the folder of the module.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Dir returns the fixture folder and whether it is the full set: the folder
// that WENMO_FIXTURES names (relative to the module's root), else
// ../shared/fixtures, else the slim set in testdata/fixtures.
func Dir() (dir string, full bool) {
	if dir := os.Getenv("WENMO_FIXTURES"); dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(Root(), dir)
		}
		return dir, true
	}
	shared := filepath.Join(Shared(), "fixtures")
	if _, err := os.Stat(shared); err == nil {
		return shared, true
	}
	return filepath.Join(Root(), "testdata", "fixtures"), false
}

// Shared returns the folder beside the module that holds what tests may read
// but the project does not ship. It need not exist.
func Shared() string { return filepath.Join(filepath.Dir(Root()), "shared") }

// SharedFile returns a path below Shared. A test that needs it is skipped, and
// says so, where there is no such folder; where there is one, a missing file
// is a failure.
func SharedFile(t testing.TB, path ...string) string {
	t.Helper()
	if _, err := os.Stat(Shared()); err != nil {
		t.Skipf("needs %s, which is not part of the project", filepath.Join(path...))
	}
	file := filepath.Join(append([]string{Shared()}, path...)...)
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// Fixtures runs f as a subtest for every fixture whose name begins with one of
// prefixes and that scope.go does not leave out. A fixture is a folder, or all
// files of one stem (ops_rope.json and ops_rope.safetensors); f gets its path
// without extension. That the full set has none is a failure.
func Fixtures(t *testing.T, f func(t *testing.T, path string), prefixes ...string) {
	t.Helper()
	run(t, f, func(string) bool { return true }, prefixes)
}

// Folders is Fixtures for those that are folders and hold a file of that name.
func Folders(t *testing.T, file string, f func(t *testing.T, path string), prefixes ...string) {
	t.Helper()
	holds := func(path string) bool {
		_, err := os.Stat(filepath.Join(path, file))
		return err == nil
	}
	run(t, f, holds, prefixes)
}

func run(t *testing.T, f func(t *testing.T, path string), want func(path string) bool, prefixes []string) {
	t.Helper()
	dir, full := Dir()
	names := slices.DeleteFunc(fixtureNames(t, dir, prefixes), func(name string) bool { return !want(filepath.Join(dir, name)) })
	if len(names) == 0 {
		if full {
			t.Fatalf("%s has no fixture %s*", dir, strings.Join(prefixes, "*, "))
		}
		t.Skipf("the slim set in testdata/fixtures has no %s*; set WENMO_FIXTURES to the full one", strings.Join(prefixes, "*, "))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { f(t, filepath.Join(dir, name)) })
	}
}

func fixtureNames(t *testing.T, dir string, prefixes []string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() {
			name = strings.TrimSuffix(name, filepath.Ext(name))
		}
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) && !outOfScope(name) {
				seen[name] = true
			}
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
