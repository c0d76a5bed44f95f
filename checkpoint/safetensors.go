package checkpoint

import (
	"encoding/binary"
	"fmt"
	"sort"
	"unicode/utf8"
)

// maxHeader is the longest header that the safetensors library reads.
const maxHeader = 100_000_000

// parseSafetensors reads the header: its length (uint64), then JSON that maps
// names to {"dtype", "shape", "data_offsets": [begin, end]}, offsets counted
// from the end of the header. The tensors must fill the rest of the file
// without holes or overlap, as the safetensors library demands.
func (f *File) parseSafetensors(path string, data []byte) error {
	if len(data) < 8 {
		return fmt.Errorf("%s: %d bytes are too few for the length of a safetensors header", path, len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader {
		return fmt.Errorf("%s: header length %d is above the limit of %d bytes", path, n, maxHeader)
	}
	if n > uint64(len(data)-8) {
		return fmt.Errorf("%s: header length %d, but only %d bytes follow", path, n, len(data)-8)
	}
	header, body := data[8:8+n], data[8+n:]
	f.format, f.index, f.metadata = "safetensors", map[string]int{}, map[string]any{}
	p := headerParser{path: path, data: header}
	entries, err := p.parse(f)
	if err != nil {
		return err
	}
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i], entries[j]
		return a.begin < b.begin || a.begin == b.begin && a.end < b.end
	})
	if err := checkRanges(path, entries, len(body)); err != nil {
		return err
	}
	f.tensors = make([]Tensor, len(entries))
	for i, e := range entries {
		bytes := body[e.begin:e.end:e.end]
		f.tensors[i] = Tensor{
			Name: e.name, DType: e.dtype, Shape: e.shape, File: path,
			Data: bytes, mapped: bytes, file: data, at: 8 + int(n) + e.begin,
		}
		f.index[e.name] = i
	}
	return nil
}

// entry is a tensor of a safetensors header.
type entry struct {
	name       string
	dtype      DType
	shape      []int
	begin, end int
	placed     bool // begin and end are known
}

// checkRanges checks that entries, sorted by place, have the sizes that their
// shapes demand and fill size bytes one after the other.
func checkRanges(path string, entries []entry, size int) error {
	at := 0
	last := ""
	for _, e := range entries {
		if e.begin > e.end || e.end > size {
			return fmt.Errorf("%s: tensor %q: data_offsets [%d, %d] do not lie within the %d bytes of data", path, e.name, e.begin, e.end, size)
		}
		n, ok := elements(e.shape)
		if !ok || n > size || n*e.dtype.BlockBytes() != e.end-e.begin {
			return fmt.Errorf("%s: tensor %q: shape %v of %s does not take the %d bytes of data_offsets [%d, %d]",
				path, e.name, e.shape, e.dtype, e.end-e.begin, e.begin, e.end)
		}
		if e.begin < at {
			return fmt.Errorf("%s: tensor %q: data_offsets [%d, %d] overlap those of tensor %q, which end at %d", path, e.name, e.begin, e.end, last, at)
		}
		if e.begin > at {
			return fmt.Errorf("%s: tensor %q: a hole of %d bytes lies before data_offsets [%d, %d]", path, e.name, e.begin-at, e.begin, e.end)
		}
		at, last = e.end, e.name
	}
	if at != size {
		return fmt.Errorf("%s: the tensors end at %d of %d bytes of data", path, at, size)
	}
	return nil
}

// headerParser reads the JSON of a safetensors header, of which only one form
// is allowed. It is strict where encoding/json is not: keys must not repeat.
type headerParser struct {
	path string
	data []byte
	pos  int
}

func (p *headerParser) parse(f *File) ([]entry, error) {
	if !utf8.Valid(p.data) {
		return nil, p.errorf("the header is not UTF-8")
	}
	var entries []entry
	seen := map[string]bool{}
	err := p.object("header", func(name string) error {
		if seen[name] {
			return p.errorf("%q stands twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			return p.metadata(f)
		}
		e, err := p.entry(name)
		if err != nil {
			return err
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if p.skipSpace(); p.pos < len(p.data) {
		return nil, p.errorf("bytes follow the header's closing brace")
	}
	return entries, nil
}

func (p *headerParser) metadata(f *File) error {
	return p.object("__metadata__", func(key string) error {
		if _, ok := f.metadata[key]; ok {
			return p.errorf("__metadata__: %q stands twice", key)
		}
		value, err := p.str("value of __metadata__ " + key)
		if err != nil {
			return err
		}
		f.pairs = append(f.pairs, KV{key, value})
		f.metadata[key] = value
		return nil
	})
}

func (p *headerParser) entry(name string) (entry, error) {
	e := entry{name: name}
	err := p.object(name, func(key string) error {
		switch {
		case key == "dtype" && e.dtype == 0:
			text, err := p.str("dtype of " + name)
			if err != nil {
				return err
			}
			var ok bool
			if e.dtype, ok = safetensorsTypes[text]; !ok {
				return p.errorf("tensor %q: dtype %q is not supported", name, text)
			}
			return nil
		case key == "shape" && e.shape == nil:
			var err error
			e.shape, err = p.numbers("shape of " + name)
			return err
		case key == "data_offsets" && !e.placed:
			offsets, err := p.numbers("data_offsets of " + name)
			if err != nil {
				return err
			}
			if len(offsets) != 2 {
				return p.errorf("tensor %q: data_offsets has %d numbers, not 2", name, len(offsets))
			}
			e.begin, e.end, e.placed = offsets[0], offsets[1], true
			return nil
		}
		return p.errorf("tensor %q: key %q is unknown or stands twice", name, key)
	})
	if err == nil && (e.dtype == 0 || e.shape == nil || !e.placed) {
		err = p.errorf("tensor %q: dtype, shape and data_offsets wanted", name)
	}
	return e, err
}
