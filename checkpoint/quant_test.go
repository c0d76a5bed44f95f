package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"wenmo/internal/testkit"
)

// readJSON reads a fixture's JSON.
func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func mustOpen(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func mustTensor(t testing.TB, f *File, name string) Tensor {
	t.Helper()
	x, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("%s: no tensor %q", f.Path(), name)
	}
	return x
}

func mustFloats(t testing.TB, x Tensor) []float32 {
	t.Helper()
	v := make([]float32, x.Len())
	if err := x.Float32(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// written lists the types that the project writes: their blocks must equal
// the reference's to the byte.
var written = []DType{Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K}

func TestFixtureGGUFBlocks(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		var spec struct {
			Cases []struct {
				Type       string
				Number     uint32
				Block      int
				BlockBytes int `json:"block_bytes"`
				Columns    int
				Rows       []string
			}
		}
		readJSON(t, path+".json", &spec)
		f := mustOpen(t, path+".safetensors")
		left := map[string]bool{}
		for _, name := range f.Names() {
			left[name] = true
		}
		for _, c := range spec.Cases {
			t.Run(c.Type, func(t *testing.T) {
				d, err := ParseDType(c.Type)
				if err != nil {
					t.Fatal(err)
				}
				if ggufTypes[c.Number] != d || d.BlockLen() != c.Block || d.BlockBytes() != c.BlockBytes {
					t.Errorf("number %d is %v with blocks of %d elements in %d bytes, want %+v", c.Number, ggufTypes[c.Number], d.BlockLen(), d.BlockBytes(), c)
				}
				x := mustTensor(t, f, c.Type+".x")
				blocks := mustTensor(t, f, c.Type+".blocks")
				values := mustTensor(t, f, c.Type+".dequantised")
				if x.Shape[0] != len(c.Rows) || x.Shape[1] != c.Columns {
					t.Fatalf("x has shape %v, want [%d %d]", x.Shape, len(c.Rows), c.Columns)
				}
				checkDequantized(t, d, blocks, values, c.Rows)
				random := mustTensor(t, f, c.Type+".random_blocks")
				checkDequantized(t, d, random, mustTensor(t, f, c.Type+".random_dequantised"), make([]string, random.Shape[0]))
				if dtypes[d].encode != nil {
					checkQuantized(t, d, x, blocks, c.Rows)
				}
			})
			for _, part := range []string{"x", "blocks", "dequantised", "random_blocks", "random_dequantised"} {
				delete(left, c.Type+"."+part)
			}
		}
		for name := range left {
			t.Errorf("tensor %s belongs to no case", name)
		}
		for _, d := range written {
			if dtypes[d].encode == nil {
				t.Errorf("%v cannot be written", d)
			}
		}
	}, "gguf_blocks")
}

// checkDequantized wants the values bit for bit, but for the sign of zeros.
func checkDequantized(t *testing.T, d DType, blocks, values Tensor, rows []string) {
	t.Helper()
	want := make([]float32, values.Shape[1])
	got := make([]float32, values.Shape[1])
	for r, name := range rows {
		if err := values.Row(want, r); err != nil {
			t.Fatal(err)
		}
		if err := Dequantize(d, got, blocks.RawRow(r)); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] != 0 || want[i] != 0) {
				t.Fatalf("%s: row %d (%s), element %d is %v (%#x), want %v (%#x)", blocks.Name, r, name, i,
					got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
			}
		}
	}
}

func checkQuantized(t *testing.T, d DType, x, blocks Tensor, rows []string) {
	t.Helper()
	in := make([]float32, x.Shape[1])
	got := make([]byte, d.RowBytes(len(in)))
	for r, name := range rows {
		if err := x.Row(in, r); err != nil {
			t.Fatal(err)
		}
		if err := Quantize(d, got, in); err != nil {
			t.Fatal(err)
		}
		if want := blocks.RawRow(r); !bytes.Equal(got, want) {
			t.Errorf("row %d (%s) quantizes to\n%x, want\n%x", r, name, got, want)
		}
	}
}

