// Package archtest holds which package may import which, and fails on any
// other arrow.
package archtest

import (
	"flag"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

var update = flag.Bool("update", false, "draw the diagram anew")

// allowed lists, for each package, the packages of the house that its code may
// import; all may import internal/mmap, internal/progress and the like.
// "wenmo" is the root: the waist. Above it only the root, chat and tokenizer
// are seen.
var allowed = map[string][]string{
	"kernel":     {},
	"tokenizer":  {},
	"chat":       {},
	"hub":        {},
	"tensor":     {"kernel"},
	"nn":         {"tensor", "kernel"},
	"checkpoint": {"tensor", "kernel"},
	"model":      {"nn", "checkpoint", "tensor", "kernel"},
	"engine":     {"model", "nn", "tensor", "kernel"},
	"dataset":    {"tokenizer", "chat"},
	"report":     {},
	"train":      {"model", "nn", "tensor", "kernel", "dataset", "checkpoint", "tokenizer", "chat", "report"},
	"eval":       {"engine", "dataset", "report"},
	"wenmo":      {"train", "dataset", "report", "engine", "eval", "model", "nn", "tensor", "kernel", "checkpoint", "tokenizer", "chat", "hub"},
	"task":       {"wenmo", "chat", "tokenizer"},
	"embedded":   {"wenmo"},
	"bench":      {"wenmo", "train", "dataset", "engine", "model", "nn", "tensor", "kernel", "checkpoint", "tokenizer", "chat"},
	"explain":    {"wenmo", "task", "report", "tokenizer"},
	"cmd/wenmo":  {"wenmo", "embedded", "task", "bench", "explain", "chat", "dataset", "tokenizer"},

	"internal/terminalchat": {"wenmo", "chat"},
}

func TestImports(t *testing.T) {
	for pkg, imports := range houseImports(t) {
		may, known := allowed[pkg]
		if !known && !strings.HasPrefix(pkg, "internal/") && !strings.HasPrefix(pkg, "examples/") {
			t.Errorf("package %s is not in the list", pkg)
		}
		for _, imp := range imports {
			switch {
			case strings.HasPrefix(imp, "internal/"):
			case strings.HasPrefix(pkg, "internal/") && !known:
				t.Errorf("%s imports %s: internal packages import only internal ones", pkg, imp)
			case strings.HasPrefix(pkg, "examples/"):
				if imp != "wenmo" && imp != "chat" && imp != "tokenizer" {
					t.Errorf("%s imports %s: examples use the public API", pkg, imp)
				}
			case !slices.Contains(may, imp):
				t.Errorf("%s imports %s: that arrow is not in the list", pkg, imp)
			}
		}
	}
}

// TestDiagram compares the diagram in docs/architecture.md with the imports.
func TestDiagram(t *testing.T) {
	const begin, end = "<!-- imports -->\n", "<!-- /imports -->"
	file := filepath.Join(testkit.Root(), "docs", "architecture.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s…%s", file, begin, end)
	}
	want := before + begin + diagram(houseImports(t)) + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(data) {
		t.Errorf("the diagram in %s is not current; go test ./internal/archtest -update draws it", file)
	}
}

// diagram draws the imports between packages that are not internal, without
// the arrows that follow from others.
func diagram(imports map[string][]string) string {
	seen := map[string]bool{}
	for pkg, list := range imports {
		if strings.HasPrefix(pkg, "internal/") || strings.HasPrefix(pkg, "examples/") {
			continue
		}
		for _, imp := range list {
			if !strings.HasPrefix(imp, "internal/") && !reaches(imports, pkg, imp) {
				seen["    "+strings.ReplaceAll(pkg, "/", "_")+"["+pkg+"] --> "+imp] = true
			}
		}
	}
	lines := slices.Sorted(maps.Keys(seen))
	return "```mermaid\nflowchart TD\n" + strings.Join(lines, "\n") + "\n```\n"
}

// reaches says that from reaches to by way of another package.
func reaches(imports map[string][]string, from, to string) bool {
	var walk func(pkg string) bool
	walk = func(pkg string) bool {
		return slices.ContainsFunc(imports[pkg], func(next string) bool { return next == to || walk(next) })
	}
	return slices.ContainsFunc(imports[from], func(next string) bool { return next != to && walk(next) })
}

// houseImports returns the packages of the house that each of them imports
// outside of tests.
func houseImports(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	root := testkit.Root()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		if pkg == "." {
			pkg = "wenmo"
		}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if imp == "wenmo" {
				out[pkg] = append(out[pkg], imp)
			} else if rest, ok := strings.CutPrefix(imp, "wenmo/"); ok {
				out[pkg] = append(out[pkg], rest)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
