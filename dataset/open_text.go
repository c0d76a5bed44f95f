package dataset

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
)

// OpenText opens what a tokenizer learns from: a text file as it is, compressed
// or not, and of all else that Read takes the texts of the documents and the
// contents of messages, with a line end behind each. size is the number of its
// bytes, 0 where it is not known; log is ReadOptions.Log.
func OpenText(ctx context.Context, path string, log func(string)) (text io.ReadCloser, size int64, err error) {
	format, compression := formatOf(path)
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || format != "" && format != "txt" {
		d := &documentText{}
		d.next, d.stop = iter.Pull2(Read(ctx, path, ReadOptions{Log: log}))
		return d, 0, nil
	}
	if info.Size() == 0 {
		return nil, 0, fmt.Errorf("%s: %w", path, ErrEmpty)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	if compression == "" {
		return file, info.Size(), nil
	}
	f := &dataFile{path: path, file: file, pos: countingReader{r: file}}
	in, err := f.decompress(compression)
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := in.Peek(1); err == io.EOF {
		f.Close()
		return nil, 0, fmt.Errorf("%s: %w", path, ErrEmpty)
	}
	return &unpackedText{in, f}, 0, nil
}

// unpackedText is a text file while it is decompressed.
type unpackedText struct {
	io.Reader
	file *dataFile
}

// Name returns the path, for errors.
func (t *unpackedText) Name() string { return t.file.path }

// Close implements io.Closer.
func (t *unpackedText) Close() error {
	t.file.Close()
	return nil
}

// documentText reads the texts of documents. Its errors name the files.
type documentText struct {
	next func() (Document, error, bool)
	stop func()
	left []byte
	err  error

	some bool  // there was a text
	bare error // of the first record without one
}

// Close implements io.Closer.
func (r *documentText) Close() error {
	r.stop()
	return nil
}

// Read implements io.Reader.
func (r *documentText) Read(b []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.left, r.err = r.document()
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

// document returns the text of the next document; that none has one is an error.
func (r *documentText) document() (text []byte, err error) {
	d, err, ok := r.next()
	switch {
	case !ok && !r.some && r.bare != nil:
		return nil, r.bare
	case !ok:
		return nil, io.EOF
	case err != nil:
		return nil, err
	case d.bare && r.bare == nil:
		r.bare = d.lacks("no text", "text")
	}
	r.some = r.some || !d.bare
	for part := range documentTexts(&d) {
		text = append(append(text, part...), '\n')
	}
	return text, nil
}
