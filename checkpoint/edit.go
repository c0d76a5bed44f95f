package checkpoint

import "slices"

// Edited returns a view of f without the tensors of drop, in which those of
// replace stand for those of their names, or beside the others, and in which
// edit changes, by name, the rows of matrices as they are read: it gets the
// values of stored row i (see Tensor). It may be called from many goroutines.
//
// The view shares f's mapping; closing either closes both.
func (f *File) Edited(drop []string, replace []Tensor, edit map[string]func(dst []float32, i int)) *File {
	v := *f
	v.tensors = slices.DeleteFunc(slices.Clone(f.tensors), func(t Tensor) bool { return slices.Contains(drop, t.Name) })
	v.index = make(map[string]int, len(f.index))
	for i := range v.tensors {
		t := &v.tensors[i]
		v.index[t.Name] = i
		if e := edit[t.Name]; e != nil {
			back := t.swap.back() // from the order in the file to that of the name
			t.edit = func(dst []float32, i int) { e(dst, back.row(i)) }
			t.Data = nil
		}
	}
	for _, t := range replace {
		if i, ok := v.index[t.Name]; ok {
			v.tensors[i] = t
			continue
		}
		v.index[t.Name] = len(v.tensors)
		v.tensors = append(v.tensors, t)
	}
	return &v
}
