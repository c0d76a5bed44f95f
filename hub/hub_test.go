package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wenmo/internal/hubtest"
)

// modelFiles are a model as repositories have them, with things beside it that
// nobody needs.
func modelFiles(weights int) map[string]string {
	return map[string]string{
		"config.json":            `{"model_type":"gpt2"}`,
		"generation_config.json": "{}",
		"tokenizer.json":         `{"version":"1.0"}`,
		"vocab.json":             "{}",
		"merges.txt":             "",
		"README.md":              "# 模型\n",
		"model.safetensors":      noise(weights),
		"pytorch_model.bin":      noise(100),
		"onnx/model.onnx":        noise(50),
		"tf_model.h5":            "h5",
		"training_args.json":     "{}",
	}
}

// wanted are those of modelFiles that a pull brings.
var wanted = []string{"config.json", "generation_config.json", "tokenizer.json", "vocab.json", "merges.txt", "README.md", "model.safetensors"}

func noise(n int) string {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	rng.Read(b)
	return string(b)
}

func writeFiles(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func serve(t testing.TB, files map[string]string) *hubtest.Server {
	return hubtest.Serve(t, map[string]string{"org/name": writeFiles(t, files)})
}

func client(t testing.TB, s *hubtest.Server) *Client {
	return &Client{Endpoint: s.URL, CacheDir: t.TempDir(), backoff: time.Millisecond, stall: 10 * time.Second}
}

// wantFiles checks that the snapshot holds exactly these files, and nothing
// passing is left in the cache.
func wantFiles(t *testing.T, c *Client, dir string, files map[string]string, names []string) {
	t.Helper()
	got, err := snapshotFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(names) {
		t.Errorf("the snapshot has %v, want %v", pathsOf(got), names)
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil || string(data) != files[name] {
			t.Errorf("%s: %d bytes (%v), want %d others", name, len(data), err, len(files[name]))
		}
	}
	filepath.WalkDir(c.CacheDir, func(p string, _ os.DirEntry, _ error) error {
		if strings.HasSuffix(p, ".incomplete") || strings.HasSuffix(p, ".tmp") {
			t.Errorf("%s is left behind", p)
		}
		return nil
	})
}

func mustPull(t *testing.T, c *Client, name string) string {
	t.Helper()
	dir, err := c.Pull(context.Background(), name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantError checks that a pull fails with an error that says these things.
func wantError(t *testing.T, c *Client, name string, is error, says ...string) {
	t.Helper()
	_, err := c.Pull(context.Background(), name, Options{})
	if err == nil {
		t.Fatalf("pull %s succeeded, want an error with %q", name, says)
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("error %q is not %q", err, is)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
	if _, ok, err := c.Find(name); ok || err != nil {
		t.Errorf("after the failed pull, Find says %v, %v", ok, err)
	}
}

func isCDN(s *hubtest.Server, r *http.Request) bool { return "http://"+r.Host == s.CDN }

func TestPull(t *testing.T) {
	files := modelFiles(3 << 20)
	s := serve(t, files)
	c := client(t, s)
	var last Progress
	dir, err := c.Pull(context.Background(), "org/name", Options{Progress: func(p Progress) { last = p }})
	if err != nil {
		t.Fatal(err)
	}
	commit := s.Commit("org/name")
	if want := filepath.Join(c.CacheDir, "models--org--name", "snapshots", commit); dir != want {
		t.Errorf("the directory is %s, want %s", dir, want)
	}
	wantFiles(t, c, dir, files, wanted)
	if last.Done != last.Total || last.Total < 3<<20 {
		t.Errorf("the last progress is %+v, want all done", last)
	}
	sum := sha256.Sum256([]byte(files["model.safetensors"]))
	if to, err := os.Readlink(filepath.Join(dir, "model.safetensors")); err == nil {
		if want := "../../blobs/" + hex.EncodeToString(sum[:]); filepath.ToSlash(to) != want {
			t.Errorf("model.safetensors links to %s, want %s", to, want)
		}
	}
	ref, err := os.ReadFile(filepath.Join(c.CacheDir, "models--org--name", "refs", "main"))
	if err != nil || string(ref) != commit {
		t.Errorf("refs/main is %q (%v), want %s", ref, err, commit)
	}
	if found, ok, err := c.Find("org/name"); found != dir || !ok || err != nil {
		t.Errorf("Find gives %s, %v, %v", found, ok, err)
	}
	// A second pull asks what there is, and downloads nothing.
	before := len(s.Requests())
	if again := mustPull(t, c, "org/name@"+commit); again != dir {
		t.Errorf("the second pull gives %s, want %s", again, dir)
	}
	for _, r := range s.Requests()[before:] {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			t.Errorf("the second pull asks for %s", r.URL)
		}
	}
}

func TestPullBareNameNewCommitAndRevision(t *testing.T) {
	old, young := modelFiles(1000), modelFiles(1000)
	young["config.json"] = `{"model_type":"gpt2","n_layer":2}`
	s := hubtest.Serve(t, map[string]string{"gpt2": writeFiles(t, old), "gpt2@refs/pr/1": writeFiles(t, young)})
	c := client(t, s)
	a, b := mustPull(t, c, "gpt2"), mustPull(t, c, "gpt2@refs/pr/1")
	wantFiles(t, c, a, old, wanted)
	wantFiles(t, c, b, young, wanted)
	if !strings.HasPrefix(a, filepath.Join(c.CacheDir, "models--gpt2")+string(filepath.Separator)) {
		t.Errorf("gpt2 is cached at %s", a)
	}
	for name, want := range map[string]string{"gpt2": a, "gpt2@refs/pr/1": b, "gpt2@" + s.Commit("gpt2"): a} {
		if dir, ok, err := c.Find(name); dir != want || !ok || err != nil {
			t.Errorf("Find(%s) gives %s, %v, %v, want %s", name, dir, ok, err, want)
		}
	}
	wantError(t, c, "gpt2@nosuch", ErrNotFound, `gpt2 has no revision "nosuch"`)
	wantError(t, c, "org/nosuch", ErrNotFound, "no repository org/nosuch", "HF_TOKEN")
}

func TestPullPages(t *testing.T) {
	files := modelFiles(1000)
	for i := range 30 {
		files[fmt.Sprintf("extra/%d.txt", i)] = "x"
	}
	s := serve(t, files)
	s.PageSize = 7
	c := client(t, s)
	wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)
}

func TestPullWeirdNames(t *testing.T) {
	files := modelFiles(10)
	names := []string{"说明 书.txt", "a b/c%20d+e?.txt", "#x&y=z;.txt", "空.txt", "deep/er/and/deeper.txt"}
	for _, name := range names {
		files[name] = "text of " + name
	}
	files["空.txt"] = ""
	s := serve(t, files)
	c := client(t, s)
	dir, err := c.Pull(context.Background(), "org/name", Options{Include: []string{"*.txt", "*.safetensors"}})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, c, dir, files, append(names, "merges.txt", "model.safetensors"))
	if _, err := c.Pull(context.Background(), "org/name", Options{Include: []string{"*.zip"}}); err == nil || !strings.Contains(err.Error(), "*.zip") {
		t.Errorf("a pattern that matches nothing gives %v", err)
	}
}

func TestPullTwoAtOnce(t *testing.T) {
	files := modelFiles(3 << 20)
	s := serve(t, files)
	c := client(t, s)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			one := *c // as another process would
			dir, err := one.Pull(context.Background(), "org/name", Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if data, err := os.ReadFile(filepath.Join(dir, "model.safetensors")); err != nil || string(data) != files["model.safetensors"] {
				t.Errorf("the weights are wrong (%v)", err)
			}
		})
	}
	group.Wait()
	downloads := 0
	for _, r := range s.Requests() {
		if isCDN(s, r) {
			downloads++
		}
	}
	if downloads != 1 {
		t.Errorf("the weights were downloaded %d times", downloads)
	}
}

