package dataset

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests below start this test binary again as a child that prepares a
// corpus, and is killed or may not write large files.
const (
	childFile  = "WENMO_DATASET_FILE"
	childCache = "WENMO_DATASET_CACHE"
	childLimit = "WENMO_DATASET_LIMIT" // bytes of a file
)

const childTokens = 100000 // of a shard

func TestPrepareChild(t *testing.T) {
	path := os.Getenv(childFile)
	if path == "" {
		return // only a child has something to do
	}
	if limit, err := strconv.ParseUint(os.Getenv(childLimit), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := prepare(t.Context(), []Source{{Path: path, Encoder: byteEncoder(t)}}, PrepareOptions{Dir: os.Getenv(childCache)}, childTokens)
	if err != nil {
		fmt.Println("child:", err)
		os.Exit(3)
	}
	c.Close()
}

func child(path, cache string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestPrepareChild$")
	cmd.Env = append(os.Environ(), append(env, childFile+"="+path, childCache+"="+cache)...)
	return cmd
}

// complete returns the shards in a folder that are in their places.
func complete(t *testing.T, dir string) map[string]string {
	files := cache(t, dir)
	maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasPrefix(name, ".") })
	return files
}

// TestPrepareKilled kills the child with signal 9, later and later. Whatever it
// has left, all shards are whole, and the next goes on.
func TestPrepareKilled(t *testing.T) {
	path := jsonl(t, "a.jsonl", texts("a", 8000, 900))
	whole, dir := t.TempDir(), t.TempDir()
	sources := []Source{{Path: path, Encoder: byteEncoder(t)}}
	mustPrepare(t, sources, PrepareOptions{Dir: whole}, childTokens)
	want := complete(t, whole)
	killed := 0
	for wait := time.Duration(0); wait < time.Second; wait += 13 * time.Millisecond {
		cmd := child(path, dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(wait)
		_ = cmd.Process.Kill()
		err := cmd.Wait()
		for name, data := range complete(t, dir) {
			if want[name] != data {
				t.Fatalf("shard %s of %d bytes after a kill, want %d", name, len(data), len(want[name]))
			}
		}
		if err == nil {
			break
		}
		killed++
	}
	mustPrepare(t, sources, PrepareOptions{Dir: dir}, childTokens)
	if !maps.Equal(complete(t, dir), want) {
		t.Error("other shards after kills")
	}
	t.Logf("killed %d times", killed)
}

// TestPrepareDiskFull lets the child write files of so many bytes and no more.
func TestPrepareDiskFull(t *testing.T) {
	path := jsonl(t, "a.jsonl", texts("a", 3000, 600))
	whole, dir := t.TempDir(), t.TempDir()
	sources := []Source{{Path: path, Encoder: byteEncoder(t)}}
	mustPrepare(t, sources, PrepareOptions{Dir: whole}, childTokens)
	names := complete(t, whole)
	for _, limit := range []int{100, shardHeader + 10, 100000} {
		out, err := child(path, dir, fmt.Sprint(childLimit, "=", limit)).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "child: "+dir) || !strings.Contains(string(out), "file too large") {
			t.Errorf("limit of %d bytes: error %v, %s", limit, err, out)
		}
		if left := cache(t, dir); len(left) != 0 {
			t.Errorf("limit of %d bytes: %d files left", limit, len(left))
		}
	}
	mustPrepare(t, sources, PrepareOptions{Dir: dir}, childTokens)
	if !maps.Equal(complete(t, dir), names) {
		t.Error("other shards after a full disk")
	}
}

// TestPrepareMemory prepares a stream of text far larger than the memory it may
// take.
func TestPrepareMemory(t *testing.T) {
	const size, limit = 128 << 20, 48 << 20
	path := filepath.Join(t.TempDir(), "a.jsonl.zst")
	writeLarge(t, path, size)
	enc := Encoder{Key: "short", VocabSize: 1 << 16, Encode: func(d *Document) ([]Sequence, Cut, error) {
		return []Sequence{{IDs: []int32{int32(len(d.Text) & 0xffff)}}}, Cut{}, nil
	}}
	defer debug.SetGCPercent(debug.SetGCPercent(100)) // the measure is of what is in use, and of what waits for the collector
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	most := uint64(0)
	c := mustPrepare(t, []Source{{Path: path, Encoder: enc}}, PrepareOptions{Threads: 2, Progress: func(PrepareProgress) {
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapInuse)
	}}, shardTokens)
	if c.Manifest.Sources[0].Bytes < size*9/10 {
		t.Errorf("%d bytes of text", c.Manifest.Sources[0].Bytes)
	}
	if most > before.HeapInuse+limit {
		t.Errorf("%d MiB in use for %d MiB of text", (most-before.HeapInuse)>>20, size>>20)
	}
	t.Logf("%d MiB in use for %d MiB of text", (most-before.HeapInuse)>>20, size>>20)
}

// writeLarge writes that many bytes of documents of 20 KB, compressed.
func writeLarge(t *testing.T, path string, size int) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var frame strings.Builder
	for i := range 200 {
		fmt.Fprintf(&frame, "{\"text\":\"%s %d\"}\n", strings.Repeat("the same words again 一样的字 ", 600), i)
	}
	packed := zstdBytes(t, frame.String())
	w := bufio.NewWriter(f)
	for n := 0; n < size; n += frame.Len() {
		if _, err := io.WriteString(w, packed); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}
