package kernel

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"testing"

	"wenmo/internal/testkit"
)

// dotCase is a case of gguf_dot.json. Byte slices are base64 there.
type dotCase struct {
	Type        string
	N           int
	Weights     string
	Activations string
	W           []byte
	X           []byte
	XScaleBits  []uint32 `json:"x_scale_bits"`
	XQ          []byte   `json:"x_q"`
	ResultBits  uint32   `json:"result_bits"`
	Result      *float32
}

func quantTypeNamed(t *testing.T, name string) QuantType {
	t.Helper()
	for i, f := range quantFormats {
		if f.name == name {
			return QuantType(i)
		}
	}
	t.Fatalf("no type %q", name)
	return 0
}

func floatsFrom(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// TestFixtureGGUFDot computes every case on every path, with the row as each
// output of a panel and among one and several rows of activations.
func TestFixtureGGUFDot(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		text, err := os.ReadFile(path + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Cases []dotCase }
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		if len(file.Cases) == 0 {
			t.Fatal("no cases")
		}
		onEveryPath(t, func(t *testing.T) {
			for i, c := range file.Cases {
				c.check(t, i)
			}
		})
	}, "gguf_dot")
}

func (c *dotCase) check(t *testing.T, i int) {
	const outputs, rows = 2*panelWidth + 5, 7
	typ := quantTypeNamed(t, c.Type)
	x := floatsFrom(c.X)
	if len(x) != c.N || len(c.W) != c.N/typ.Block()*typ.BlockBytes() {
		t.Fatalf("case %d: %d activations and %d bytes of %s do not fit n=%d", i, len(x), len(c.W), c.Type, c.N)
	}
	w := newQPanels(typ, outputs, c.N)
	var blocks []byte
	for range outputs {
		blocks = append(blocks, c.W...)
	}
	PackQuant(&w, blocks, 0, outputs)
	xq := MakeQRows(rows, c.N)
	for r := range rows {
		QuantizeRows(&xq, r, x, c.N, 1)
	}
	for b, bits := range c.XScaleBits {
		if got := math.Float32bits(xq.Scale[b]); got != bits {
			t.Errorf("case %d (%s %s %s): scale %d is %#x, want %#x", i, c.Type, c.Weights, c.Activations, b, got, bits)
		}
	}
	for k, q := range c.XQ {
		if xq.Q[k] != int8(q) {
			t.Fatalf("case %d (%s %s %s): q[%d] = %d, want %d", i, c.Type, c.Weights, c.Activations, k, xq.Q[k], int8(q))
		}
	}
	if len(c.XScaleBits) != c.N/qBlock || len(c.XQ) != c.N {
		t.Fatalf("case %d: %d scales and %d numbers for n=%d", i, len(c.XScaleBits), len(c.XQ), c.N)
	}
	want := math.Float32frombits(c.ResultBits)
	if c.Result != nil && *c.Result != want {
		t.Fatalf("case %d: result %v is not result_bits %v", i, *c.Result, want)
	}
	dst := make([]float32, rows*outputs)
	for _, m := range []int{1, rows} {
		MatMulQ(dst, outputs, &xq, 0, m, &w, 0, panels(outputs))
		for at, got := range dst[:m*outputs] {
			if math.Float32bits(got) != c.ResultBits && !(got == 0 && want == 0) {
				t.Fatalf("case %d (%s %s %s), row %d of %d, output %d: %v (%#x), want %v (%#x)", i, c.Type, c.Weights, c.Activations,
					at/outputs, m, at%outputs, got, math.Float32bits(got), want, c.ResultBits)
			}
		}
	}
}

// blocksCase is a type in gguf_blocks.json.
type blocksCase struct {
	Type       string
	Block      int
	BlockBytes int `json:"block_bytes"`
	Columns    int
	Rows       []string
}

// TestFixtureGGUFBlocks packs the reference's blocks and takes every row out
// again.
func TestFixtureGGUFBlocks(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		text, err := os.ReadFile(path + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Cases []blocksCase }
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		tensors := readTensors(t, path+".safetensors")
		checked := 0
		for _, c := range file.Cases {
			for i := range quantFormats {
				if quantFormats[i].name == c.Type {
					t.Run(c.Type, func(t *testing.T) { c.check(t, QuantType(i), tensors) })
					checked++
				}
			}
		}
		if checked == 0 {
			t.Fatal("none of the types that products run on")
		}
	}, "gguf_blocks")
}

func (c *blocksCase) check(t *testing.T, typ QuantType, tensors map[string][]byte) {
	if typ.Block() != c.Block || typ.BlockBytes() != c.BlockBytes {
		t.Fatalf("a block is %d weights in %d bytes, want %d in %d", typ.Block(), typ.BlockBytes(), c.Block, c.BlockBytes)
	}
	checkUnpack(t, typ, c.Columns, tensors[c.Type+".blocks"], floatsFrom(tensors[c.Type+".dequantised"]))
	checkUnpack(t, typ, c.Block, tensors[c.Type+".random_blocks"], floatsFrom(tensors[c.Type+".random_dequantised"]))
}

func checkUnpack(t *testing.T, typ QuantType, columns int, blocks []byte, want []float32) {
	t.Helper()
	if len(want) == 0 || len(want)%columns != 0 {
		t.Fatalf("%d values in rows of %d", len(want), columns)
	}
	rows := len(want) / columns
	w := newQPanels(typ, rows, columns)
	PackQuant(&w, blocks, 0, rows)
	got := make([]float32, columns)
	for r := range rows {
		UnpackQuantRow(got, &w, r)
		for k, g := range got {
			if v := want[r*columns+k]; math.Float32bits(g) != math.Float32bits(v) && !(g == 0 && v == 0) {
				t.Fatalf("row %d, weight %d: %v, want %v", r, k, g, v)
			}
		}
	}
}

// readTensors reads a small safetensors file: tensor name to its bytes.
func readTensors(t *testing.T, path string) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	tensors := map[string][]byte{}
	for name, h := range header {
		tensors[name] = data[8+int(n)+h.Offsets[0] : 8+int(n)+h.Offsets[1]]
	}
	return tensors
}
