package hub

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of size bytes, where that is allowed.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("wenmo-test", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("no file system can be mounted here: %v (TestReceiveDiskFull still runs)", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// A disk that fills up in the middle of a download: the error says so, what
// came is kept, and with room again the next pull goes on.
func TestPullDiskFull(t *testing.T) {
	files := modelFiles(1 << 20)
	s := serve(t, files)
	c := client(t, s)
	c.CacheDir = smallDisk(t, "size=4m")
	filler := filepath.Join(c.CacheDir, "filler")
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isCDN(s, r) {
				w = &pauser{ResponseWriter: w, left: 500 << 10, then: func() {
					waitForPart(t, c, 400<<10)
					fill(filler)
				}}
			}
			next.ServeHTTP(w, r)
		})
	})
	wantError(t, c, "org/name", ErrDiskFull, "model.safetensors", "no space left", "are kept")
	s.Use(nil)

	// With the disk still full, a pull that cannot fit does not start.
	before := len(s.Requests())
	wantError(t, c, "org/name", ErrDiskFull, "still to come", "room for")
	for _, r := range s.Requests()[before:] {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			t.Errorf("%s was asked for", r.URL)
		}
	}
	os.Remove(filler)
	before = len(s.Requests())
	wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)
	for _, r := range s.Requests()[before:] {
		if isCDN(s, r) && r.Header.Get("Range") == "" {
			t.Error("the download began again from nothing")
		}
	}
}

// pauser calls then before it writes past left bytes.
type pauser struct {
	http.ResponseWriter
	left int
	then func()
}

func (p *pauser) Write(b []byte) (int, error) {
	if p.then != nil && len(b) > p.left {
		p.ResponseWriter.Write(b[:p.left])
		p.ResponseWriter.(http.Flusher).Flush()
		p.then()
		p.then = nil
		n, err := p.ResponseWriter.Write(b[p.left:])
		return p.left + n, err
	}
	p.left -= len(b)
	return p.ResponseWriter.Write(b)
}

// fill writes a file until the disk has no room.
func fill(name string) {
	f, err := os.Create(name)
	if err != nil {
		return
	}
	defer f.Close()
	for chunk := 64 << 10; chunk > 0; chunk /= 2 {
		for {
			if _, err := f.Write(make([]byte, chunk)); err != nil {
				break
			}
		}
	}
}

// Without room for the small things around the files (directories, links) the
// error is the same.
func TestPullNoInodes(t *testing.T) {
	t.Parallel()
	s := serve(t, modelFiles(5000))
	for n := 1; n < 30; n++ {
		c := client(t, s)
		c.CacheDir = smallDisk(t, "size=4m,nr_inodes="+strconv.Itoa(n))
		_, err := c.Pull(context.Background(), "org/name", Options{})
		if err == nil {
			return
		}
		if !errors.Is(err, ErrDiskFull) {
			t.Errorf("with %d files: %v", n, err)
		}
		if _, ok, _ := c.Find("org/name"); ok {
			t.Errorf("with %d files: the failed pull is found", n)
		}
	}
	t.Error("30 files are not enough")
}
