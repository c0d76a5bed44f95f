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
// bytes, 0 where it is not known.
func OpenText(ctx context.Context, path string, opt ReadOptions) (text io.ReadCloser, size int64, err error) {
	format, compression := formatOf(path)
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || format != "" && format != "txt" {
		d := &documentText{}
		d.next, d.stop = iter.Pull2(Read(ctx, path, opt))
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

// document returns the text of the next document.
func (r *documentText) document() (text []byte, err error) {
	d, err, ok := r.next()
	switch {
	case !ok:
		return nil, io.EOF
	case err != nil:
		return nil, err
	case d.bare:
		return nil, d.lacks("no text", "text")
	}
	for part := range documentTexts(&d) {
		text = append(append(text, part...), '\n')
	}
	return text, nil
}
