package checkpoint

import (
	"fmt"
	"math"

	"wenmo/internal/mmap"
	"wenmo/tensor"
)

// Tensor is a stored tensor. Its bytes lie in the mapped file: they must not
// be written to, and not be read after File.Close.
//
// Its elements form stored rows, each contiguous: of shape [a, b, c] there are
// a·b, of c elements; a vector is one row.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // outermost first, as in Hugging Face checkpoints

	// Data holds the elements as stored. It is nil where the file keeps other
	// values or another order of rows than Name promises; RawRow, Row and
	// Float32 are right for both.
	Data []byte

	// Transposed says that the stored rows are those of the transpose, so that
	// a matrix [in, out] (GPT-2's Conv1D) lies as out rows of in elements.
	Transposed bool

	// Panels is the matrix as products take it, lying in a packed file; nil for
	// others. Data is nil then, and Row reads the panels.
	Panels *tensor.Weight

	File string // path, for messages

	mapped []byte                     // the bytes in the file, whether or not Data shows them
	file   []byte                     // the whole file where it is mapped here; nil: lent by the caller of OpenBytes
	at     int                        // where mapped begins in it
	swap   swap                       // order of the rows in the file
	add    float32                    // to be added to every element of the file
	edit   func(dst []float32, i int) // changes the values of row i of the file; nil: none
}

// swap is an order of rows: seen as an array [a, b, c, d] the rows lie in the
// file as [a, c, b, d]. The zero swap keeps the order.
type swap struct{ b, c, d int }

// row returns where row i lies.
func (s swap) row(i int) int {
	if s.b == 0 {
		return i
	}
	d := i % s.d
	c := i / s.d % s.c
	b := i / s.d / s.c % s.b
	a := i / s.d / s.c / s.b
	return ((a*s.c+c)*s.b+b)*s.d + d
}

// back returns the order that undoes s.
func (s swap) back() swap { return swap{s.c, s.b, s.d} }

// Len returns the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Rows returns the number of stored rows and the elements in each; a tensor
// without elements has no rows.
func (t Tensor) Rows() (rows, k int) {
	n := t.Len()
	switch {
	case n == 0 || len(t.Shape) == 0:
		return n, 1
	case t.Transposed:
		k = t.Shape[0]
	default:
		k = t.Shape[len(t.Shape)-1]
	}
	return n / k, k
}

// Bytes returns the number of bytes that the tensor takes in its file.
func (t Tensor) Bytes() int { return len(t.bytes()) }

func (t Tensor) bytes() []byte {
	if t.mapped != nil {
		return t.mapped
	}
	return t.Data
}

// asStored says that RawRow can point into the file.
func (t Tensor) asStored() bool {
	return t.add == 0 && t.edit == nil && t.Panels == nil && (t.swap.b == 0 || len(t.Shape) > 1)
}

// RawRow returns the bytes of stored row i, of type DType. Of panels it is the
// row quantized anew.
func (t Tensor) RawRow(i int) []byte {
	_, k := t.Rows()
	if !t.asStored() { // a vector or panels, and of a type that can be written
		x, b := make([]float32, k), make([]byte, t.DType.RowBytes(k))
		t.decode(x, i)
		dtypes[t.DType].encode(b, x)
		return b
	}
	n := t.DType.RowBytes(k)
	return t.bytes()[t.swap.row(i)*n:][:n:n]
}

// Row widens or dequantizes stored row i to dst.
func (t Tensor) Row(dst []float32, i int) error {
	rows, k := t.Rows()
	if i < 0 || i >= rows {
		return fmt.Errorf("%s: tensor %q has no row %d of %d", t.File, t.Name, i, rows)
	}
	if len(dst) != k {
		return fmt.Errorf("%s: tensor %q has rows of %d elements, not %d", t.File, t.Name, k, len(dst))
	}
	return t.Guard(func() error {
		t.decode(dst, i)
		return nil
	})
}

// Float32 widens or dequantizes the whole tensor to dst, in the order of
// Shape.
func (t Tensor) Float32(dst []float32) error {
	if len(dst) != t.Len() {
		return fmt.Errorf("%s: tensor %q has %d elements, not %d", t.File, t.Name, t.Len(), len(dst))
	}
	return t.Guard(func() error {
		rows, k := t.Rows()
		switch {
		case t.Transposed:
			row := make([]float32, k)
			for r := range rows {
				t.decode(row, r)
				for i, x := range row {
					dst[i*rows+r] = x
				}
			}
		case t.plain():
			dtypes[t.DType].decode(dst, t.bytes())
		default:
			for r := range rows {
				t.decode(dst[r*k:][:k], r)
			}
		}
		return nil
	})
}

// plain says that the elements lie in the file in the order of Shape.
func (t Tensor) plain() bool {
	return t.swap.b == 0 && t.add == 0 && t.edit == nil && t.Panels == nil && !t.Transposed
}

// decode is Row without checks.
func (t Tensor) decode(dst []float32, i int) {
	n := t.DType.RowBytes(len(dst))
	if len(t.Shape) == 1 && t.swap.b != 0 {
		x := make([]float32, len(dst))
		dtypes[t.DType].decode(x, t.bytes())
		for j := range dst {
			dst[j] = x[t.swap.row(j)] + t.add
		}
		return
	}
	if t.Panels != nil {
		t.Panels.Row(dst, t.swap.row(i))
	} else {
		dtypes[t.DType].decode(dst, t.bytes()[t.swap.row(i)*n:][:n])
	}
	if t.add != 0 {
		for j := range dst {
			dst[j] += t.add
		}
	}
	if t.edit != nil {
		t.edit(dst, t.swap.row(i))
	}
}

// Guard runs f, which reads RawRow or Data; that the file was cut short
// meanwhile becomes an error.
func (t Tensor) Guard(f func() error) error { return mmap.Guard(t.File, f) }

// Release gives the mapped pages of the tensor back to the system. They come
// back from the file when they are read again. Where the system keeps files in
// large pages it has mapped some of the neighbours, too: those go with them.
func (t Tensor) Release() {
	const largePage = 2 << 20
	if t.file != nil {
		mmap.DontNeed(t.file[max(0, t.at-largePage):min(t.at+len(t.mapped)+largePage, len(t.file))])
	}
}

// CheckFinite returns an error that names the first element that is NaN or
// infinite.
func (t Tensor) CheckFinite() error {
	return t.Guard(func() error {
		if t.Panels == nil && t.edit == nil && t.DType.finite(t.bytes()) {
			return nil
		}
		rows, k := t.Rows()
		row := make([]float32, k)
		for r := range rows {
			t.decode(row, r)
			for i, x := range row {
				if x-x != 0 {
					return fmt.Errorf("%s: tensor %q: element %v is %v", t.File, t.Name, t.position(r, i), x)
				}
			}
		}
		return nil
	})
}

// position returns the index, in terms of Shape, of element i of row r.
func (t Tensor) position(r, i int) []int {
	if t.Transposed {
		return []int{i, r}
	}
	at := make([]int, len(t.Shape))
	for d := len(at) - 1; d >= 0; d-- {
		if d == len(at)-1 {
			at[d] = i
			continue
		}
		at[d] = r % t.Shape[d]
		r /= t.Shape[d]
	}
	return at
}

// elements returns the product of shape, or false where it overflows an int64
// or a length is negative.
func elements(shape []int) (int, bool) {
	n := 1
	for _, d := range shape {
		if d < 0 || d != 0 && n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}
