package dataset

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"wenmo/internal/mmap"
)

// What Arrow's format (Message.fbs, Schema.fbs of version 1.5) calls by number.
const (
	arrowSchema     = 1 // headers of messages
	arrowDictionary = 2
	arrowBatch      = 3

	arrowNull          = 1 // types
	arrowInt           = 2
	arrowFloat         = 3
	arrowBinary        = 4
	arrowText          = 5
	arrowBool          = 6
	arrowDate          = 8
	arrowTime          = 9
	arrowTimestamp     = 10
	arrowList          = 12
	arrowStruct        = 13
	arrowFixedSizeList = 16
	arrowMap           = 17
	arrowDuration      = 18
	arrowLargeBinary   = 19
	arrowLargeText     = 20
	arrowLargeList     = 21

	arrowMagic     = "ARROW1\x00\x00"
	arrowMaxFields = 4096 // nested ones included
)

// flatTable is a table of a flatbuffer. What lies about offsets panics.
type flatTable struct {
	data []byte
	at   int
}

// field returns where field i of the table is; 0: it has its default.
func (t flatTable) field(i int) int {
	table := t.at - int(int32(binary.LittleEndian.Uint32(t.data[t.at:])))
	if 4+2*i >= int(binary.LittleEndian.Uint16(t.data[table:])) {
		return 0
	}
	if offset := int(binary.LittleEndian.Uint16(t.data[table+4+2*i:])); offset > 0 {
		return t.at + offset
	}
	return 0
}

// number returns field i, which has that many bytes.
func (t flatTable) number(i, size, otherwise int) int {
	at := t.field(i)
	if at == 0 {
		return otherwise
	}
	return int(arrowInteger(t.data[at:at+size], true))
}

func (t flatTable) table(i int) (flatTable, bool) {
	at := t.field(i)
	if at == 0 {
		return t, false
	}
	return flatTable{t.data, at + int(binary.LittleEndian.Uint32(t.data[at:]))}, true
}

// vector returns where the elements of field i are, and their number.
func (t flatTable) vector(i int) (at, n int) {
	v, ok := t.table(i)
	if !ok {
		return 0, 0
	}
	return v.at + 4, int(binary.LittleEndian.Uint32(t.data[v.at:]))
}

// structs returns the elements of field i, which have 16 bytes each.
func (t flatTable) structs(i int) []byte {
	at, n := t.vector(i)
	return t.data[at:][:16*n]
}

// arrowInteger returns a little-endian integer of 1 to 8 bytes.
func arrowInteger(b []byte, signed bool) int64 {
	v := uint64(0)
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	if shift := 64 - 8*len(b); signed {
		return int64(v<<shift) >> shift
	}
	return int64(v)
}

// arrowField is a column, or a part of one, as the schema tells.
type arrowField struct {
	name     []byte // as JSON
	kind     int
	width    int // bytes of a number or an offset; elements of a fixed-size list
	signed   bool
	children []arrowField
	words    bool // the values, then integers, are numbers of those of a dictionary
	id       int  // of the dictionary
}

// arrowColumn is the values of a field.
type arrowColumn struct {
	*arrowField
	n        int
	valid    []byte // a bit each; nil: no value is null
	offsets  []byte
	values   []byte
	children []arrowColumn
	parts    []arrowColumn // of a dictionary, one behind the other
}

// arrowReader reads Arrow's IPC stream, or the IPC file format, which is a stream
// between a magic and a footer.
type arrowReader struct {
	data         []byte // mapped
	at           int
	limit        int
	fields       []arrowField
	left         int                 // fields that the schema may still have
	encoded      map[int]*arrowField // values of dictionaries
	dictionaries map[int][]arrowColumn
	columns      []arrowColumn // of the batch
	next, rows   int           // in it
	row          int           // from 1
	end          bool
}

