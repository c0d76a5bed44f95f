// Package mmap maps files for reading and takes memory outside the Go heap.
// Where a mapped file could not be replaced (Windows), files are read instead.
package mmap

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

// File is a file in memory, for reading only.
type File struct {
	Path string
	Data []byte // must not be written to; nil for an empty file
}

// Open maps the regular file of that path, or reads it where that is better.
func Open(path string) (*File, error) {
	info, err := os.Stat(path) // before opening, which would wait on a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	size := int(info.Size())
	if int64(size) != info.Size() {
		return nil, fmt.Errorf("%s: %d bytes are too many to map", path, info.Size())
	}
	if size == 0 {
		return &File{Path: path}, nil
	}
	data, err := load(f, size)
	if err != nil {
		return nil, fmt.Errorf("%s: map: %w", path, err)
	}
	return &File{Path: path, Data: data}, nil
}

// Close gives the memory back; Data must not be used any more.
func (f *File) Close() error {
	data := f.Data
	f.Data = nil
	if len(data) == 0 {
		return nil
	}
	if err := unmap(data); err != nil {
		return fmt.Errorf("%s: unmap: %w", f.Path, err)
	}
	return nil
}

// Anonymous returns n zero bytes outside the Go heap, aligned to a page, with
// huge pages advised where the system has them. Free gives them back.
func Anonymous(n int) ([]byte, error) {
	if n < 0 {
		return nil, fmt.Errorf("anonymous memory of %d bytes", n)
	}
	if n == 0 {
		return nil, nil
	}
	b, err := anonymous(n)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of memory: %w", n, err)
	}
	return b, nil
}

// Free gives back what Anonymous returned, whole.
func Free(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return unmap(b)
}

// Guard runs read, which reads memory of the file that path names. When the
// file was cut short while mapped, reading beyond its new end would end the
// program; Guard makes it an error. Reads on other goroutines, and writes
// through nil pointers, are not guarded.
func Guard(path string, read func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		cause := recover()
		if cause == nil {
			return
		}
		fault, ok := cause.(interface {
			runtime.Error
			Addr() uintptr
		})
		if !ok {
			panic(cause)
		}
		err = fmt.Errorf("%s: reading failed at address %#x: the file was cut short or its disk fails", path, fault.Addr())
	}()
	return read()
}
