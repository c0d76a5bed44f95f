package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"sort"
)

// GGUF, versions 2 and 3 (github.com/ggml-org/ggml, docs/gguf.md), little
// endian: magic, version (uint32), counts of tensors and metadata (uint64);
// the metadata; the tensor infos; padding; the data. A string is its length
// (uint64) and its bytes.
const (
	ggufMagic     = "GGUF"
	ggufVersion   = 3
	ggufAlignment = 32 // where general.alignment does not say otherwise
	ggufMaxDims   = 4
)

func (f *File) parseGGUF(path string, data []byte) error {
	f.format, f.index, f.metadata = "gguf", map[string]int{}, map[string]any{}
	c := &cursor{path: path, data: data}
	tensors, pairs, err := c.header()
	if err != nil {
		return err
	}
	for i := range pairs {
		kv, err := c.pair(i)
		if err != nil {
			return err
		}
		if _, ok := f.metadata[kv.Key]; ok {
			return fmt.Errorf("%s: metadata %q stands twice", path, kv.Key)
		}
		f.metadata[kv.Key] = kv.Value
		f.pairs = append(f.pairs, kv)
	}
	alignment, err := alignmentOf(f.pairs)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var infos []tensorInfo
	for i := range tensors {
		info, err := c.tensorInfo(i)
		if err != nil {
			return err
		}
		if _, ok := f.index[info.name]; ok {
			return fmt.Errorf("%s: tensor %q stands twice", path, info.name)
		}
		f.index[info.name] = i
		infos = append(infos, info)
	}
	return f.place(c, infos, alignment)
}

// alignmentOf returns general.alignment, or the default where it is missing.
func alignmentOf(pairs []KV) (int, error) {
	for _, kv := range pairs {
		if kv.Key != keyAlignment {
			continue
		}
		n, ok := kv.Value.(uint32)
		if !ok || bits.OnesCount32(n) != 1 {
			return 0, fmt.Errorf("metadata %q: a uint32 that is a power of two wanted, found %T %v", keyAlignment, kv.Value, kv.Value)
		}
		return int(n), nil
	}
	return ggufAlignment, nil
}

// place finds the bytes of the tensors, which lie at multiples of alignment
// after the infos, inside the file and apart from each other.
func (f *File) place(c *cursor, infos []tensorInfo, alignment int) error {
	start := min((c.pos+alignment-1)/alignment*alignment, len(c.data))
	body := c.data[start:]
	f.tensors = make([]Tensor, len(infos))
	for i, info := range infos {
		size := info.dtype.RowBytes(info.elements)
		if info.offset%uint64(alignment) != 0 {
			return fmt.Errorf("%s: tensor %q: offset %d is not a multiple of the alignment %d", c.path, info.name, info.offset, alignment)
		}
		if info.offset > uint64(len(body)) || uint64(size) > uint64(len(body))-info.offset {
			return fmt.Errorf("%s: tensor %q: %d bytes at offset %d do not lie within the %d bytes of data", c.path, info.name, size, info.offset, len(body))
		}
		bytes := body[info.offset:][:size:size]
		f.tensors[i] = Tensor{
			Name: info.name, DType: info.dtype, Shape: info.shape, File: c.path,
			Data: bytes, mapped: bytes, file: c.data, at: start + int(info.offset),
		}
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].offset < infos[j].offset })
	var end uint64
	last := ""
	for _, info := range infos {
		size := info.dtype.RowBytes(info.elements)
		if size > 0 && info.offset < end {
			return fmt.Errorf("%s: tensor %q at offset %d overlaps tensor %q, which ends at %d", c.path, info.name, info.offset, last, end)
		}
		if size > 0 {
			end, last = info.offset+uint64(size), info.name
		}
	}
	return nil
}

// tensorInfo describes a tensor of a GGUF file.
type tensorInfo struct {
	name     string
	dtype    DType
	shape    []int // outermost first
	elements int
	offset   uint64 // from the start of the data
}

