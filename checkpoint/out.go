package checkpoint

import (
	"fmt"
	"io"
	"runtime"
	"sync"
)

// Out is a tensor to be written.
type Out struct {
	Name  string
	DType DType
	Shape []int // outermost first

	// Write writes the elements, rows in order. Data stands in where it is nil.
	Write func(w io.Writer) error
	Data  []byte

	// Panels says that what is written are the panels of a weight, of shape
	// [out, in] and type DType; PackedGGUF brings it into the form of a tensor.
	Panels bool
}

// bytes returns the size of the elements.
func (o Out) bytes() (int, error) {
	n, ok := elements(o.Shape)
	if o.DType == 0 || int(o.DType) >= len(dtypes) || !ok {
		return 0, fmt.Errorf("tensor %q: dtype %v, shape %v cannot be written", o.Name, o.DType, o.Shape)
	}
	k := 1
	if len(o.Shape) > 0 {
		k = o.Shape[len(o.Shape)-1]
	}
	if k%o.DType.BlockLen() != 0 {
		return 0, fmt.Errorf("tensor %q: rows of %d elements are not whole blocks of %v, which have %d", o.Name, k, o.DType, o.DType.BlockLen())
	}
	return o.DType.RowBytes(n), nil
}

// writeTo writes the elements and checks that they are as many as promised.
func (o Out) writeTo(w io.Writer) error {
	want, err := o.bytes()
	if err != nil {
		return err
	}
	c := &counter{w: w}
	if o.Write != nil {
		err = o.Write(c)
	} else {
		_, err = c.Write(o.Data)
	}
	if err != nil {
		return fmt.Errorf("tensor %q: %w", o.Name, err)
	}
	if c.n != want {
		return fmt.Errorf("tensor %q: %d bytes came, not the %d of %v %v", o.Name, c.n, want, o.DType, o.Shape)
	}
	return nil
}

// counter counts what is written to w.
type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += n
	return n, err
}

// As returns the tensor for writing as d under the same name: copied where it
// is of that type, else widened and quantized row by row on the way. NaN and
// infinities are errors then. A Transposed tensor is written in the order of
// Shape.
func (t Tensor) As(d DType) Out {
	write := t.writeRows
	if t.Transposed {
		write = t.writeTransposed
	}
	return Out{Name: t.Name, DType: d, Shape: t.Shape, Write: func(w io.Writer) error {
		defer t.Release()
		return write(w, d)
	}}
}

// chunkElements is about how many elements are converted between two writes.
const chunkElements = 1 << 20

// writeRows writes the stored rows as d. Chunks of rows are converted by all
// processors, and written in order.
func (t Tensor) writeRows(w io.Writer, d DType) error {
	rows, k := t.Rows()
	if err := t.CheckFinite(); err != nil {
		return err
	}
	if d == t.DType && t.plain() {
		return t.Guard(func() error {
			_, err := w.Write(t.bytes())
			return err
		})
	}
	if dtypes[d].encode == nil && (d != t.DType || !t.asStored()) {
		return fmt.Errorf("writing %v as %v is not supported", t.DType, d)
	}
	size := d.RowBytes(k)
	chunk := max(1, min(rows, chunkElements/max(k, 1)))
	buf := make([]byte, chunk*size)
	for first := 0; first < rows; first += chunk {
		n := min(chunk, rows-first)
		err := parallel(n, func(from, to int) error {
			return t.Guard(func() error { return t.convertRows(buf[from*size:to*size], d, first+from, first+to) })
		})
		if err != nil {
			return err
		}
		if _, err := w.Write(buf[:n*size]); err != nil {
			return err
		}
	}
	return nil
}

// convertRows writes rows from to to, as d, to buf.
func (t Tensor) convertRows(buf []byte, d DType, from, to int) error {
	_, k := t.Rows()
	size := d.RowBytes(k)
	row := make([]float32, k)
	for r := from; r < to; r++ {
		out := buf[(r-from)*size:][:size]
		if d == t.DType && t.asStored() {
			copy(out, t.RawRow(r))
			continue
		}
		t.decode(row, r)
		dtypes[d].encode(out, row)
		if !d.finite(out) {
			return fmt.Errorf("%s: tensor %q: a value of row %d is too large for %v", t.File, t.Name, r, d)
		}
	}
	return nil
}

// writeTransposed writes the transpose of the stored rows as d.
func (t Tensor) writeTransposed(w io.Writer, d DType) error {
	encode := dtypes[d].encode
	if encode == nil {
		return fmt.Errorf("writing %v as %v is not supported", t.DType, d)
	}
	rows, k := t.Rows()
	x := make([]float32, rows*k)
	err := t.Guard(func() error {
		for r := range rows {
			t.decode(x[r*k:][:k], r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	column := make([]float32, rows)
	buf := make([]byte, d.RowBytes(rows))
	for i := range k {
		for r := range rows {
			v := x[r*k+i]
			if v-v != 0 {
				return fmt.Errorf("%s: tensor %q: element %v is %v", t.File, t.Name, t.position(r, i), v)
			}
			column[r] = v
		}
		encode(buf, column)
		if !d.finite(buf) {
			return fmt.Errorf("%s: tensor %q: a value of column %d is too large for %v", t.File, t.Name, i, d)
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// parallel calls f for parts of 0 to n, each on its own goroutine, and returns
// the first part's error.
func parallel(n int, f func(from, to int) error) error {
	workers := min(n, runtime.GOMAXPROCS(0))
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { errs[i] = f(i*n/workers, (i+1)*n/workers) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