// startArrow reads the rows of a file as the IPC writers of Arrow make it, such
// as those that save_to_disk of Hugging Face's datasets leaves, each as the JSON
// object that its columns make. Dates and times are the numbers that they are
// stored as.
func (f *dataFile) startArrow(compression string) (err error) {
	if compression != "" {
		return errors.New("arrow inside another compression, which cannot be mapped")
	}
	file, err := mmap.Open(f.path)
	if err != nil {
		return err
	}
	f.done = append(f.done, func() { _ = file.Close() })
	a := &arrowReader{data: file.Data, limit: f.opt.maxRecord(), left: arrowMaxFields, encoded: map[int]*arrowField{}, dictionaries: map[int][]arrowColumn{}}
	if err := a.guard(f.path, a.readSchema); err != nil {
		return err
	}
	f.read = f.readJSON
	f.records = func() (rec record, more bool, err error) {
		rec.line = a.row + 1
		err = a.guard(f.path, func() (err error) { more, err = a.record(&rec); return err })
		f.pos.n.Store(int64(a.at))
		return rec, more, err
	}
	return nil
}

// guard makes errors of what goes wrong in read, which takes what the file says
// for granted.
func (a *arrowReader) guard(path string, read func() error) (err error) {
	defer recoverBroken("arrow", &err)
	if err := mmap.Guard(path, read); err != nil {
		return fmt.Errorf("arrow: byte %d: %w", a.at, err)
	}
	return nil
}

// message reads the next message, of which kind tells the header.
func (a *arrowReader) message() (kind int, header flatTable, body []byte, err error) {
	at := a.at + 8
	if at > len(a.data) {
		return 0, header, nil, io.ErrUnexpectedEOF
	}
	if binary.LittleEndian.Uint32(a.data[a.at:]) != math.MaxUint32 {
		return 0, header, nil, errors.New("no message of Arrow's, or one of before 2019")
	}
	n := int(binary.LittleEndian.Uint32(a.data[a.at+4:]))
	if a.end = n == 0; a.end {
		return 0, header, nil, nil
	}
	if n > len(a.data)-at {
		return 0, header, nil, fmt.Errorf("a message of %d bytes: %w", n, io.ErrUnexpectedEOF)
	}
	message := flatTable{a.data[at : at+n], int(binary.LittleEndian.Uint32(a.data[at:]))}
	at += n
	size := message.number(3, 8, 0)
	if size < 0 || size > len(a.data)-at {
		return 0, header, nil, fmt.Errorf("the body of a message of %d bytes: %w", size, io.ErrUnexpectedEOF)
	}
	header, _ = message.table(2)
	a.at = at + size
	return message.number(1, 1, 0), header, a.data[at:a.at:a.at], nil
}

func (a *arrowReader) readSchema() error {
	if len(a.data) >= len(arrowMagic) && string(a.data[:len(arrowMagic)]) == arrowMagic {
		a.at = len(arrowMagic)
	}
	kind, schema, _, err := a.message()
	if err != nil {
		return err
	}
	if kind != arrowSchema {
		return errors.New("it does not begin with a schema")
	}
	if schema.number(0, 2, 0) != 0 {
		return errors.New("big-endian numbers, which are not supported")
	}
	a.fields, err = a.readFields(schema, 1)
	return err
}

