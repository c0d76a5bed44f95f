package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The ways to part a text file into documents. Any other text is a separator
// that stands between documents.
const (
	// SeparatorPieces takes a file as one document; a long one is cut after
	// blank lines, or else lines, into documents of some 8 KiB: about as much
	// as a context of 2048 tokens sees.
	SeparatorPieces = ""
	SeparatorFile   = "file"  // a file is a document
	SeparatorBlank  = "blank" // blank lines part documents
	SeparatorLine   = "line"  // a line is a document
)

const pieceBytes = 8 << 10

// scanner cuts a stream into records.
type scanner struct {
	in    *bufio.Reader
	line  int // of the next byte
	limit int // bytes of a record
}

// until reads up to and with the next delim, or the end. more is false when
// there was nothing left. The data has no delim.
func (s *scanner) until(delim []byte) (rec record, more bool, err error) {
	rec.line = s.line
	last, n := delim[len(delim)-1], 0
	var buf []byte
	for {
		chunk, err := s.in.ReadSlice(last)
		n += len(chunk)
		s.line += bytes.Count(chunk, []byte{'\n'})
		buf = append(buf, chunk...)
		found := err == nil && bytes.HasSuffix(buf, delim)
		if found {
			buf = buf[:len(buf)-len(delim)]
		}
		if len(buf) > s.limit { // keep what may be the beginning of delim
			rec.long = true
			buf = append(buf[:0], buf[len(buf)-min(len(buf), len(delim)):]...)
		}
		if found || err == io.EOF {
			break
		}
		if err != nil && err != bufio.ErrBufferFull {
			return rec, false, err
		}
	}
	if !rec.long {
		rec.data = buf
	}
	return rec, n > 0, nil
}

var newline = []byte{'\n'}

// lines gives lines without their ends, \n or \r\n.
func (s *scanner) lines() (record, bool, error) {
	rec, more, err := s.until(newline)
	rec.data = bytes.TrimSuffix(rec.data, []byte{'\r'})
	return rec, more, err
}

// texts gives the documents of a text file.
func (s *scanner) texts(separator string) func() (record, bool, error) {
	switch separator {
	case SeparatorLine:
		return s.lines
	case SeparatorPieces:
		return s.paragraphs(func(size int, blank bool) bool {
			return size >= pieceBytes && blank || size >= 2*pieceBytes
		})
	case SeparatorFile:
		return s.paragraphs(func(int, bool) bool { return false })
	case SeparatorBlank:
		return s.paragraphs(func(_ int, blank bool) bool { return blank })
	}
	delim := []byte(separator)
	return func() (record, bool, error) { return s.until(delim) }
}

// paragraphs gathers lines into documents, until end says that one is complete
// when it has size bytes and its last line is blank or not.
func (s *scanner) paragraphs(end func(size int, blank bool) bool) func() (record, bool, error) {
	return func() (record, bool, error) {
		doc := record{line: s.line}
		for {
			rec, more, err := s.lines()
			if err != nil {
				return rec, false, err
			}
			blank := !rec.long && len(bytes.TrimSpace(rec.data)) == 0
			if blank && more && len(doc.data) == 0 && !doc.long {
				doc.line = s.line
				continue
			}
			size := len(doc.data) + len(rec.data) + 1
			if doc.long = doc.long || rec.long || size > s.limit+1; doc.long {
				doc.data = nil
			} else if more {
				doc.data = append(append(doc.data, rec.data...), '\n')
			}
			if !more || end(size, blank) {
				doc.data = bytes.TrimRight(doc.data, " \t\r\n")
				return doc, more || len(doc.data) > 0 || doc.long, nil
			}
		}
	}
}

// csvRecord gives the lines of a record of a table whose fields may be quoted
// and then hold line ends. A quote that is never closed is an error: it would
// take the rest of the file for one field.
func (s *scanner) csvRecord() (record, bool, error) {
	rec, more, err := s.until(newline)
	if err != nil || !more || rec.long {
		return rec, more, err
	}
	open := quoteOpen(rec.data, false)
	for open {
		next, more, err := s.until(newline)
		if err != nil {
			return next, false, err
		}
		if !more || next.long || len(rec.data)+len(next.data) > s.limit {
			return rec, false, errors.New("a quoted field that begins in this record does not end")
		}
		open = quoteOpen(next.data, true)
		rec.data = append(append(rec.data, '\n'), next.data...)
	}
	return rec, true, nil
}

// quoteOpen says whether a quoted field is open at the end of a line, given
// whether one is at its beginning. A quote opens a field only as its first
// byte; a doubled one closes and opens again.
func quoteOpen(line []byte, open bool) bool {
	first := true
	for _, c := range line {
		switch {
		case open:
			open = c != '"'
			first = c == '"' // may be the first half of a doubled one
		case c == '"' && first:
			open = true
		default:
			first = c == ','
		}
	}
	return open
}

// elements gives the elements of a JSON list, or the values of a file that
// holds objects one after the other.
func (s *scanner) elements() func() (record, bool, error) {
	list, started := false, false
	return func() (record, bool, error) {
		c, err := s.skip()
		switch {
		case err == nil && c == '[' && !started:
			list = true
			c, err = s.skip()
		case err == nil && c == ',' && list && started:
			c, err = s.skip()
		}
		started = true
		rec := record{line: s.line}
		switch {
		case err == io.EOF && !list:
			return rec, false, nil
		case err == io.EOF:
			return rec, false, fmt.Errorf("the list does not end: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return rec, false, err
		case c == ']' && list:
			return rec, false, nil
		case c != '{':
			return rec, false, fmt.Errorf("%q where an object should begin", c)
		}
		return s.object(rec)
	}
}

// skip returns the next byte that is no white space.
func (s *scanner) skip() (byte, error) {
	for {
		c, err := s.in.ReadByte()
		switch {
		case err != nil:
			return 0, err
		case c == '\n':
			s.line++
		case c != ' ' && c != '\t' && c != '\r':
			return c, nil
		}
	}
}

// object reads the rest of an object whose brace has been read.
func (s *scanner) object(rec record) (record, bool, error) {
	rec.data = []byte{'{'}
	for depth, quoted, escaped := 1, false, false; depth > 0; {
		c, err := s.in.ReadByte()
		if err == io.EOF {
			err = fmt.Errorf("the object does not end: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			return rec, false, err
		}
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == '\n':
			s.line++
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if len(rec.data) >= s.limit {
			rec.long = true
		} else {
			rec.data = append(rec.data, c)
		}
	}
	if rec.long {
		rec.data = nil
	}
	return rec, true, nil
}
