package mmap

import (
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Open reads the file of that path into memory outside the Go heap. Mapping
// it would keep others from replacing it.
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
	if int64(int(size)) != size {
		return nil, fmt.Errorf("%s: %d bytes are too many to read", path, size)
	}
	data, err := Anonymous(int(size))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := io.ReadFull(f, data); err != nil {
		_ = Free(data)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &File{Path: path, Data: data}, nil
}

func anonymous(n int) ([]byte, error) {
	addr, err := windows.VirtualAlloc(0, uintptr(n), windows.MEM_RESERVE|windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err != nil {
		return nil, err
	}
	// The address lies outside the Go heap, so it may be made a pointer; the
	// detour keeps vet, which cannot know that, quiet.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), n), nil
}

func unmap(b []byte) error {
	return windows.VirtualFree(uintptr(unsafe.Pointer(unsafe.SliceData(b))), 0, windows.MEM_RELEASE)
}

// DontNeed does nothing: the file was read, not mapped.
func DontNeed([]byte) {}
