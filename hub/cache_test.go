package hub

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"wenmo/internal/hubtest"
)

const commitA, commitB = "0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef"

// layOut writes a cache as another tool would: snapshot files are links to
// blobs, or plain files where "plain" says so.
func layOut(t *testing.T, dir, repo, commit string, refs []string, plain bool, files map[string]string) {
	t.Helper()
	write := func(p, text string) {
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, Name{Repo: repo}.folder())
	for _, ref := range refs {
		write(filepath.Join(root, "refs", filepath.FromSlash(ref)), commit)
	}
	for name, text := range files {
		link := filepath.Join(root, "snapshots", commit, filepath.FromSlash(name))
		if plain {
			write(link, text)
			continue
		}
		blob := filepath.Join(root, "blobs", strings.ReplaceAll(name, "/", "_")+"-"+text[:min(8, len(text))])
		write(blob, text)
		os.MkdirAll(filepath.Dir(link), 0o777)
		to, _ := filepath.Rel(filepath.Dir(link), blob)
		if err := os.Symlink(to, link); err != nil {
			t.Skip(err)
		}
	}
}

func TestFind(t *testing.T) {
	index := `{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`
	for _, test := range []struct {
		what  string
		name  string
		refs  []string
		files map[string]string
		want  string // "" not found, "." the directory
	}{
		{"single file", "org/x", []string{"main"}, map[string]string{"config.json": "{}", "model.safetensors": "w"}, "."},
		{"bare name", "gpt2", []string{"main"}, map[string]string{"config.json": "{}", "model.safetensors": "w"}, "."},
		{"by commit", "org/x@" + commitA, nil, map[string]string{"config.json": "{}", "model.safetensors": "w"}, "."},
		{"other revision", "org/x@v1", []string{"main"}, map[string]string{"config.json": "{}", "model.safetensors": "w"}, ""},
		{"pull request", "org/x@refs/pr/1", []string{"refs/pr/1"}, map[string]string{"config.json": "{}", "model.safetensors": "w"}, "."},
		{"shards", "org/x", []string{"main"}, map[string]string{"config.json": "{}", "model.safetensors.index.json": index,
			"model-00001-of-00002.safetensors": "1", "model-00002-of-00002.safetensors": "2"}, "."},
		{"a shard is missing", "org/x", []string{"main"}, map[string]string{"config.json": "{}", "model.safetensors.index.json": index,
			"model-00001-of-00002.safetensors": "1"}, ""},
		{"broken index", "org/x", []string{"main"}, map[string]string{"config.json": "{}", "model.safetensors.index.json": "{",
			"model-00001-of-00002.safetensors": "1"}, ""},
		{"empty index", "org/x", []string{"main"}, map[string]string{"config.json": "{}", "model.safetensors.index.json": "{}"}, ""},
		{"config alone", "org/x", []string{"main"}, map[string]string{"config.json": "{}", "tokenizer.json": "{}"}, ""},
		{"tokenizer alone", "org/x", []string{"main"}, map[string]string{"tokenizer.json": "{}"}, "."},
		{"pickle", "org/x", []string{"main"}, map[string]string{"config.json": "{}", "pytorch_model.bin": "w"}, ""},
		{"one GGUF", "org/x", []string{"main"}, map[string]string{"x-q4_0.gguf": "w"}, "x-q4_0.gguf"},
		{"GGUF by type", "org/x:q8_0", []string{"main"}, map[string]string{"x-Q4_0.gguf": "w", "x-Q8_0.gguf": "v"}, "x-Q8_0.gguf"},
		{"GGUF shards", "org/x:Q8_0", []string{"main"}, map[string]string{"Q8_0/x-Q8_0-00001-of-00002.gguf": "w",
			"Q8_0/x-Q8_0-00002-of-00002.gguf": "v"}, "Q8_0/x-Q8_0-00001-of-00002.gguf"},
		{"GGUF shard missing", "org/x:Q8_0", []string{"main"}, map[string]string{"Q8_0/x-Q8_0-00001-of-00002.gguf": "w"}, ""},
		{"nothing", "org/x", []string{"main"}, nil, ""},
		{"broken ref", "org/x@../main", nil, nil, "error"},
	} {
		for _, plain := range []bool{false, true} {
			dir := t.TempDir()
			repo, _, _ := strings.Cut(test.name, ":")
			repo, _, _ = strings.Cut(repo, "@")
			layOut(t, dir, repo, commitA, test.refs, plain, test.files)
			c := &Client{CacheDir: dir}
			got, ok, err := c.Find(test.name)
			if test.want == "error" {
				if err == nil {
					t.Errorf("%s: no error", test.what)
				}
				continue
			}
			if err != nil || ok != (test.want != "") {
				t.Errorf("%s: Find gives %q, %v, %v", test.what, got, ok, err)
				continue
			}
			want := filepath.Join(dir, Name{Repo: repo}.folder(), "snapshots", commitA, filepath.FromSlash(test.want))
			if ok && got != want {
				t.Errorf("%s: it is %s, want %s", test.what, got, want)
			}
		}
	}
}

