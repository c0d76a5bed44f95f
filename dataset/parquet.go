package dataset

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// parquetRows is how many rows are read at a time.
const parquetRows = 16

// startParquet reads the rows of a parquet file, each as the JSON object that
// its columns make.
func (f *dataFile) startParquet(compression string) (err error) {
	defer recoverBroken("parquet", &err)
	if compression != "" {
		return errors.New("parquet inside another compression, which has no random access")
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if err := checkFooter(f.file, info.Size()); err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	file, err := parquet.OpenFile(f.file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	reader := parquet.NewGenericReader[any](file, file.Schema())
	f.done = append(f.done, func() { _ = reader.Close() })
	rows := parquetReader{reader: reader, limit: f.opt.maxRecord()}
	f.read = f.readJSON
	f.records = func() (record, bool, error) {
		rec, more, err := rows.next()
		f.pos.n.Store(int64(float64(info.Size()) * float64(rows.row) / float64(max(file.NumRows(), 1))))
		return rec, more, err
	}
	return nil
}

// checkFooter compares the length of the footer, for which the library makes
// room, with the file's.
func checkFooter(r io.ReaderAt, size int64) error {
	const magic, head, tail = "PAR1", 4, 8
	var end [tail]byte
	if size < head+tail {
		return fmt.Errorf("%d bytes are no file", size)
	}
	if _, err := r.ReadAt(end[:], size-tail); err != nil {
		return err
	}
	if string(end[4:]) != magic {
		return fmt.Errorf("it ends in %q, want %q", end[4:], magic)
	}
	if n := binary.LittleEndian.Uint32(end[:]); int64(n) > size-head-tail {
		return fmt.Errorf("a footer of %d bytes in a file of %d", n, size)
	}
	return nil
}

type parquetReader struct {
	reader *parquet.GenericReader[any]
	limit  int
	row    int // from 1
	rows   []any
	left   []any // of rows
	end    bool
}

func (p *parquetReader) next() (rec record, more bool, err error) {
	rec.line = p.row + 1
	defer recoverBroken("parquet", &err)
	if len(p.left) == 0 && !p.end {
		p.rows = make([]any, parquetRows)
		n, err := p.reader.Read(p.rows)
		p.left = p.rows[:n]
		if p.end = err == io.EOF || n == 0; err != nil && !p.end {
			return rec, false, fmt.Errorf("parquet: %w", err)
		}
	}
	if len(p.left) == 0 {
		return rec, false, nil
	}
	p.row++
	data, err := json.Marshal(p.left[0])
	if err != nil {
		return rec, false, fmt.Errorf("parquet: %w", err)
	}
	p.left = p.left[1:]
	if rec.long = len(data) > p.limit; !rec.long {
		rec.data = data
	}
	return rec, true, nil
}

// recoverBroken makes an error of a panic of what takes much of what a file says
// for granted, such as the library.
func recoverBroken(format string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: the file is broken: %v", format, r)
	}
}
