//go:build unix

package mmap

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Open maps the file of that path.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	size := info.Size()
	if size == 0 {
		return &File{Path: path}, nil
	}
	if int64(int(size)) != size {
		return nil, fmt.Errorf("%s: %d bytes are too many to map", path, size)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: map: %w", path, err)
	}
	return &File{Path: path, Data: data}, nil
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
