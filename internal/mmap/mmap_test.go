package mmap

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func write(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, 1 << 20} {
		want := bytes.Repeat([]byte("wenmo文墨"), size/6+1)[:size]
		f, err := Open(write(t, want))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.Data, want) {
			t.Errorf("%d bytes differ", size)
		}
		DontNeed(f.Data)
		if !bytes.Equal(f.Data, want) {
			t.Errorf("%d bytes differ after DontNeed", size)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory gives %v", err)
	}
}

func TestDontNeedKeepsNeighbours(t *testing.T) {
	b, err := Anonymous(16 << 12)
	if err != nil {
		t.Fatal(err)
	}
	defer Free(b)
	for i := range b {
		b[i] = 7
	}
	DontNeed(b[5000 : 5000+3*os.Getpagesize()])
	DontNeed(b[1:10])
	DontNeed(nil)
	for i, v := range b {
		if v != 7 && (i < 5000 || i >= 5000+3*os.Getpagesize()) {
			t.Fatalf("byte %d outside the range was dropped", i)
		}
	}
}

func TestAnonymous(t *testing.T) {
	for _, n := range []int{0, 1, 4096, 5 << 20} {
		b, err := Anonymous(n)
		if err != nil || len(b) != n {
			t.Fatalf("Anonymous(%d) gives %d bytes, %v", n, len(b), err)
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("byte %d is not zero", i)
			}
			b[i] = byte(i)
		}
		if err := Free(b); err != nil {
			t.Error(err)
		}
	}
	if _, err := Anonymous(-1); err == nil {
		t.Error("a negative size is accepted")
	}
	if _, err := Anonymous(1 << 60); err == nil {
		t.Error("an exabyte is given")
	}
}

func TestGuardTruncatedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files are read, not mapped")
	}
	path := write(t, make([]byte, 1<<20))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	sum := byte(0)
	err = Guard(path, func() error {
		for _, v := range f.Data {
			sum += v
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("reading a file that was cut short gives %v (sum %d)", err, sum)
	}
}

func TestGuardPassesOn(t *testing.T) {
	want := errors.New("no")
	if err := Guard("x", func() error { return want }); err != want {
		t.Errorf("the error of the function became %v", err)
	}
	defer func() {
		if recover() != "bug" {
			t.Error("a panic of the function was swallowed")
		}
	}()
	_ = Guard("x", func() error { panic("bug") })
}