// What another tool left, whole or in part, is used and not downloaded again.
func TestPullAfterOtherTools(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	c := client(t, s)
	// A cache without links: plain files, no blobs.
	layOut(t, c.CacheDir, "org/name", s.Commit("org/name"), []string{"main"}, true,
		map[string]string{"model.safetensors": files["model.safetensors"], "config.json": files["config.json"]})
	dir := mustPull(t, c, "org/name")
	wantFiles(t, c, dir, files, wanted)
	for _, r := range s.Requests() {
		if isCDN(s, r) || strings.HasSuffix(r.URL.Path, "config.json") && !strings.HasSuffix(r.URL.Path, "_config.json") {
			t.Errorf("%s was asked for", r.URL)
		}
	}
	// A link whose blob is gone, and a blob cut short by a full disk.
	os.Remove(filepath.Join(dir, "config.json"))
	os.Symlink("../../blobs/gone", filepath.Join(dir, "config.json"))
	blob, err := filepath.EvalSymlinks(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	os.Truncate(blob, 3)
	wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)
}

// Where there are no links, a snapshot holds copies.
func TestStoreCopy(t *testing.T) {
	c := &Client{CacheDir: t.TempDir()}
	s, err := c.openStore(Name{Repo: "org/x"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	f := file{path: "a/b.txt", size: 4, sum: strings.Repeat("a", 40)}
	part, _, err := s.partial(f)
	if err != nil {
		t.Fatal(err)
	}
	part.WriteString("text")
	if err := s.finish(part, f); err != nil {
		t.Fatal(err)
	}
	s.root.MkdirAll("snapshots/"+commitA+"/a", 0o777)
	name := linkPath(commitA, f)
	if err := s.replace(name, func(tmp string) error { return s.copy(blobPath(f), tmp) }); err != nil {
		t.Fatal(err)
	}
	if err := s.link(commitA, f); err != nil {
		t.Fatal(err)
	}
	if data, err := s.root.ReadFile(name); err != nil || string(data) != "text" || !s.isFile(name, 4) {
		t.Errorf("the copy is %q, %v", data, err)
	}
}

func TestListAndRemove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &Client{CacheDir: filepath.Join(dir, "none")}
	if entries, err := c.List(); entries != nil || err != nil {
		t.Errorf("without a cache, List gives %v, %v", entries, err)
	}
	c.CacheDir = dir
	model := map[string]string{"config.json": "{}", "model.safetensors": "weights"}
	layOut(t, dir, "org/x", commitA, []string{"main", "v1.0"}, false, model)
	layOut(t, dir, "org/x", commitB, []string{"refs/pr/1"}, false, map[string]string{"config.json": "{}", "model.safetensors": "other weights"})
	layOut(t, dir, "gpt2", commitA, []string{"main"}, false, map[string]string{"config.json": "{}"})
	layOut(t, dir, "quants", commitA, []string{"main"}, false, map[string]string{"a-Q2_K.gguf": "12345", "a-Q3_K.gguf": "12"})
	os.MkdirAll(filepath.Join(dir, "datasets--org--x"), 0o777)
	os.MkdirAll(filepath.Join(dir, "models--a--b--c"), 0o777)
	os.WriteFile(filepath.Join(dir, "version.txt"), []byte("1"), 0o666)
	old := time.Now().Add(-time.Hour)
	for _, f := range []string{"config.json", "model.safetensors"} {
		blob, _ := filepath.EvalSymlinks(filepath.Join(dir, "models--org--x", "snapshots", commitA, f))
		os.Chtimes(blob, old, old)
	}
	entries, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		name, commit string
		refs         []string
		size         int64
		files        int
		whole        bool
	}
	var got []row
	for _, e := range entries {
		if e.Modified.IsZero() {
			t.Errorf("%s has no time", e.Name)
		}
		got = append(got, row{e.Name, e.Commit, e.Revisions, e.Size, e.Files, e.Whole})
	}
	want := []row{
		{"gpt2", commitA, []string{"main"}, 2, 1, false},
		{"org/x", commitB, []string{"refs/pr/1"}, 15, 2, true},
		{"org/x", commitA, []string{"main", "v1.0"}, 9, 2, true},
		{"quants", commitA, []string{"main"}, 7, 2, true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("List gives\n%v, want\n%v", got, want)
	}

	for _, name := range []string{"org/y", "org/x@nosuch", "org/x@" + strings.Repeat("a", 40)} {
		if err := c.Remove(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Remove(%s) gives %v", name, err)
		}
	}
	for _, name := range []string{"../..", "", "org/x:Q4_0", "a/b/c", "."} {
		if err := c.Remove(name); err == nil {
			t.Errorf("Remove(%q) succeeds", name)
		}
	}
	if err := c.Remove("org/x@v1.0"); err != nil {
		t.Fatal(err)
	}
	blobs, _ := filepath.Glob(filepath.Join(dir, "models--org--x", "blobs", "*"))
	if len(blobs) != 2 { // config.json is in both
		t.Errorf("%v are left", blobs)
	}
	if _, ok, _ := c.Find("org/x@refs/pr/1"); !ok {
		t.Error("the other revision is not whole any more")
	}
	if _, ok, _ := c.Find("org/x"); ok {
		t.Error("the removed revision is still found")
	}
	for _, name := range []string{"org/x", "gpt2", "quants"} {
		if err := c.Remove(name); err != nil {
			t.Error(err)
		}
	}
	if entries, err := c.List(); len(entries) != 0 || err != nil {
		t.Errorf("after removing all, List gives %v, %v", entries, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "datasets--org--x")); err != nil {
		t.Error("a data set was removed, too")
	}
}

// One repository that cannot be read does not hide the others.
func TestListBroken(t *testing.T) {
	dir := t.TempDir()
	layOut(t, dir, "org/good", commitA, []string{"main"}, true, map[string]string{"config.json": "{}", "model.safetensors": "w"})
	layOut(t, dir, "org/bad", commitA, []string{"main"}, true, nil)
	if err := os.WriteFile(filepath.Join(dir, "models--org--bad", "snapshots"), nil, 0o666); err != nil { // no folder
		t.Fatal(err)
	}
	c := &Client{CacheDir: dir}
	list, err := c.List()
	if len(list) != 1 || list[0].Name != "org/good" || err == nil || !strings.Contains(err.Error(), "models--org--bad") {
		t.Errorf("%+v, %v, want org/good and what is wrong with the other", list, err)
	}
}

// A lock file that nobody holds, left by a process that ended, locks nobody
// out; one that is held does until its holder lets go.
func TestLocks(t *testing.T) {
	c := &Client{CacheDir: t.TempDir()}
	s, err := c.openStore(Name{Repo: "org/x"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	os.MkdirAll(s.locks, 0o777)
	os.WriteFile(filepath.Join(s.locks, "abc.lock"), nil, 0o666)
	unlock, err := s.lock(context.Background(), "abc", func(string) { t.Error("it waits") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	waits := false
	if _, err := s.lock(ctx, "abc", func(string) { waits = true; cancel() }); !errors.Is(err, context.Canceled) || !waits {
		t.Errorf("a held lock gives %v (waited: %v)", err, waits)
	}
	if err := c.Remove("org/x"); err == nil || !strings.Contains(err.Error(), "abc.lock") {
		t.Errorf("Remove under a download gives %v", err)
	}
	time.AfterFunc(50*time.Millisecond, unlock)
	again, err := s.lock(context.Background(), "abc", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	again()
	if err := c.Remove("org/x"); err != nil {
		t.Errorf("Remove gives %v", err)
	}
}

func TestPullGGUF(t *testing.T) {
	s := hubtest.Serve(t, map[string]string{
		"org/quants": writeFiles(t, map[string]string{"README.md": "r", "x-Q4_K_M.gguf": "4", "x-Q8_0.gguf": "8",
			"mmproj-x-f16.gguf": "p", "big/x-F16-00001-of-00002.gguf": "1", "big/x-F16-00002-of-00002.gguf": "2"}),
		"org/both": writeFiles(t, map[string]string{"config.json": "{}", "model.safetensors": "s", "x-Q4_K_M.gguf": "4"}),
		"org/bin":  writeFiles(t, map[string]string{"config.json": "{}", "pytorch_model.bin": "b"}),
		"org/few":  writeFiles(t, map[string]string{"a-Q5_0.gguf": "5", "a-Q6_K.gguf": "6"}),
		"org/sub":  writeFiles(t, map[string]string{"config.json": "{}", "model.safetensors.index.json": `{"weight_map":{"a":"w/1.safetensors","b":"w/2.safetensors"}}`, "w/1.safetensors": "1", "w/2.safetensors": "2", "w/3.safetensors": "3"}),
		"org/lack": writeFiles(t, map[string]string{"config.json": "{}", "model.safetensors.index.json": `{"weight_map":{"a.weight":"../x.safetensors"}}`}),
	})
	c := client(t, s)
	for name, want := range map[string]string{
		"org/quants": "x-Q4_K_M.gguf", "org/quants:q8_0": "x-Q8_0.gguf", "org/quants:F16": "big/x-F16-00001-of-00002.gguf",
		"org/both": "", "org/both:Q4_K_M": "x-Q4_K_M.gguf", "org/few:a-Q6_K.gguf": "a-Q6_K.gguf", "org/sub": "",
	} {
		got := mustPull(t, c, name)
		repo, _, _ := strings.Cut(name, ":")
		dir := filepath.Join(c.CacheDir, Name{Repo: repo}.folder(), "snapshots", s.Commit(repo))
		if got != filepath.Join(dir, filepath.FromSlash(want)) {
			t.Errorf("%s is %s, want %q", name, got, want)
		}
		if found, ok, err := c.Find(name); found != got || !ok || err != nil {
			t.Errorf("Find(%s) gives %s, %v, %v", name, found, ok, err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(c.CacheDir, "models--org--quants", "snapshots", "*", "mmproj*"))
	if len(left) > 0 {
		t.Errorf("%v was downloaded", left)
	}
	c = client(t, s)
	wantError(t, c, "org/bin", nil, "pytorch_model.bin", "safetensors", "@refs/pr/1")
	wantError(t, c, "org/few", nil, "a-Q5_0, a-Q6_K", ":Q4_K_M")
	wantError(t, c, "org/few:Q2_K", nil, "a-Q5_0, a-Q6_K")
	wantError(t, c, "org/bin:Q2_K", nil, "no GGUF")
	wantError(t, c, "org/lack", nil, "model.safetensors.index.json", "a.weight", "../x.safetensors")
}
