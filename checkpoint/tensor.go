package checkpoint

import "errors"

// Tensor is a stored tensor. Its bytes lie in the mapped file: they must not
// be written to, and not be read after File.Close.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // outermost first, as in Hugging Face checkpoints

	// Data holds the elements as stored. It is nil where the file keeps the
	// rows in another order than Name promises; RawRow is right for both.
	Data []byte

	// Transposed says that the bytes are those of the transpose of Shape, so
	// that a matrix [in, out] (GPT-2's Conv1D) already lies as [out, in].
	Transposed bool

	File string // path, for messages
}

// Len returns the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Rows returns the number of stored rows and their length. A stored row is
// contiguous: of [a, b, c] there are a*b, of c elements; of a Transposed
// matrix [in, out] there are out, of in elements; a vector is one row.
func (t Tensor) Rows() (rows, k int) { return 0, 0 }

// RawRow returns the bytes of stored row i.
func (t Tensor) RawRow(i int) []byte { return nil }

// Row widens or dequantises stored row i to dst.
func (t Tensor) Row(dst []float32, i int) error { return errors.New("not implemented") }

// Float32 widens or dequantises the whole tensor to dst, in the order of
// Shape.
func (t Tensor) Float32(dst []float32) error { return errors.New("not implemented") }

// Guard runs f, which reads RawRow or Data; that the file was cut short
// meanwhile becomes an error.
func (t Tensor) Guard(f func() error) error { return f() }

// Release gives the mapped pages of the tensor back to the system.
func (t Tensor) Release() {}

// CheckFinite returns an error that names the first NaN or infinity.
func (t Tensor) CheckFinite() error { return errors.New("not implemented") }