func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		got := halfToFloat(uint16(h))
		exponent, mantissa := h>>10&31, float64(h&0x3ff)
		var want float64
		switch exponent {
		case 0:
			want = math.Ldexp(mantissa, -24)
		case 31:
			want = math.Inf(1)
			if mantissa != 0 {
				want = math.NaN()
			}
		default:
			want = math.Ldexp(1024+mantissa, exponent-25)
		}
		if h>>15 == 1 {
			want = -want
		}
		if float64(got) != want && !(got != got && want != want) || math.Signbit(float64(got)) != (h>>15 == 1) {
			t.Fatalf("%#04x widens to %v, want %v", h, got, want)
		}
		if back := floatToHalf(got); back != uint16(h) && got == got {
			t.Fatalf("%#04x becomes %#04x after widening", h, back)
		}
	}
}

// TestHalfRounds checks the neighbourhood of every border between two float16.
func TestHalfRounds(t *testing.T) {
	for h := range 0x7c00 {
		lo, hi := float64(halfToFloat(uint16(h))), float64(halfToFloat(uint16(h+1)))
		if h+1 == 0x7c00 {
			hi = 65536
		}
		middle := float32((lo + hi) / 2)
		even := uint16(h + h&1)
		for _, c := range []struct {
			x    float32
			want uint16
		}{
			{math.Nextafter32(middle, 0), uint16(h)}, {middle, even}, {math.Nextafter32(middle, 1e9), uint16(h + 1)},
		} {
			if got := floatToHalf(c.x); got != c.want {
				t.Fatalf("%v rounds to %#04x, want %#04x", c.x, got, c.want)
			}
			if got := floatToHalf(-c.x); got != c.want|0x8000 {
				t.Fatalf("%v rounds to %#04x, want %#04x", -c.x, got, c.want|0x8000)
			}
		}
	}
	for _, x := range []float32{1e9, float32(math.Inf(1)), math.MaxFloat32} {
		if got := floatToHalf(x); got != 0x7c00 {
			t.Errorf("%v rounds to %#04x", x, got)
		}
	}
	if got := floatToHalf(float32(math.NaN())); got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
		t.Errorf("NaN becomes %#04x", got)
	}
}

func TestBrainRounds(t *testing.T) {
	for _, c := range []struct {
		bits uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82},
		{0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x00000001, 0}, {0x00018000, 2}, {0x7f800001, 0x7fc0},
	} {
		if got := floatToBrain(math.Float32frombits(c.bits)); got != c.want {
			t.Errorf("%#08x rounds to %#04x, want %#04x", c.bits, got, c.want)
		}
	}
}

func TestQuantizeRefuses(t *testing.T) {
	for _, c := range []struct {
		d        DType
		dst, src int
	}{
		{Q2_K, 84, 256}, {I32, 4, 1}, {Q8_0, 34, 31}, {Q8_0, 33, 32}, {Q4_K, 144, 128}, {F32, 3, 1},
	} {
		if err := Quantize(c.d, make([]byte, c.dst), make([]float32, c.src)); err == nil {
			t.Errorf("%d elements of %v in %d bytes are accepted", c.src, c.d, c.dst)
		}
	}
	if err := Dequantize(Q8_0, make([]float32, 32), make([]byte, 33)); err == nil {
		t.Error("a block of 33 bytes is accepted as Q8_0")
	}
}

func BenchmarkQuantize(b *testing.B) {
	x := make([]float32, 1<<16)
	for i := range x {
		x[i] = float32(math.Sin(float64(i) * 1.37))
	}
	for d := range DType(len(dtypes)) {
		if d == 0 || dtypes[d].encode == nil {
			continue
		}
		dst := make([]byte, d.RowBytes(len(x)))
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				dtypes[d].encode(dst, x)
			}
		})
	}
}

func BenchmarkDequantize(b *testing.B) {
	x := make([]float32, 1<<16)
	for d := range DType(len(dtypes)) {
		if d == 0 {
			continue
		}
		src := make([]byte, d.RowBytes(len(x)))
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				dtypes[d].decode(x, src)
			}
		})
	}
}
