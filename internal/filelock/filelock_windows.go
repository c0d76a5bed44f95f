// Package filelock locks files against other processes. The system gives a lock
// back when the file is closed, also by the end of the process.
package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// Try locks the first byte of f, as Python's filelock does; false: somebody
// else has it.
func Try(f *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return false, nil
	}
	return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
}
