package filelock

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	try := func(f *os.File, want bool) {
		t.Helper()
		if got, err := Try(f); got != want || err != nil {
			t.Fatalf("%v, %v, want %v", got, err, want)
		}
	}
	first, second := open(), open()
	defer second.Close()
	try(first, true)
	try(second, false)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	try(second, true)
}
