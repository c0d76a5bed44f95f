package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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

// cutter ends connections after a number of bytes of the body.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) > c.left {
		c.ResponseWriter.Write(b[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

func TestPullCutConnections(t *testing.T) {
	files := modelFiles(2 << 20)
	s := serve(t, files)
	rng := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	cuts := 0
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			cut := cuts < 40 && !(cuts%3 == 0 && strings.HasPrefix(r.URL.Path, "/api/"))
			at := rng.IntN(300 << 10)
			cuts++
			mu.Unlock()
			if cut {
				w = &cutter{w, at}
			}
			next.ServeHTTP(w, r)
		})
	})
	c := client(t, s)
	var mostDone int64
	dir, err := c.Pull(context.Background(), "org/name", Options{Progress: func(p Progress) { mostDone = max(mostDone, p.Done-p.Total) }})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, c, dir, files, wanted)
	if mostDone > 0 {
		t.Errorf("progress went %d bytes past the end", mostDone)
	}
	ranges := 0
	for _, r := range s.Requests() {
		if isCDN(s, r) && r.Header.Get("Range") != "" {
			ranges++
		}
	}
	if ranges < 3 {
		t.Errorf("%d requests continue the download, want some", ranges)
	}
}

func TestPullRangesIgnored(t *testing.T) {
	files := modelFiles(1 << 20)
	s := serve(t, files)
	var tries atomic.Int32
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			if isCDN(s, r) && tries.Add(1) < 3 {
				w = &cutter{w, 600 << 10}
			}
			next.ServeHTTP(w, r)
		})
	})
	c := client(t, s)
	wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)

	// One that ends at the same place for ever is given up.
	tries.Store(-1000)
	c = client(t, s)
	wantError(t, c, "org/name", nil, "model.safetensors", "gave up")
	if got := tries.Load() + 1000; got > 3*maxTries {
		t.Errorf("%d tries", got)
	}
}

func TestPullWrongHash(t *testing.T) {
	for _, name := range []string{"model.safetensors", "config.json"} {
		files := modelFiles(5000)
		dir := writeFiles(t, files)
		s := hubtest.Serve(t, map[string]string{"org/name": dir})
		other := bytes.Repeat([]byte{'x'}, len(files[name]))
		if err := os.WriteFile(filepath.Join(dir, name), other, 0o666); err != nil {
			t.Fatal(err)
		}
		c := client(t, s)
		f := file{path: name, size: int64(len(other))}
		for _, b := range mustLook(t, c).files {
			if b.path == name {
				f = b
			}
		}
		d := &download{f: f}
		d.resetHash()
		d.hash.Write(other)
		wantError(t, c, "org/name", nil, name, f.sum, hex.EncodeToString(d.hash.Sum(nil)), "deleted")
		left, _ := filepath.Glob(filepath.Join(c.CacheDir, "models--org--name", "blobs", f.sum+"*"))
		if len(left) != 0 {
			t.Errorf("%v is left behind", left)
		}
		// When the hub has the right bytes again, so has the cache.
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o666); err != nil {
			t.Fatal(err)
		}
		wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)
	}
}

func mustLook(t *testing.T, c *Client) remote {
	t.Helper()
	n, _ := ParseName("org/name")
	r, err := c.look(context.Background(), n, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A partial file with other bytes than the hub's, or more of them, is started
// again from nothing.
func TestPullWrongPartial(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	for what, left := range map[string]string{
		"other bytes": strings.Repeat("x", 3000), "all, wrong": strings.Repeat("x", 5000),
		"too many": strings.Repeat("x", 6000), "all, right": files["model.safetensors"], "none": "",
		"a good part": files["model.safetensors"][:4000],
	} {
		c := client(t, s)
		sum := sha256.Sum256([]byte(files["model.safetensors"]))
		blobs := filepath.Join(c.CacheDir, "models--org--name", "blobs")
		os.MkdirAll(blobs, 0o777)
		os.WriteFile(filepath.Join(blobs, hex.EncodeToString(sum[:])+".incomplete"), []byte(left), 0o666)
		dir, err := c.Pull(context.Background(), "org/name", Options{})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		wantFiles(t, c, dir, files, wanted)
	}
}

func TestPullWrongSize(t *testing.T) {
	files := modelFiles(5000)
	dir := writeFiles(t, files)
	s := hubtest.Serve(t, map[string]string{"org/name": dir})
	p := filepath.Join(dir, "model.safetensors")
	for _, size := range []int{0, 4999, 5001, 1 << 20} {
		if err := os.WriteFile(p, make([]byte, size), 0o666); err != nil {
			t.Fatal(err)
		}
		wantError(t, client(t, s), "org/name", nil, "model.safetensors", fmt.Sprintf("sends %d bytes (want 5000)", size))
	}
	// The same without a Content-Length: the bytes are counted as they come.
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isCDN(s, r) {
				next.ServeHTTP(w, r)
				return
			}
			w.(http.Flusher).Flush()
			for range 1000 {
				w.Write(make([]byte, 64<<10))
			}
		})
	})
	c := client(t, s)
	wantError(t, c, "org/name", nil, "model.safetensors", "more than the 5000 bytes")
	filepath.Walk(c.CacheDir, func(p string, info os.FileInfo, _ error) error {
		if info.Size() > 1<<20 {
			t.Errorf("%s has %d bytes", p, info.Size())
		}
		return nil
	})
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isCDN(s, r) {
				next.ServeHTTP(w, r)
				return
			}
			w.(http.Flusher).Flush()
			w.Write(make([]byte, 1000))
		})
	})
	wantError(t, client(t, s), "org/name", nil, "model.safetensors", "after 1000 of 5000 bytes", "gave up")
}

