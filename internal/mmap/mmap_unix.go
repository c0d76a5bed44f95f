//go:build unix

package mmap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func load(f *os.File, size int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
}

func anonymous(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		adviseHuge(b)
	}
	return b, err
}

func unmap(b []byte) error { return unix.Munmap(b) }

// DontNeed tells the system that the whole pages inside b, mapped from a
// file, will not be read again soon. They no longer count as resident; their
// contents come back from the file when they are read.
func DontNeed(b []byte) {
	page := uintptr(os.Getpagesize())
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	skip := (page - start%page) % page
	if uintptr(len(b)) < skip+page {
		return
	}
	b = b[skip:]
	b = b[:uintptr(len(b))/page*page]
	_ = unix.Madvise(b, unix.MADV_DONTNEED) // advice: a refusal changes nothing
}
