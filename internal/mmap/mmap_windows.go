package mmap

import (
	"errors"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// load reads the file: mapping it would keep others from replacing it.
func load(f *os.File, size int) ([]byte, error) {
	data, err := Anonymous(size)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, errors.Join(err, Free(data))
	}
	return data, nil
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
