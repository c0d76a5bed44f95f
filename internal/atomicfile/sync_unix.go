//go:build unix

package atomicfile

import "os"

// syncDir makes a renaming in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
