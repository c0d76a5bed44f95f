package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// A server that falls silent is left, and asked again.
func TestPullStall(t *testing.T) {
	t.Parallel()
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
