package checkpoint

import (
	"errors"
	"slices"
)

// Report is what there is to say about a checkpoint without its config.
type Report struct {
	Path       string
	Format     string
	Files      []string // as mapped, shards in order
	Bytes      int      // of all files
	Parameters int      // elements of all tensors
	Tensors    []TensorInfo
	ByDType    []DTypeTotal // most bytes first
	Metadata   []KV
}

// TensorInfo describes a tensor of a Report, in the order of the file.
type TensorInfo struct {
	Name  string
	DType DType
	Shape []int // outermost first
	Bytes int
}

// DTypeTotal sums up the tensors of a type.
type DTypeTotal struct {
	DType      DType
	Tensors    int
	Parameters int
	Bytes      int
}

// Check opens the checkpoint at path, as Open does with all its checks, and
// describes it. The matrices of a packed file have the shapes and types that
// they are packed of. Values are not read: see Tensor.CheckFinite.
func Check(path string) (Report, error) {
	f, err := Open(path)
	if err != nil {
		return Report{}, err
	}
	r := Report{Path: f.path}
	for _, m := range f.maps {
		r.Files = append(r.Files, m.Path)
		r.Bytes += len(m.Data)
	}
	err = r.describe(f)
	return r, errors.Join(err, f.Close())
}

// CheckBytes is Check of a GGUF file in memory, see OpenBytes.
func CheckBytes(data []byte, path string) (Report, error) {
	f, err := OpenBytes(data, path)
	if err != nil {
		return Report{}, err
	}
	r := Report{Path: path, Bytes: len(data)}
	return r, r.describe(f)
}

func (r *Report) describe(f *File) error {
	if f.Packed() {
		view, _, err := FromGGUF(f)
		if err != nil {
			return err
		}
		f = view
	}
	r.Format, r.Metadata = f.format, f.pairs
	totals := map[DType]*DTypeTotal{}
	for _, t := range f.tensors {
		r.Tensors = append(r.Tensors, TensorInfo{t.Name, t.DType, t.Shape, t.Bytes()})
		r.Parameters += t.Len()
		if totals[t.DType] == nil {
			totals[t.DType] = &DTypeTotal{DType: t.DType}
		}
		total := totals[t.DType]
		total.Tensors++
		total.Parameters += t.Len()
		total.Bytes += t.Bytes()
	}
	for _, total := range totals {
		r.ByDType = append(r.ByDType, *total)
	}
	slices.SortFunc(r.ByDType, func(a, b DTypeTotal) int {
		if a.Bytes != b.Bytes {
			return b.Bytes - a.Bytes
		}
		return int(a.DType) - int(b.DType)
	})
	return nil
}
