package checkpoint

import (
	"bytes"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"wenmo/kernel"
)

// packedTypes are all types that have panels.
var packedTypes = []DType{F32, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K}

// packedOut returns values of many sizes as d, [out, in], in panels, and the values
// that they stand for.
func packedOut(t testing.TB, name string, d DType, out, in int) (Out, []float32) {
	t.Helper()
	x := make([]float32, out*in)
	for i := range x {
		x[i] = float32((i*7919+int(d))%201-100) / 64
	}
	blocks := make([]byte, d.RowBytes(len(x)))
	if err := Quantize(d, blocks, x); err != nil {
		t.Fatal(err)
	}
	dtypes[d].decode(x, blocks)
	b := make([]byte, PanelBytes(d, out, in))
	w := Panels(b, name, d, out, in)
	switch d {
	case F32:
		kernel.PackF32(w.F32, x, out, in, in)
	case BF16:
		kernel.PackBF16(w.BF16, x, out, in, in)
	default:
		kernel.PackQuant(&w.Q, blocks, 0, out)
	}
	return Out{Name: name, DType: d, Shape: []int{out, in}, Panels: true, Data: b}, x
}

// packedFile returns metadata and tensors of a packed file with a matrix of
// each type, and the values of these.
func packedFile(t testing.TB) ([]KV, []Out, [][]float32) {
	t.Helper()
	var outs []Out
	var values [][]float32
	for i, d := range packedTypes {
		in := d.BlockLen() * 2
		if !d.Quantized() {
			in = 7
		}
		o, x := packedOut(t, "层."+d.String(), d, 16*(i%2)+5, in)
		outs, values = append(outs, o), append(values, x)
	}
	outs = append(outs, Out{Name: "norm", DType: F32, Shape: []int{3}, Data: make([]byte, 12)})
	pairs, outs, err := PackedGGUF(map[string]any{"model_type": "文", "eps": 1e-5, "ids": []any{1.0, nil}}, false, outs)
	if err != nil {
		t.Fatal(err)
	}
	return pairs, outs, values
}

func TestPacked(t *testing.T) {
	pairs, outs, values := packedFile(t)
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := WriteGGUF(path, pairs, outs); err != nil {
		t.Fatal(err)
	}
	raw := mustOpen(t, path)
	if !raw.Packed() {
		t.Error("Packed is false")
	}
	f, config, err := FromGGUF(raw)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"model_type": "文", "eps": 1e-5, "ids": []any{1.0, nil}}; !reflect.DeepEqual(config, want) {
		t.Errorf("config %v, want %v", config, want)
	}
	for i, d := range packedTypes {
		x := mustTensor(t, f, "层."+d.String())
		if x.DType != d || x.Panels == nil || x.Data != nil || len(x.Shape) != 2 {
			t.Errorf("%s: %+v", x.Name, x)
		}
		if address := uintptr(unsafe.Pointer(&x.mapped[0])); address%packedAlignment != 0 {
			t.Errorf("%s lies at %#x", x.Name, address)
		}
		if !slices.Equal(mustFloats(t, x), values[i]) {
			t.Errorf("%s has other values", x.Name)
		}
		if err := x.CheckFinite(); err != nil {
			t.Error(err)
		}
	}
	if x := mustTensor(t, f, "norm"); x.Panels != nil || x.Data == nil {
		t.Errorf("norm is %+v", x)
	}
}

// TestPackedLayout fails when panels get another layout: files of the present
// version would be read wrongly then.
func TestPackedLayout(t *testing.T) {
	_, outs, _ := packedFile(t)
	sum := crc32.NewIEEE()
	for _, o := range outs {
		sum.Write(o.Data)
	}
	want := map[int]uint32{1: 0x69f7a464, 2: 0x76c961e7}[packedVersion]
	if got := sum.Sum32(); got != want {
		t.Errorf("the panels' sum is %#x, want %#x: raise packedVersion, and give the new version's sum here", got, want)
	}
}

func TestCheckPacked(t *testing.T) {
	pairs, outs, values := packedFile(t)
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := WriteGGUF(path, pairs, outs); err != nil {
		t.Fatal(err)
	}
	r, err := Check(path)
	if err != nil {
		t.Fatal(err)
	}
	parameters := 3
	for i, d := range packedTypes {
		parameters += len(values[i])
		got := r.Tensors[i]
		if got.DType != d || got.Shape[0]*got.Shape[1] != len(values[i]) || got.Bytes != len(outs[i].Data) {
			t.Errorf("%+v", got)
		}
	}
	if r.Parameters != parameters || len(r.Tensors) != len(outs) {
		t.Errorf("%d parameters in %d tensors, want %d in %d", r.Parameters, len(r.Tensors), parameters, len(outs))
	}
	for _, version := range []uint32{packedVersion - 1, packedVersion + 1} {
		pairs[3].Value = version
		if err := WriteGGUF(path, pairs, outs); err != nil {
			t.Fatal(err)
		}
		if _, err := Check(path); err == nil || !strings.Contains(err.Error(), keyPackedVersion) {
			t.Errorf("version %d gives %v", version, err)
		}
	}
}