func TestPullTokenStaysHome(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	c := client(t, s)
	c.Token = "hf_secret"
	mustPull(t, c, "org/name")
	hub, cdn := 0, 0
	for _, r := range s.Requests() {
		auth := r.Header.Get("Authorization")
		switch {
		case isCDN(s, r):
			cdn++
			if auth != "" {
				t.Errorf("the token went to %s", r.Host)
			}
		default:
			hub++
			if auth != "Bearer hf_secret" {
				t.Errorf("%s was asked with %q", r.URL, auth)
			}
		}
	}
	if hub == 0 || cdn == 0 {
		t.Errorf("%d requests at the hub, %d elsewhere", hub, cdn)
	}
}

// Within the hub a redirect keeps the token (a repository that was renamed);
// away and back does not.
func TestPullRedirects(t *testing.T) {
	files := modelFiles(5000)
	s := hubtest.Serve(t, map[string]string{"org/new": writeFiles(t, files)})
	away := false
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "org/name") {
				to := strings.Replace(r.URL.Path, "org/name", "org/new", 1)
				if away {
					to = s.CDN + "/back" + to
				}
				http.Redirect(w, r, to+"?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
				return
			}
			if to, ok := strings.CutPrefix(r.URL.Path, "/back"); ok {
				http.Redirect(w, r, s.URL+to+"?"+r.URL.RawQuery, http.StatusFound)
				return
			}
			auth := r.Header.Get("Authorization")
			if want := !away && !isCDN(s, r); want != (auth != "") {
				t.Errorf("%s%s was asked with %q", r.Host, r.URL, auth)
			}
			next.ServeHTTP(w, r)
		})
	})
	for _, away = range []bool{false, true} {
		c := client(t, s)
		c.Token = "hf_secret"
		dir := mustPull(t, c, "org/name")
		wantFiles(t, c, dir, files, wanted)
	}
	s.Use(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		})
	})
	wantError(t, client(t, s), "org/name", nil, "redirects")
}

func TestPullRefusals(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	refuse := func(status int, code, message string) {
		s.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/api/") {
					next.ServeHTTP(w, r)
					return
				}
				if code != "" {
					w.Header().Set("X-Error-Code", code)
				}
				w.WriteHeader(status)
				json.NewEncoder(w).Encode(map[string]string{"error": message})
			})
		})
	}
	page := s.URL + "/org/name"
	for _, test := range []struct {
		token   string
		status  int
		code    string
		message string
		is      error
		says    []string
	}{
		{"", 401, "GatedRepo", "Access is restricted", ErrGated, []string{page, "licence", "HF_TOKEN"}},
		{"hf_x", 403, "GatedRepo", "Access is restricted", ErrGated, []string{page, "has no access yet"}},
		{"", 401, "", "", ErrNotFound, []string{"private", "HF_TOKEN"}},
		{"hf_x", 401, "", "Invalid credentials", nil, []string{"refuses the token", "Invalid credentials"}},
		{"hf_x", 404, "RepoNotFound", "", ErrNotFound, []string{"no repository org/name"}},
		{"", 404, "EntryNotFound", "", ErrNotFound, []string{"not in org/name"}},
		{"", 404, "", "", ErrNotFound, []string{"no repository"}},
		{"", 403, "", "bad \x1b[31mword", nil, []string{"refuses access", "bad  [31mword"}},
		{"", 418, "", "", nil, []string{"418"}},
		{"", 500, "", "", nil, []string{"500 Internal Server Error", "gave up after 6 tries"}},
		{"", 429, "", "", nil, []string{"429 Too Many Requests", "gave up after 6 tries"}},
	} {
		refuse(test.status, test.code, test.message)
		c := client(t, s)
		c.Token = test.token
		wantError(t, c, "org/name", test.is, test.says...)
	}
}

func TestPullWaits(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	var mu sync.Mutex
	refused := map[string]time.Time{}
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			key := r.Host + r.URL.Path
			at, seen := refused[key]
			switch {
			case !seen && strings.Contains(key, "/tree/"):
				w.Header().Set("RateLimit", `"api";r=0;t=1`)
				w.WriteHeader(http.StatusTooManyRequests)
				refused[key] = time.Now()
			case !seen && isCDN(s, r):
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				refused[key] = time.Now()
			case seen && time.Since(at) < time.Second:
				t.Errorf("%s was asked again after %s", key, time.Since(at))
				fallthrough
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	c := client(t, s)
	var notes []string
	dir, err := c.Pull(context.Background(), "org/name", Options{Progress: func(p Progress) {
		if p.Note != "" {
			notes = append(notes, p.File+": "+p.Note)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, c, dir, files, wanted)
	if all := strings.Join(notes, "\n"); !strings.Contains(all, "429") || !strings.Contains(all, "model.safetensors") {
		t.Errorf("the notes are %q", all)
	}
	s.Use(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusTooManyRequests)
		})
	})
	wantError(t, client(t, s), "org/name", nil, "429", "come back in")
}