// header reads up to the counts, and returns those of tensors and metadata.
func (c *cursor) header() (tensors, pairs int, err error) {
	if len(c.data) < len(ggufMagic) || string(c.data[:len(ggufMagic)]) != ggufMagic {
		return 0, 0, fmt.Errorf("%s: magic %q wanted, found %q", c.path, ggufMagic, c.data[:min(len(ggufMagic), len(c.data))])
	}
	c.pos = len(ggufMagic)
	version, err := c.u32("version")
	if err != nil {
		return 0, 0, err
	}
	switch {
	case version == 1:
		return 0, 0, fmt.Errorf("%s: version 1 of GGUF is not supported (known: 2, 3)", c.path)
	case version&0xffff == 0 && version != 0:
		return 0, 0, fmt.Errorf("%s: version: the file is big endian, which is not supported", c.path)
	case version != 2 && version != ggufVersion:
		return 0, 0, fmt.Errorf("%s: version %d of GGUF is not supported (known: 2, 3)", c.path, version)
	}
	// Counts are only checked roughly, so that a message can name the piece
	// in which a file that was cut short ends.
	if tensors, err = c.count("tensor count", 1); err != nil {
		return 0, 0, err
	}
	pairs, err = c.count("metadata count", 1)
	return tensors, pairs, err
}

func (c *cursor) tensorInfo(i int) (tensorInfo, error) {
	var t tensorInfo
	var err error
	if t.name, err = c.str(fmt.Sprintf("name of tensor %d", i)); err != nil {
		return t, err
	}
	what := fmt.Sprintf("info of tensor %q", t.name)
	dims, err := c.u32(what)
	if err != nil {
		return t, err
	}
	if dims > ggufMaxDims {
		return t, fmt.Errorf("%s: tensor %q has %d dimensions, more than %d", c.path, t.name, dims, ggufMaxDims)
	}
	t.shape = make([]int, dims)
	for d := range t.shape {
		n, err := c.u64(what)
		if err != nil {
			return t, err
		}
		if n > uint64(len(c.data))*256 { // no type packs more elements into a byte
			return t, fmt.Errorf("%s: tensor %q: a dimension of %d in a file of %d bytes", c.path, t.name, n, len(c.data))
		}
		t.shape[len(t.shape)-1-d] = int(n)
	}
	number, err := c.u32(what)
	if err != nil {
		return t, err
	}
	var ok bool
	if t.dtype, ok = ggufTypes[number]; !ok {
		return t, fmt.Errorf("%s: tensor %q: type %d is not supported", c.path, t.name, number)
	}
	if t.elements, ok = elements(t.shape); !ok || t.elements/t.dtype.BlockLen() > math.MaxInt/t.dtype.RowBytes(t.dtype.BlockLen()) {
		return t, fmt.Errorf("%s: tensor %q: shape %v is too large", c.path, t.name, t.shape)
	}
	if k := t.rowLen(); k%t.dtype.BlockLen() != 0 {
		return t, fmt.Errorf("%s: tensor %q: rows of %d elements are not whole blocks of %s, which have %d", c.path, t.name, k, t.dtype, t.dtype.BlockLen())
	}
	t.offset, err = c.u64(what)
	return t, err
}

func (t tensorInfo) rowLen() int {
	if len(t.shape) == 0 {
		return 1
	}
	return t.shape[len(t.shape)-1]
}

// cursor reads little-endian values one after the other. What it reads is
// named in its errors.
type cursor struct {
	path string
	data []byte
	pos  int
}

func (c *cursor) take(n uint64, what string) ([]byte, error) {
	left := len(c.data) - c.pos
	if n > uint64(left) {
		return nil, fmt.Errorf("%s: %s: %d bytes wanted at %d, but the file ends after %d", c.path, what, n, c.pos, left)
	}
	b := c.data[c.pos:][:n]
	c.pos += int(n)
	return b, nil
}

func (c *cursor) u32(what string) (uint32, error) {
	b, err := c.take(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) u64(what string) (uint64, error) {
	b, err := c.take(8, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (c *cursor) str(what string) (string, error) {
	n, err := c.u64("length of " + what)
	if err != nil {
		return "", err
	}
	b, err := c.take(n, what)
	return string(b), err
}

// count reads a number of things that take at least size bytes each.
func (c *cursor) count(what string, size int) (int, error) {
	n, err := c.u64(what)
	if err != nil {
		return 0, err
	}
	if left := len(c.data) - c.pos; n > uint64(left/size) {
		return 0, fmt.Errorf("%s: %s %d cannot be right: only %d bytes follow", c.path, what, n, left)
	}
	return int(n), nil
}
