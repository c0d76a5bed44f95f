package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestWriters lets several write to one path: each succeeds, the file is always
// one of theirs, and nothing is left.
func TestWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for range 50 {
				if err := Replace(path, fmt.Appendf(nil, "%d%d", i, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	data, err := os.ReadFile(path)
	if err != nil || len(data) != 2 || data[0] != data[1] {
		t.Errorf("%q, error %v", data, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v is left, error %v", left, err)
	}
}

// TestFinishedDraft demands that a draft that is finished, not yet published, is
// not taken for a dead one; one of a dead process is.
func TestFinishedDraft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	dead := filepath.Join(dir, ".file.0123456789abcdef.part")
	if err := os.WriteFile(dead, []byte("dead"), 0o666); err != nil {
		t.Fatal(err)
	}
	d, err := NewDraft(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteString("late"); err != nil {
		t.Fatal(err)
	}
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("early")); err != nil {
		t.Fatal(err)
	}
	if err := d.Publish(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "late" {
		t.Errorf("%q, error %v", data, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != "file" }) {
		t.Errorf("%v, error %v: want the file alone", entries, err)
	}
}

// TestErrorNamesPath demands that what goes wrong with a draft is told of the
// file that it is for.
func TestErrorNamesPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	err := Write(path, func(w io.Writer) error {
		w.(*Draft).file.Close()
		return nil
	})
	if want := "sync " + path + ": file already closed"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	err = Write(path, func(w io.Writer) error {
		w.(*Draft).file.Close()
		_, err := io.WriteString(w, strings.Repeat("x", 2*writeBuffer))
		return err
	})
	if want := "write " + path + ": file already closed"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	err = Write(path, func(io.Writer) error { return errors.New("broken") })
	if want := path + ": broken"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestNotAFile demands that nothing takes the place of a folder.
func TestNotAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	err := Replace(path, []byte("x"))
	if want := "write " + path + ": not a regular file (d---------)"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v is left, error %v", left, err)
	}
	err = Replace(filepath.Join(path, "none", "file"), nil)
	if want := filepath.Join(path, "none", "file") + ": open "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s…", err, want)
	}
}