func TestPullOffline(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	c := client(t, s)
	c.Offline = true
	wantError(t, c, "org/name", ErrOffline, "org/name", "HF_HUB_OFFLINE", c.CacheDir)
	if n := len(s.Requests()); n != 0 {
		t.Fatalf("%d requests in offline mode", n)
	}
	c.Offline = false
	dir := mustPull(t, c, "org/name")
	c.Offline, c.Endpoint = true, "http://nobody.invalid"
	if got := mustPull(t, c, "org/name"); got != dir {
		t.Errorf("offline it is %s, want %s", got, dir)
	}
}

// Links that somebody laid into the cache lead no writing out of it.
func TestPullLinksInTheCache(t *testing.T) {
	t.Parallel()
	files := modelFiles(5000)
	s := serve(t, files)
	sum := sha256.Sum256([]byte(files["model.safetensors"]))
	blob := hex.EncodeToString(sum[:])
	for _, at := range []string{"blobs", "snapshots", "refs", "blobs/" + blob, "blobs/" + blob + ".incomplete",
		"snapshots/" + s.Commit("org/name"), "snapshots/" + s.Commit("org/name") + "/model.safetensors", "refs/main"} {
		c := client(t, s)
		outside := t.TempDir()
		precious := filepath.Join(outside, "precious")
		os.WriteFile(precious, []byte("mine"), 0o666)
		target := precious
		if !strings.Contains(at, ".") && !strings.Contains(at, blob) && at != "refs/main" {
			target = outside
		}
		link := filepath.Join(c.CacheDir, "models--org--name", filepath.FromSlash(at))
		os.MkdirAll(filepath.Dir(link), 0o777)
		if err := os.Symlink(target, link); err != nil {
			t.Skip(err)
		}
		_, err := c.Pull(context.Background(), "org/name", Options{})
		if data, _ := os.ReadFile(precious); string(data) != "mine" {
			t.Errorf("%s: the file outside is now %d bytes", at, len(data))
		}
		if left, _ := os.ReadDir(outside); len(left) != 1 {
			t.Errorf("%s: %v was written outside", at, left)
		}
		if target == precious && err != nil {
			t.Errorf("%s: %v (the link could be replaced)", at, err)
		}
		if target == outside && err == nil {
			t.Errorf("%s: pulled through a link that leads out", at)
		}
	}
}

func TestPullReadOnlyCache(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	c := client(t, s)
	dir := mustPull(t, c, "org/name")
	var writable []string
	filepath.WalkDir(c.CacheDir, func(p string, entry os.DirEntry, _ error) error {
		if entry.IsDir() {
			writable = append(writable, p)
		}
		return nil
	})
	for _, p := range writable {
		os.Chmod(p, 0o555)
		defer os.Chmod(p, 0o777)
	}
	if again := mustPull(t, c, "org/name"); again != dir {
		t.Errorf("it is %s, want %s", again, dir)
	}
}