// A server that falls silent is left, and asked again.
func TestPullStall(t *testing.T) {
	files := modelFiles(1 << 20)
	s := serve(t, files)
	var tries atomic.Int32
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isCDN(s, r) && tries.Add(1) == 1 {
				w.Header().Set("Content-Length", fmt.Sprint(1<<20))
				io.WriteString(w, files["model.safetensors"][:1000])
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	c := client(t, s)
	c.stall = 200 * time.Millisecond
	wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)
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

func TestPullCancelAndContinue(t *testing.T) {
	files := modelFiles(2 << 20)
	s := serve(t, files)
	c := client(t, s)
	stop := errors.New("the user had enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isCDN(s, r) {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(2<<20))
			io.WriteString(w, files["model.safetensors"][:1<<20])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
	})
	_, err := c.Pull(ctx, "org/name", Options{Progress: func(p Progress) {
		if p.Done > 1<<20 {
			cancel(stop)
		}
	}})
	if !errors.Is(err, stop) {
		t.Fatalf("the error is %v, want %v", err, stop)
	}
	if _, ok, err := c.Find("org/name"); ok || err != nil {
		t.Errorf("Find says %v, %v", ok, err)
	}
	entries, err := c.List()
	if err != nil || len(entries) != 1 || entries[0].Whole || entries[0].Size < 1<<19 {
		t.Errorf("List gives %+v, %v", entries, err)
	}
	s.Use(nil)
	before := len(s.Requests())
	wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)
	for _, r := range s.Requests()[before:] {
		if isCDN(s, r) && r.Header.Get("Range") == "" {
			t.Error("the download began again from nothing")
		}
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

// A mirror without the tree: the sizes and hashes come from the headers.
func TestPullWithoutTree(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	lie := ""
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/tree/") {
				http.NotFound(w, r)
				return
			}
			if lie != "" && r.Method == http.MethodHead {
				w.Header().Set("ETag", lie)
				w.Header().Set("Content-Length", "10")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	c := client(t, s)
	wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)
	lie = `"../../../evil"`
	wantError(t, client(t, s), "org/name", nil, "hash", "evil")
}

func TestPullLyingListings(t *testing.T) {
	s := serve(t, modelFiles(5000))
	id := strings.Repeat("a", 40)
	for _, test := range []struct{ entry, says string }{
		{`{"type":"file","path":"../evil.json","size":1,"oid":"` + id + `"}`, "../evil.json"},
		{`{"type":"file","path":"/etc/passwd","size":1,"oid":"` + id + `"}`, "/etc/passwd"},
		{`{"type":"file","path":"a/../../b","size":1,"oid":"` + id + `"}`, "a/../../b"},
		{`{"type":"file","path":"a\\b","size":1,"oid":"` + id + `"}`, `a\\b`},
		{`{"type":"file","path":"a\u001b[2J","size":1,"oid":"` + id + `"}`, `a\x1b[2J`},
		{`{"type":"file","path":"","size":1,"oid":"` + id + `"}`, `""`},
		{`{"type":"file","path":"a","size":-1,"oid":"` + id + `"}`, "-1"},
		{`{"type":"file","path":"a","size":9223372036854775807,"oid":"` + id + `"}`, "9223372036854775807"},
		{`{"type":"file","path":"a","size":1,"oid":"../../x"}`, "../../x"},
		{`{"type":"file","path":"a","size":1,"oid":"` + id + `","lfs":{"oid":"` + id + `","size":1}}`, "64"},
		{`{"type":"file","path":"a","size":1,"oid":"` + id + `"},{"type":"file","path":"a","size":2,"oid":"` + id + `"}`, "twice"},
		{`{"type":"file","path":"a","size":1.5,"oid":"` + id + `"}`, "not the answer of a hub"},
		{`{"type":"file","path":"config.json","size":17592186044416,"oid":"` + id + `"}, {"type":"file","path":"model.safetensors","size":1,"oid":"` + id + `"}`, "disk full"},
	} {
		s.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/tree/") {
					fmt.Fprintf(w, "[%s]", test.entry)
					return
				}
				next.ServeHTTP(w, r)
			})
		})
		wantError(t, client(t, s), "org/name", nil, test.says)
	}
	// Pages in a circle.
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/tree/") {
				w.Header().Set("Link", `<http://elsewhere.invalid/x?cursor=1>; rel="next"`)
				fmt.Fprint(w, "[]")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	wantError(t, client(t, s), "org/name", nil, "circle")
}

// Links that somebody laid into the cache lead no writing out of it.
func TestPullLinksInTheCache(t *testing.T) {
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
