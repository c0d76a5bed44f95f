package dataset

import (
	"bufio"
	"bytes"

	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// formats maps the extension of a file to its format.
var formats = map[string]string{
	".txt": "txt", ".text": "txt", ".md": "txt",
	".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
	".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".arrow": "arrow",
}

// aboutData has the files in directories of Hugging Face's datasets that are about
// the data and none of it.
var aboutData = map[string]bool{
	"readme.md": true, "license.md": true, "dataset_info.json": true, "dataset_infos.json": true,
	"dataset_dict.json": true, "state.json": true,
}

const knownFormats = "txt, jsonl, json, csv, tsv, parquet, arrow"

const (
	byteOrderMark = "\ufeff"
	readBuffer    = 1 << 20
	maxZstdWindow = 128 << 20 // zstd --long=27, the most that zstd itself takes unasked
)

// formatOf returns the format and the compression that a file's name tells.
func formatOf(path string) (format, compression string) {
	name := strings.ToLower(filepath.Base(path))
	for _, ext := range []string{".gz", ".zst"} {
		if rest, ok := strings.CutSuffix(name, ext); ok {
			name, compression = rest, ext
		}
	}
	return formats[filepath.Ext(name)], compression
}

// Files returns the data files that a path stands for, by their names: the file
// itself, the files with a known extension below a folder, or those that a glob
// matches. A directory of Hugging Face's datasets is a folder of that kind, also
// as save_to_disk writes it; the glob DIR/data/train-* takes one split of it.
func Files(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return []string{path}, nil
	case err == nil:
		return filesBelow(path)
	case !errors.Is(err, fs.ErrNotExist) || !strings.ContainsAny(path, "*?["):
		return nil, err
	}
	matches, err := filepath.Glob(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var files []string
	for _, match := range matches {
		if strings.HasPrefix(filepath.Base(match), ".") && !strings.HasPrefix(filepath.Base(path), ".") {
			continue // hidden, as for a shell
		}
		below, err := Files(match)
		if err != nil {
			return nil, err
		}
		files = append(files, below...)
	}
	if files == nil {
		return nil, fmt.Errorf("%s: no file matches: %w", path, ErrEmpty)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func filesBelow(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && path != dir
		if entry.IsDir() {
			if hidden {
				return fs.SkipDir
			}
			return nil
		}
		format, _ := formatOf(path)
		if hidden || format == "" || aboutData[strings.ToLower(entry.Name())] {
			return nil
		}
		info, err := os.Stat(path) // follows links
		if err == nil && info.Mode().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if files == nil {
		return nil, fmt.Errorf("%s: no data file (%s, also .gz or .zst): %w", dir, knownFormats, ErrEmpty)
	}
	slices.Sort(files)
	return files, nil
}

// dataFile is an open data file.
type dataFile struct {
	path string
	opt  ReadOptions
	file *os.File
	pos  countingReader // on file
	done []func()       // closes the decompressor
	in   scanner
	// records gives the next record, read reads it: the format's two halves.
	// Many goroutines may call read at once.
	records func() (record, bool, error)
	read    func(record) (Document, error)

	templates *renderer
}

// countingReader counts what is read.
type countingReader struct {
	r io.Reader
	n atomic.Int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

func openData(path string, opt ReadOptions) (*dataFile, error) {
	format, compression := formatOf(path)
	if opt.Format != "" {
		format = opt.Format
	}
	if format == "" {
		return nil, fmt.Errorf("%s: the name does not tell the format; give one of %s", path, knownFormats)
	}
	info, err := os.Stat(path) // before opening, which would wait on a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &dataFile{path: path, opt: opt, file: file, pos: countingReader{r: file}}
	if f.templates, err = opt.Templates.parse(); err == nil {
		err = f.start(format, compression)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (f *dataFile) start(format, compression string) error {
	switch format {
	case "parquet":
		return f.startParquet(compression)
	case "arrow":
		return f.startArrow(compression)
	}
	in, err := f.decompress(compression)
	if err != nil {
		return err
	}
	if head, _ := in.Peek(len(byteOrderMark)); string(head) == byteOrderMark {
		_, _ = in.Discard(len(byteOrderMark))
	}
	f.in = scanner{in: in, line: 1, limit: f.opt.maxRecord()}
	switch format {
	case "txt":
		f.records, f.read = f.in.texts(f.opt.Separator), readText
	case "jsonl":
		f.records, f.read = f.in.lines, f.readJSON
	case "json":
		f.records, f.read = f.in.elements(), f.readJSON
	case "csv":
		return f.startTable(f.in.csvRecord, splitCSV)
	case "tsv":
		return f.startTable(f.in.lines, splitTSV)
	default:
		return fmt.Errorf("format %q is not known (known: %s)", format, knownFormats)
	}
	return nil
}

func (f *dataFile) decompress(compression string) (*bufio.Reader, error) {
	var r io.Reader = &f.pos
	switch compression {
	case ".gz":
		gz, err := gzip.NewReader(bufio.NewReaderSize(r, readBuffer))
		if err == io.EOF { // an empty file, cut short or not, holds nothing
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		r = gz
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		f.done = append(f.done, z.Close)
		r = z
	}
	return bufio.NewReaderSize(r, readBuffer), nil
}

func (f *dataFile) Close() error {
	for _, done := range f.done {
		done()
	}
	return f.file.Close()
}

// next returns the next record that is not empty, and false at the end.
func (f *dataFile) next() (record, bool, error) {
	for {
		rec, more, err := f.records()
		if err != nil {
			return rec, false, fmt.Errorf("%s:%d: %w", f.path, rec.line, err)
		}
		if !more || rec.long || len(bytes.TrimSpace(rec.data)) > 0 {
			return rec, more, nil
		}
	}
}

// parse reads a record; an error says that it is broken.
func (f *dataFile) parse(rec record) (Document, error) {
	err := rec.check(f.opt.maxRecord())
	var doc Document
	if err == nil {
		doc, err = f.read(rec)
	}
	if err == nil && f.templates != nil {
		err = f.templates.render(&doc, rec.line)
	}
	if err == nil {
		err = checkNUL(&doc)
	}
	if err != nil {
		return Document{}, fmt.Errorf("%s:%d: %w", f.path, rec.line, err)
	}
	doc.File, doc.Line = f.path, rec.line
	return doc, nil
}

// checkNUL refuses what no text holds: it is a sign of binary data.
func checkNUL(doc *Document) error {
	found := strings.IndexByte(doc.Text, 0) >= 0
	for i := range doc.Messages {
		found = found || strings.IndexByte(doc.Messages[i].Text(), 0) >= 0
	}
	if found {
		return errors.New("the text holds a NUL byte")
	}
	return nil
}
