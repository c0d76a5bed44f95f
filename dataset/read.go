package dataset

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"
)

// ErrEmpty is the error of a path without a single document.
var ErrEmpty = errors.New("no documents")

const (
	defaultMaxRecord = 16 << 20 // bytes
	defaultMaxBroken = 100
	brokenShown      = 5 // broken records that are logged in full
)

// ReadOptions say how files are read. The zero value reads by the names of the
// files.
type ReadOptions struct {
	// Format is txt, jsonl, json (one list of objects), csv, tsv, parquet or
	// arrow (an IPC stream or file); "": by the name of the file, without .gz or .zst.
	Format string `json:"format,omitempty"`
	// Separator says where a document ends in a text file: SeparatorPieces,
	// SeparatorFile, SeparatorBlank, SeparatorLine, or a text that stands
	// between documents, such as "<|endoftext|>".
	Separator string `json:"separator,omitempty"`
	// TextField names the field of the text. A record without it is broken. "":
	// the field text where there is one, else the record's conversation; a
	// record with neither has Fields alone.
	TextField string `json:"text_field,omitempty"`
	// Templates make the documents of records with other fields.
	Templates Templates `json:"templates,omitzero"`
	// MaxRecord is how many bytes a record may have; 0: 16 MiB. A longer one is
	// broken.
	MaxRecord int `json:"max_record,omitempty"`
	// MaxBroken is how many records of a file may be broken before reading
	// stops; 0: 100, below 0: none.
	MaxBroken int `json:"max_broken,omitempty"`

	// Log gets a line for the first broken records of a file, and one for all;
	// nil: nobody does.
	Log func(string) `json:"-"`
}

func (o ReadOptions) maxRecord() int {
	if o.MaxRecord == 0 {
		return defaultMaxRecord
	}
	return o.MaxRecord
}

// Read gives the documents of a file, of the data files below a folder, or of
// the files that a glob matches, in the order of their names. It holds one
// record in memory at a time.
//
// Broken records (no UTF-8, a NUL, no valid JSON, another number of fields than
// the table's header, too long) are left out, counted and logged as ReadOptions
// say. An error ends the sequence; a path without documents is ErrEmpty.
func Read(ctx context.Context, path string, opt ReadOptions) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		files, err := Files(path)
		if err != nil {
			yield(Document{}, err)
			return
		}
		documents := 0
		for _, file := range files {
			for doc, err := range readFile(ctx, file, opt) {
				if !yield(doc, err) || err != nil {
					return
				}
				documents++
			}
		}
		if documents == 0 {
			yield(Document{}, fmt.Errorf("%s: %w", path, ErrEmpty))
		}
	}
}

// readFile is Read for one file, which may hold no document.
func readFile(ctx context.Context, path string, opt ReadOptions) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		f, err := openData(path, opt)
		if err != nil {
			yield(Document{}, err)
			return
		}
		defer f.Close()
		broken := brokenCount{path: path, opt: opt}
		for n := 0; ; n++ {
			if n%64 == 0 && ctx.Err() != nil {
				yield(Document{}, ctx.Err())
				return
			}
			rec, more, err := f.next()
			if err == nil && !more {
				broken.summary()
				return
			}
			if err != nil {
				yield(Document{}, err)
				return
			}
			doc, err := f.parse(rec)
			if err != nil {
				if err = broken.add(err); err != nil {
					yield(Document{}, err)
					return
				}
				continue
			}
			if doc.leave {
				continue
			}
			if !yield(doc, nil) {
				return
			}
		}
	}
}

// brokenCount counts the broken records of a file.
type brokenCount struct {
	path string
	opt  ReadOptions
	n    int
}

// add counts a broken record and returns an error when there are too many.
func (b *brokenCount) add(err error) error {
	b.n++
	if b.n <= brokenShown && b.opt.Log != nil {
		b.opt.Log(err.Error())
	}
	limit := b.opt.MaxBroken
	switch {
	case limit == 0:
		limit = defaultMaxBroken
	case limit < 0:
		return err
	}
	if b.n > limit {
		return fmt.Errorf("%s: more than %d broken records, the last: %w", b.path, limit, err)
	}
	return nil
}

func (b *brokenCount) summary() {
	if b.n > 0 && b.opt.Log != nil {
		b.opt.Log(fmt.Sprintf("%s: %d broken records left out", b.path, b.n))
	}
}

// record is a stretch of a file that should hold one document.
type record struct {
	data []byte
	line int  // first line, from 1
	long bool // longer than MaxRecord; data is nil
}

// check returns what makes a record broken whatever its format is.
func (r record) check(maxRecord int) error {
	if r.long {
		return fmt.Errorf("longer than %d bytes", maxRecord)
	}
	if !utf8.Valid(r.data) {
		return errors.New("not UTF-8")
	}
	return nil
}