// readFields reads the fields in vector i of a table.
func (a *arrowReader) readFields(t flatTable, i int) ([]arrowField, error) {
	at, n := t.vector(i)
	if a.left -= n; a.left < 0 {
		return nil, fmt.Errorf("more than %d columns", arrowMaxFields)
	}
	fields := make([]arrowField, n)
	for k := range fields {
		offset := at + 4*k
		field := flatTable{t.data, offset + int(binary.LittleEndian.Uint32(t.data[offset:]))}
		if err := a.readField(&fields[k], field); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func (a *arrowReader) readField(f *arrowField, t flatTable) (err error) {
	at, n := t.vector(0)
	f.name = appendQuoted(nil, t.data[at:at+n])
	if f.children, err = a.readFields(t, 5); err != nil {
		return err
	}
	f.kind = t.number(2, 1, 0)
	kind, _ := t.table(3)
	children := 0
	switch f.kind {
	case arrowNull, arrowBool:
	case arrowBinary, arrowText:
		f.width = 4
	case arrowTimestamp, arrowDuration, arrowLargeBinary, arrowLargeText:
		f.width = 8
	case arrowInt:
		f.width, f.signed = kind.number(0, 4, 0)/8, kind.number(1, 1, 0) != 0
	case arrowFloat:
		f.width = 2 << kind.number(0, 2, 0)
	case arrowDate: // days, milliseconds
		f.width = 4 << kind.number(0, 2, 1)
	case arrowTime:
		f.width = kind.number(1, 4, 32) / 8
	case arrowFixedSizeList:
		f.width, children = kind.number(0, 4, 0), 1
	case arrowList, arrowMap:
		f.width, children = 4, 1
	case arrowLargeList:
		f.width, children = 8, 1
	case arrowStruct:
		children = len(f.children)
	default:
		return fmt.Errorf("column %s: type %d of the format is not supported", f.name, f.kind)
	}
	switch f.kind {
	case arrowDate, arrowTime, arrowTimestamp, arrowDuration:
		f.kind, f.signed = arrowInt, true
	}
	if f.kind == arrowFloat && f.width < 4 || f.kind == arrowInt && f.width < 1 || f.kind != arrowFixedSizeList && f.width > 8 || f.width < 0 || len(f.children) != children {
		return fmt.Errorf("column %s: %d bytes and %d children of type %d", f.name, f.width, len(f.children), f.kind)
	}
	if encoding, ok := t.table(4); ok {
		values := *f
		a.encoded[encoding.number(0, 8, 0)] = &values
		*f = arrowField{name: f.name, kind: arrowInt, width: 4, signed: true, words: true, id: encoding.number(0, 8, 0)}
		if index, ok := encoding.table(1); ok {
			f.width, f.signed = min(max(index.number(0, 4, 0)/8, 1), 8), index.number(1, 1, 0) != 0
		}
	}
	return nil
}

// record makes a record of the next row.
func (a *arrowReader) record(rec *record) (more bool, err error) {
	for a.next == a.rows {
		if a.end {
			return false, nil
		}
		if err := a.readBatch(); err != nil {
			return false, err
		}
	}
	row := arrowColumn{arrowField: &arrowField{kind: arrowStruct}, children: a.columns}
	line := row.appendJSON(nil, a.next, a.limit)
	a.next++
	a.row++
	if rec.long = len(line) > a.limit; !rec.long {
		rec.data = line
	}
	return true, nil
}

// readBatch reads up to and with the next batch of rows, or the end.
func (a *arrowReader) readBatch() error {
	kind, header, body, err := a.message()
	switch {
	case err != nil || a.end:
		return err
	case kind == arrowDictionary:
		return a.readDictionary(header, body)
	case kind != arrowBatch:
		return fmt.Errorf("a message of type %d", kind)
	}
	rows := header.number(0, 8, 0)
	if rows < 0 || rows > 8*len(a.data) { // columns of nulls alone lie at no cost
		return fmt.Errorf("%d rows in %d bytes", rows, len(a.data))
	}
	a.columns, err = a.load(a.fields, header, body)
	a.next, a.rows = 0, rows
	return err
}

func (a *arrowReader) readDictionary(header flatTable, body []byte) error {
	id := header.number(0, 8, 0)
	data, _ := header.table(1)
	field, ok := a.encoded[id]
	if !ok {
		return fmt.Errorf("dictionary %d is of no column", id)
	}
	words, err := a.load([]arrowField{*field}, data, body)
	if header.number(2, 1, 0) != 0 { // a delta
		words = append(a.dictionaries[id], words...)
	}
	a.dictionaries[id] = words
	return err
}

// arrowLoader takes the columns of a batch out of its body.
type arrowLoader struct {
	*arrowReader
	body           []byte
	nodes, buffers []byte // that are left
}

func (a *arrowReader) load(fields []arrowField, header flatTable, body []byte) ([]arrowColumn, error) {
	if _, ok := header.table(3); ok {
		return nil, errors.New("compressed columns, which are not supported")
	}
	l := arrowLoader{a, body, header.structs(1), header.structs(2)}
	return l.columns(fields), nil
}

// pair takes the two numbers of a struct off the first of list.
func pair(list *[]byte) (first, second int) {
	s := (*list)[:16]
	*list = (*list)[16:]
	return int(arrowInteger(s[:8], true)), int(arrowInteger(s[8:], true))
}

// next returns the next buffer.
func (l *arrowLoader) next() []byte {
	from, size := pair(&l.buffers)
	return l.body[from:][:size:size]
}

func (l *arrowLoader) columns(fields []arrowField) []arrowColumn {
	columns := make([]arrowColumn, len(fields))
	for i := range fields {
		f, c := &fields[i], &columns[i]
		n, nulls := pair(&l.nodes)
		c.arrowField, c.n = f, n
		if f.kind == arrowNull {
			continue
		}
		if c.valid = l.next(); nulls == 0 || len(c.valid) == 0 {
			c.valid = nil
		}
		switch f.kind {
		case arrowBinary, arrowText, arrowLargeBinary, arrowLargeText:
			c.offsets, c.values = l.next(), l.next()
		case arrowList, arrowMap, arrowLargeList:
			c.offsets = l.next()
		case arrowStruct, arrowFixedSizeList:
		default:
			c.values = l.next()
		}
		if f.words {
			c.parts = l.dictionaries[f.id]
		}
		c.children = l.columns(f.children)
	}
	return columns
}

// appendJSON appends value i; beyond limit it may end anywhere.
func (c *arrowColumn) appendJSON(b []byte, i, limit int) []byte {
	if c.kind == arrowNull || c.valid != nil && c.valid[i/8]&(1<<(i%8)) == 0 {
		return append(b, "null"...)
	}
	switch c.kind {
	case arrowInt:
		return c.appendInteger(b, i, limit)
	case arrowFloat:
		bits := uint64(c.number(c.values, i))
		v := math.Float64frombits(bits)
		if c.width == 4 {
			v = float64(math.Float32frombits(uint32(bits)))
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return append(b, "null"...)
		}
		return strconv.AppendFloat(b, v, 'g', -1, 8*c.width)
	case arrowBool:
		return strconv.AppendBool(b, c.values[i/8]&(1<<(i%8)) != 0)
	case arrowFixedSizeList:
		return c.appendList(b, i*c.width, (i+1)*c.width, limit)
	case arrowStruct:
		b = append(b, '{')
		for k := 0; k < len(c.children) && len(b) <= limit; k++ {
			if k > 0 {
				b = append(b, ',')
			}
			b = append(append(b, c.children[k].name...), ':')
			b = c.children[k].appendJSON(b, i, limit)
		}
		return append(b, '}')
	}
	from, to := int(c.number(c.offsets, i)), int(c.number(c.offsets, i+1))
	switch c.kind {
	case arrowList, arrowMap, arrowLargeList:
		return c.appendList(b, from, to, limit)
	case arrowBinary, arrowLargeBinary:
		b = base64.StdEncoding.AppendEncode(append(b, '"'), c.values[from:to][:min(to-from, limit+1)])
		return append(b, '"')
	}
	return appendQuoted(b, c.values[from:to][:min(to-from, limit+1)])
}

// number returns number i of values or of offsets.
func (c *arrowColumn) number(of []byte, i int) int64 {
	return arrowInteger(of[i*c.width:][:c.width], c.signed || c.kind != arrowInt)
}

func (c *arrowColumn) appendInteger(b []byte, i, limit int) []byte {
	v := c.number(c.values, i)
	if !c.words {
		if c.signed {
			return strconv.AppendInt(b, v, 10)
		}
		return strconv.AppendUint(b, uint64(v), 10)
	}
	k := int(v)
	for w := range c.parts {
		if k >= 0 && k < c.parts[w].n {
			return c.parts[w].appendJSON(b, k, limit)
		}
		k -= c.parts[w].n
	}
	panic(fmt.Sprintf("column %s: value %d of a dictionary that has fewer", c.name, v))
}

func (c *arrowColumn) appendList(b []byte, from, to, limit int) []byte {
	b = append(b, '[')
	for i := from; i < to && len(b) <= limit; i++ {
		if i > from {
			b = append(b, ',')
		}
		b = c.children[0].appendJSON(b, i, limit)
	}
	return append(b, ']')
}

// appendQuoted appends text as a JSON string, as it is where it is no UTF-8.
func appendQuoted(b, text []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
