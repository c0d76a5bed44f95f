// Package readfile reads files that are small when they are what they should be.
package readfile

import (
	"fmt"
	"io/fs"
	"os"
)

// most is far above any vocabulary or config.
const most = 256 << 20

// Regular reads a file whole. A device, a pipe, and a file of more than 256 MB
// are errors.
func Regular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("not a regular file (%v)", info.Mode().Type())}
	}
	if info.Size() > most {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%d bytes, want at most %d", info.Size(), most)}
	}
	return os.ReadFile(path)
}