func TestOpenBytes(t *testing.T) {
	pairs, outs, values := packedFile(t)
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := WriteGGUF(path, pairs, outs); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for shift := range 5 {
		data := append(make([]byte, shift), data...)[shift:]
		before := bytes.Clone(data)
		raw, err := OpenBytes(data, "inside")
		if err != nil {
			t.Fatal(err)
		}
		f, _, err := FromGGUF(raw)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range packedTypes {
			x := mustTensor(t, f, "层."+d.String())
			if !slices.Equal(mustFloats(t, x), values[i]) {
				t.Errorf("shifted by %d, %s has other values", shift, x.Name)
			}
			x.Release()
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(data, before) {
			t.Fatal("the bytes were changed")
		}
	}
	if _, err := OpenBytes(data[:100], "inside"); err == nil || !strings.Contains(err.Error(), "inside") {
		t.Errorf("bytes cut short give %v", err)
	}
}

func TestPackedBad(t *testing.T) {
	set := func(key string, value any) func([]KV, []Out) ([]KV, []Out) {
		return func(pairs []KV, outs []Out) ([]KV, []Out) {
			for i := range pairs {
				if pairs[i].Key == key {
					pairs[i].Value = value
				}
			}
			return pairs, outs
		}
	}
	drop := func(key string) func([]KV, []Out) ([]KV, []Out) {
		return func(pairs []KV, outs []Out) ([]KV, []Out) {
			return slices.DeleteFunc(pairs, func(kv KV) bool { return kv.Key == key }), outs
		}
	}
	for _, c := range []struct {
		name   string
		change func([]KV, []Out) ([]KV, []Out)
		want   []string
	}{
		{"good", drop(""), nil},
		{"newer version", set(keyPackedVersion, uint32(3)), []string{keyPackedVersion, "version 3", "convert the model again"}},
		{"older version", set(keyPackedVersion, uint32(1)), []string{keyPackedVersion, "version 1", "convert the model again"}},
		{"version of another kind", set(keyPackedVersion, "1"), []string{keyPackedVersion}},
		{"no version", drop(keyPackedVersion), []string{keyPackedVersion, "version none"}},
		{"no config", drop(keyPackedConfig), []string{keyPackedConfig}},
		{"broken config", set(keyPackedConfig, "{"), []string{keyPackedConfig}},
		{"null config", set(keyPackedConfig, "null"), []string{keyPackedConfig, "null"}},
		{"config is a list", set(keyPackedConfig, "[]"), []string{keyPackedConfig}},
		{"no names", drop(keyPackedNames), []string{keyPackedNames}},
		{"short list", set(keyPackedTypes, []string{"F32", "F32"}), []string{keyPackedTypes}},
		{"list of another kind", set(keyPackedIns, []int32{4, 4, 4}), []string{keyPackedIns}},
		{"twice", set(keyPackedNames, []string{"a", "b", "a"}), []string{keyPackedNames, `"a"`}},
		{"no such tensor", set(keyPackedNames, []string{"a", "b", "z"}), []string{keyPackedNames, `"z"`}},
		{"unknown type", set(keyPackedTypes, []string{"F32", "F33", "Q8_0"}), []string{keyPackedTypes, `"b"`, `"F33"`}},
		{"type without panels", set(keyPackedTypes, []string{"F32", "F16", "Q8_0"}), []string{keyPackedTypes, `"b"`, `"F16"`}},
		{"rows not whole blocks", set(keyPackedIns, []uint32{4, 4, 33}), []string{keyPackedTypes, `"c"`, "33"}},
		{"nothing", set(keyPackedOuts, []uint32{0, 3, 3}), []string{keyPackedTypes, `"a"`}},
		{"too many rows", set(keyPackedOuts, []uint32{17, 3, 3}), []string{`"a"`, "[17, 4]", "256 bytes"}},
		{"overflow", func(pairs []KV, outs []Out) ([]KV, []Out) {
			pairs, outs = set(keyPackedOuts, []uint32{1<<32 - 1, 3, 3})(pairs, outs)
			return set(keyPackedIns, []uint32{1<<32 - 1, 4, 32})(pairs, outs)
		}, []string{`"a"`, "4294967295"}},
		{"too few columns", set(keyPackedIns, []uint32{4, 2, 32}), []string{`"b"`, "[3, 2]"}},
		{"another type of the tensor", func(pairs []KV, outs []Out) ([]KV, []Out) {
			outs[0].DType, outs[0].Shape = F32, []int{64}
			return pairs, outs
		}, []string{`"a"`, "F32"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := packedOut(t, "a", F32, 3, 4)
			b, _ := packedOut(t, "b", BF16, 3, 4)
			q, _ := packedOut(t, "c", Q8_0, 3, 32)
			pairs, outs, err := PackedGGUF(map[string]any{}, false, []Out{a, b, q})
			if err != nil {
				t.Fatal(err)
			}
			pairs, outs = c.change(pairs, outs)
			path := filepath.Join(t.TempDir(), "x.gguf")
			if err := WriteGGUF(path, pairs, outs); err != nil {
				t.Fatal(err)
			}
			_, _, err = FromGGUF(mustOpen(t, path))
			if (err == nil) != (c.want == nil) {
				t.Fatalf("error %v, want one that names %q", err, c.want)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %v names not %q and the file", err, want)
				}
			}
		})
	}
}

// FuzzPacked opens what claims to be a packed file and reads all of it.
func FuzzPacked(f *testing.F) {
	a, _ := packedOut(f, "a", F32, 3, 4)
	b, _ := packedOut(f, "b", BF16, 17, 3)
	q, _ := packedOut(f, "c", Q4_1, 3, 32)
	pairs, outs, err := PackedGGUF(map[string]any{"model_type": "llama"}, false, []Out{a, b, q, {Name: "d", DType: F32, Shape: []int{1}, Data: make([]byte, 4)}})
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "x.gguf")
	if err := WriteGGUF(path, pairs, outs); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(bytes.Replace(data, []byte("Q4_1"), []byte("Q4_0"), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := OpenBytes(data, "fuzz")
		if err != nil {
			return
		}
		if view, _, err := FromGGUF(raw); err == nil {
			readAll(t, view)
		}
	})
}
