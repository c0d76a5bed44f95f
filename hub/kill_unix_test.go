//go:build unix

package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the process that TestPullKilled kills.
func TestMain(m *testing.M) {
	if endpoint := os.Getenv("WENMO_TEST_PULL"); endpoint != "" {
		c := &Client{Endpoint: endpoint, CacheDir: os.Getenv("WENMO_TEST_CACHE")}
		_, err := c.Pull(context.Background(), "org/name", Options{})
		fmt.Fprintln(os.Stderr, "the pull ended:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A pull that is killed in the middle leaves nothing that looks whole and no
// lock, and the next one goes on from where it was.
func TestPullKilled(t *testing.T) {
	files := modelFiles(4 << 20)
	s := serve(t, files)
	c := client(t, s)
	sent := make(chan bool)
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isCDN(s, r) {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(4<<20))
			io.WriteString(w, files["model.safetensors"][:3<<20])
			w.(http.Flusher).Flush()
			sent <- true
			<-r.Context().Done()
		})
	})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WENMO_TEST_PULL="+s.URL, "WENMO_TEST_CACHE="+c.CacheDir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-sent
	waitForPart(t, c, 2<<20)
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if _, ok, err := c.Find("org/name"); ok || err != nil {
		t.Errorf("Find says %v, %v", ok, err)
	}
	s.Use(nil)
	before := len(s.Requests())
	wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)
	var from int64
	for _, r := range s.Requests()[before:] {
		if isCDN(s, r) {
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		}
	}
	if from < 2<<20 {
		t.Errorf("the second pull went on from byte %d", from)
	}
}

// waitForPart waits until a part of a download has at least size bytes.
func waitForPart(t *testing.T, c *Client, size int64) {
	t.Helper()
	for range 6000 {
		parts, _ := filepath.Glob(filepath.Join(c.CacheDir, "models--*", "blobs", "*.incomplete"))
		for _, p := range parts {
			if info, err := os.Stat(p); err == nil && info.Size() >= size {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no part grew to %d bytes", size)
}

type fullDisk struct{ room int64 }

func (d fullDisk) WriteAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > d.room {
		return 0, &os.PathError{Op: "write", Path: "part", Err: syscall.ENOSPC}
	}
	return len(b), nil
}

func TestReceiveDiskFull(t *testing.T) {
	d := &download{pull: &pull{meter: newMeter(nil)}, f: file{path: "x", size: 1 << 20, sum: strings.Repeat("0", 64)}}
	d.resetHash()
	err := d.receive(context.Background(), strings.NewReader(noise(1<<20)), fullDisk{600_000})
	if !errors.Is(err, ErrDiskFull) || !errors.Is(err, syscall.ENOSPC) || errors.As(err, new(*transient)) {
		t.Errorf("the error is %v", err)
	}
	if d.off == 0 || d.off > 600_000 {
		t.Errorf("%d bytes count as written", d.off)
	}
}
