//go:build unix

// Package filelock locks files against other processes. The system gives a lock
// back when the file is closed, also by the end of the process.
package filelock

import (
	"errors"
	"os"
	"syscall"
)

// Try takes flock's exclusive lock; false: somebody else has it. A file system
// without locks gives everybody the lock.
func Try(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil, errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.EOPNOTSUPP):
		return true, nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return false, nil
	}
	return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
}
