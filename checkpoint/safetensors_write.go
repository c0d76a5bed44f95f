package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"

	"wenmo/internal/atomicfile"
)

// WriteSafetensors writes a safetensors file: all of it or, if anything fails,
// nothing. meta goes under __metadata__; it may be nil. The order is that of
// the safetensors library: by size of the element, largest first, then name.
func WriteSafetensors(path string, tensors []Out, meta map[string]string) error {
	header, sorted, err := safetensorsHeader(tensors, meta)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return writeSafetensors(w, header, sorted) })
}

func writeSafetensors(w io.Writer, header []byte, tensors []Out) error {
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := t.writeTo(w); err != nil {
			return err
		}
	}
	return nil
}

// safetensorsHeader returns everything before the data, and the tensors in the
// order that it promises.
func safetensorsHeader(tensors []Out, meta map[string]string) ([]byte, []Out, error) {
	sorted := append([]Out(nil), tensors...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		if x, y := a.DType.BlockBytes(), b.DType.BlockBytes(); x != y {
			return x > y
		}
		return a.Name < b.Name
	})
	header := []byte{'{'}
	var err error
	add := func(key string, value any) {
		name, e1 := json.Marshal(key)
		text, e2 := json.Marshal(value)
		err = errors.Join(err, e1, e2)
		if len(header) > 1 {
			header = append(header, ',')
		}
		header = append(append(append(header, name...), ':'), text...)
	}
	if len(meta) > 0 {
		add("__metadata__", meta)
	}
	at, last := 0, ""
	for i, t := range sorted {
		name := dtypes[t.DType].safetensors
		if name == "" {
			return nil, nil, fmt.Errorf("tensor %q: safetensors has no dtype %v", t.Name, t.DType)
		}
		if i > 0 && t.Name == last {
			return nil, nil, fmt.Errorf("tensor %q stands twice", t.Name)
		}
		last = t.Name
		size, e := t.bytes()
		if e != nil {
			return nil, nil, e
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		add(t.Name, struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{name, shape, [2]int{at, at + size}})
		at += size
	}
	if err != nil {
		return nil, nil, err
	}
	header = append(header, '}')
	for len(header)%8 != 0 { // so that the data begins at a multiple of eight
		header = append(header, ' ')
	}
	if len(header) > maxHeader {
		return nil, nil, fmt.Errorf("the header has %d bytes, more than %d", len(header), maxHeader)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), sorted, nil
}

// WriteSafetensorsDir writes the tensors as model.safetensors into dir, or, if
// they take more than maxShard bytes, as shards of at most that size (a larger
// tensor has a shard of its own) with an index, which comes last: without it
// shards are no model.
func WriteSafetensorsDir(dir string, tensors []Out, meta map[string]string, maxShard int) error {
	shards, total, err := splitShards(tensors, maxShard)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if len(shards) <= 1 {
		return WriteSafetensors(filepath.Join(dir, singleFile), tensors, meta)
	}
	if exists(filepath.Join(dir, singleFile)) {
		return fmt.Errorf("%s: it holds %s, which would hide the shards", dir, singleFile)
	}
	weightMap := map[string]string{}
	drafts := make([]*atomicfile.Draft, 0, len(shards))
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		for _, t := range shard {
			if other, ok := weightMap[t.Name]; ok {
				err = fmt.Errorf("tensor %q stands in %s and %s", t.Name, other, name)
			}
			weightMap[t.Name] = name
		}
		d, e := draftSafetensors(filepath.Join(dir, name), shard, meta)
		if d != nil {
			drafts = append(drafts, d)
		}
		if err = errors.Join(err, e); err != nil {
			break
		}
	}
	for _, d := range drafts {
		if err == nil {
			err = d.Publish()
		}
		if err != nil {
			d.Discard()
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	index, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": weightMap}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(dir, indexFile), append(index, '\n'))
}

// draftSafetensors writes a file that is yet to be published.
func draftSafetensors(path string, tensors []Out, meta map[string]string) (*atomicfile.Draft, error) {
	header, sorted, err := safetensorsHeader(tensors, meta)
	if err != nil {
		return nil, err
	}
	d, err := atomicfile.NewDraft(path)
	if err != nil {
		return nil, err
	}
	if err := writeSafetensors(d, header, sorted); err != nil {
		return d, err
	}
	return d, d.Finish()
}

// splitShards parts the tensors, in order, into runs of at most maxShard bytes.
func splitShards(tensors []Out, maxShard int) (shards [][]Out, total int, err error) {
	room := 0
	for _, t := range tensors {
		size, err := t.bytes()
		if err != nil {
			return nil, 0, err
		}
		if len(shards) == 0 || size > room {
			shards = append(shards, nil)
			room = maxShard
		}
		last := len(shards) - 1
		shards[last] = append(shards[last], t)
		room -= size
		total += size
	}
	return shards, total, nil
}
