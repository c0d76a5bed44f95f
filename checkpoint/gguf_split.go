package checkpoint

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"wenmo/internal/mmap"
)

// firstPart is the name of the first file of a split model, as llama.cpp's
// gguf-split gives it.
var firstPart = regexp.MustCompile(`^(.*)-00001-of-(\d{5})\.gguf$`)

// parts returns over how many files the model is split of which f is one, and
// which of them it is, from 0.
func (f *File) parts() (count, number int) {
	count, _ = whole(f.metadata[keySplitCount])
	number, _ = whole(f.metadata[keySplitNumber])
	return max(count, 1), number
}

// joinParts adds the tensors of the other files of a split model to f, its first.
func (f *File) joinParts() error {
	count, number := f.parts()
	if count == 1 {
		return nil
	}
	name := firstPart.FindStringSubmatch(f.path)
	if number != 0 || name == nil || name[2] != fmt.Sprintf("%05d", count) {
		return fmt.Errorf("%s: part %d of a model that is split over %d files: open the first, whose name must end in -00001-of-%05[3]d.gguf", f.path, number+1, count)
	}
	for i := 1; i < count; i++ {
		if err := f.joinPart(fmt.Sprintf("%s-%05d-of-%s.gguf", name[1], i+1, name[2]), i, count); err != nil {
			return fmt.Errorf("part of %s: %w", f.path, err)
		}
	}
	return nil
}

func (f *File) joinPart(path string, number, count int) error {
	m, err := mmap.Open(path)
	if err != nil {
		return err
	}
	f.maps = append(f.maps, m)
	part := &File{path: path}
	if err := mmap.Guard(path, func() error { return part.parseGGUF(path, m.Data) }); err != nil {
		return err
	}
	if c, n := part.parts(); c != count || n != number {
		return fmt.Errorf("%s: it says that it is part %d of %d, want %d of %d", path, n+1, c, number+1, count)
	}
	mmap.DontNeed(m.Data)
	for _, t := range part.tensors {
		if _, ok := f.index[t.Name]; ok {
			return fmt.Errorf("%s: tensor %q stands in another part, too", path, t.Name)
		}
		f.index[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return nil
}

// theFirst returns the first part, where paths are those of one split model.
func theFirst(paths []string) (string, bool) {
	for _, p := range paths {
		if m := firstPart.FindStringSubmatch(filepath.Base(p)); m != nil {
			of := "-of-" + m[2] + ".gguf"
			for _, other := range paths {
				if rest, ok := strings.CutPrefix(filepath.Base(other), m[1]+"-"); !ok || len(rest) != 5+len(of) || !strings.HasSuffix(rest, of) {
					return "", false
				}
			}
			return p, true
		}
	}
	return "", false
}
