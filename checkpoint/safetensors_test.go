package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/atomicfile"
)

// safetensors returns a file of that header and so many bytes of data.
func safetensors(header string, size int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, size)...)
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSafetensors(t *testing.T) {
	header := `{"__metadata__":{"format":"pt"},
		"b\u00e9":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},
		"文墨":{"shape":[],"data_offsets":[4,8],"dtype":"F32"},
		"odd":{"dtype":"F16","shape":[1],"data_offsets":[21,23]},
		"none":{"dtype":"I64","shape":[0,5],"data_offsets":[4,4]},
		"byte":{"dtype":"BOOL","shape":[1,1,1],"data_offsets":[20,21]},
		"first":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}   `
	f := mustOpen(t, writeFile(t, "model.safetensors", safetensors(header, 23)))
	if want := []string{"first", "none", "文墨", "bé", "byte", "odd"}; !slices.Equal(f.Names(), want) {
		t.Errorf("names %q, want %q", f.Names(), want)
	}
	if f.Format() != "safetensors" || !reflect.DeepEqual(f.Metadata(), map[string]any{"format": "pt"}) {
		t.Errorf("format %s, metadata %v", f.Format(), f.Metadata())
	}
	x := mustTensor(t, f, "bé")
	if rows, k := x.Rows(); x.DType != BF16 || rows != 2 || k != 3 || len(x.Data) != 12 {
		t.Errorf("bé is %v, %d rows of %d, %d bytes", x.DType, rows, k, len(x.Data))
	}
	mustFloats(t, mustTensor(t, f, "none"))
	mustFloats(t, mustTensor(t, f, "odd"))
	if _, ok := f.Tensor("nothing"); ok {
		t.Error("a tensor that does not exist was found")
	}
	if err := x.Row(make([]float32, 3), 2); err == nil {
		t.Error("row 2 of 2 is accepted")
	}
	if err := x.Row(make([]float32, 2), 1); err == nil {
		t.Error("a row of the wrong length is accepted")
	}
	if err := x.Float32(make([]float32, 5)); err == nil {
		t.Error("a tensor of the wrong length is accepted")
	}
}

func TestSafetensorsBad(t *testing.T) {
	one := func(rest string) string { return `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}` + rest + `}` }
	for _, c := range []struct {
		name, header string
		size         int
		want         string // in the message
	}{
		{"empty header", ``, 0, "header"},
		{"no object", `[]`, 0, "header"},
		{"cut", `{"a":{"dtype":"F32","sh`, 0, "does not end"},
		{"trailing bytes", one("") + "x", 8, "closing brace"},
		{"unknown dtype", `{"a":{"dtype":"F9","shape":[2],"data_offsets":[0,8]}}`, 8, `"a": dtype "F9"`},
		{"no dtype", `{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8, `"a"`},
		{"no shape", `{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8, `"a"`},
		{"no offsets", `{"a":{"dtype":"F32","shape":[2]}}`, 8, `"a"`},
		{"key twice", `{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, `"dtype"`},
		{"unknown key", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8, `"x"`},
		{"tensor twice", one(`,"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}`), 16, `"a" stands twice`},
		{"metadata twice", `{"__metadata__":{"k":"v","k":"w"}}`, 0, `"k" stands twice`},
		{"metadata of numbers", `{"__metadata__":{"k":1}}`, 0, "__metadata__"},
		{"negative shape", `{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8, "shape of a"},
		{"fraction", `{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8, "shape of a"},
		{"huge number", `{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}`, 8, "shape of a"},
		{"shape overflows", `{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, `"a"`},
		{"shape overflows to size", `{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0, `"a"`},
		{"size wraps", `{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}`, 0, `"a"`},
		{"three offsets", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}`, 8, "data_offsets"},
		{"offsets reversed", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8, `"a"`},
		{"beyond the file", one(""), 4, `"a"`},
		{"wrong size", `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8, `"a"`},
		{"overlap", one(`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}`), 12, `"b"`},
		{"hole", one(`,"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}`), 20, "hole of 4 bytes"},
		{"bytes left over", one(""), 9, "8 of 9"},
		{"control character", "{\"a\n\":1}", 0, "control character"},
		{"bad escape", `{"a\q":1}`, 0, "header byte"},
		{"not UTF-8", "{\"\xff\":1}", 0, "UTF-8"},
		{"deep", strings.Repeat("[", 100000), 0, "header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, "bad.safetensors", safetensors(c.header, c.size))
			f, err := Open(path)
			if err == nil {
				f.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("message %q names not both %q and %q", err, c.want, path)
			}
		})
	}
}

func TestSafetensorsLength(t *testing.T) {
	for _, data := range [][]byte{
		nil, []byte("1234567"), binary.LittleEndian.AppendUint64(nil, 1), binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
		append(binary.LittleEndian.AppendUint64(nil, maxHeader+1), "{}"...),
	} {
		path := writeFile(t, "bad.safetensors", data)
		if f, err := Open(path); err == nil {
			f.Close()
			t.Errorf("%q is accepted", data)
		} else if !strings.Contains(err.Error(), "header") {
			t.Errorf("message %q", err)
		}
	}
}

// shardDir writes files into a directory.
func shardDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestShardsBad(t *testing.T) {
	tensor := func(name string) string {
		return string(safetensors(`{"`+name+`":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing", nil, "no model.safetensors"},
		{"two GGUF files", map[string]string{"a.gguf": "", "b.gguf": ""}, "2 .gguf files"},
		{"no JSON", map[string]string{indexFile: "{"}, indexFile},
		{"no map", map[string]string{indexFile: "{}"}, "weight_map"},
		{"missing shard", map[string]string{indexFile: `{"weight_map":{"a":"1.safetensors"}}`}, "1.safetensors"},
		{"index as its own shard", map[string]string{indexFile: `{"weight_map":{"a":"model.safetensors.index.json"}}`}, `"a"`},
		{"outside", map[string]string{indexFile: `{"weight_map":{"a":"../1.safetensors"}}`}, `"../1.safetensors"`},
		{"absolute", map[string]string{indexFile: `{"weight_map":{"a":"/etc/1.safetensors"}}`}, `"/etc/1.safetensors"`},
		{"backslash", map[string]string{indexFile: `{"weight_map":{"a":"..\\1.safetensors"}}`}, `1.safetensors`},
		{"tensor not there", map[string]string{indexFile: `{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}`, "1.safetensors": tensor("a")}, `"b"`},
		{"broken shard", map[string]string{indexFile: `{"weight_map":{"a":"1.safetensors"}}`, "1.safetensors": tensor("a")[:40]}, "1.safetensors"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := shardDir(t, c.files)
			f, err := Open(dir)
			if err == nil {
				f.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("message %q names not both %q and %q", err, c.want, dir)
			}
		})
	}
}

// sample returns tensors of several types and their values.
func sample() []Out {
	var outs []Out
	for i, d := range []DType{F32, BF16, F16, I64, U8} {
		for j := range 3 {
			shape := []int{j + 1, 5, i + 1}
			n, _ := elements(shape)
			data := make([]byte, d.RowBytes(n))
			for b := range data {
				data[b] = byte(b*7 + i)
			}
			outs = append(outs, Out{Name: fmt.Sprintf("layers.%d.权重%d", i, j), DType: d, Shape: shape, Data: data})
		}
	}
	return append(outs, Out{Name: "scalar", DType: F32, Data: []byte{0, 0, 128, 63}}, Out{Name: "empty", DType: F32, Shape: []int{0, 4}})
}

func sameTensors(t *testing.T, f *File, want []Out) {
	t.Helper()
	if len(f.Names()) != len(want) {
		t.Errorf("%d tensors, want %d", len(f.Names()), len(want))
	}
	for _, w := range want {
		x := mustTensor(t, f, w.Name)
		if x.DType != w.DType || len(x.Shape) != len(w.Shape) || len(w.Shape) > 0 && !slices.Equal(x.Shape, w.Shape) || !bytes.Equal(x.Data, w.Data) {
			t.Errorf("%s: %v %v differs from %v %v", w.Name, x.DType, x.Shape, w.DType, w.Shape)
		}
	}
}

func TestWriteSafetensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	want := sample()
	for range 2 { // the second replaces the first
		if err := WriteSafetensors(path, want, map[string]string{"format": "pt", "键": "值"}); err != nil {
			t.Fatal(err)
		}
	}
	f := mustOpen(t, path)
	sameTensors(t, f, want)
	if !reflect.DeepEqual(f.Metadata(), map[string]any{"format": "pt", "键": "值"}) {
		t.Errorf("metadata %v", f.Metadata())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := binary.LittleEndian.Uint64(data); n%8 != 0 {
		t.Errorf("the header has %d bytes, no multiple of eight", n)
	}
}

func TestWriteSafetensorsDir(t *testing.T) {
	want := sample()
	for _, c := range []struct{ maxShard, files int }{{1 << 20, 1}, {200, 5}, {1, len(want) + 1}} {
		dir := t.TempDir()
		if err := WriteSafetensorsDir(dir, want, nil, c.maxShard); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, mustOpen(t, dir), want)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) < c.files {
			t.Errorf("shards of %d bytes: %d files, want at least %d", c.maxShard, len(entries), c.files)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				t.Errorf("%s was left behind", e.Name())
			}
		}
	}
}

// TestWriteFails lets the disk fill up in the third tensor.
func TestWriteFails(t *testing.T) {
	full := errors.New("no space left on device")
	outs := sample()
	outs[2].Write = func(w io.Writer) error {
		if _, err := w.Write(outs[2].Data[:4]); err != nil {
			return err
		}
		return full
	}
	short := sample()
	short[2].Data = short[2].Data[1:]
	twice := append(sample(), sample()[0])
	for name, write := range map[string]func(dir string, outs []Out) error{
		"safetensors": func(dir string, outs []Out) error {
			return WriteSafetensors(filepath.Join(dir, "old"), outs, nil)
		},
		"shards": func(dir string, outs []Out) error { return WriteSafetensorsDir(dir, outs, nil, 200) },
		"gguf":   func(dir string, outs []Out) error { return WriteGGUF(filepath.Join(dir, "old"), nil, outs) },
	} {
		for _, outs := range [][]Out{outs, short, twice} {
			dir := shardDir(t, map[string]string{"old": "old"})
			if err := write(dir, outs); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: error %v names not %s", name, err, dir)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := os.ReadFile(filepath.Join(dir, "old")); len(entries) != 1 || string(text) != "old" {
				t.Errorf("%s: %v remains, and %q of the old file", name, entries, text)
			}
		}
	}
}

// TestDraftsOfTheDead removes what killed writers have left of a file, and
// nothing else.
func TestDraftsOfTheDead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.safetensors")
	dead, others := ".model.safetensors.0123456789abcdef.part", []string{
		".model.safetensors.mine.part", ".other.safetensors.0123456789abcdef.part",
	}
	for _, name := range append(others, dead) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	living, err := atomicfile.NewDraft(path)
	if err != nil {
		t.Fatal(err)
	}
	tensors := []Out{{Name: "a", DType: F32, Shape: []int{1}, Data: make([]byte, 4)}}
	if err := WriteSafetensors(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	if exists(filepath.Join(dir, dead)) {
		t.Error("the draft of a killed writer is there still")
	}
	for _, name := range others {
		if !exists(filepath.Join(dir, name)) {
			t.Errorf("%s was removed", name)
		}
	}
	if err := errors.Join(living.Finish(), living.Publish()); err != nil {
		t.Errorf("another writer at the same time: %v", err)
	}
}

func TestCheckFinite(t *testing.T) {
	plain := func(d DType, x ...float32) []byte {
		b := make([]byte, d.RowBytes(len(x)))
		dtypes[d].encode(b, x)
		return b
	}
	inf, nan := float32(math.Inf(-1)), float32(math.NaN())
	block := make([]byte, 2*144)
	block[144+3] = 0x7c // dmin of the second block is infinite
	for _, c := range []struct {
		x    Tensor
		want string
	}{
		{Tensor{DType: F32, Shape: []int{2, 3}, Data: plain(F32, 1, 2, 3, math.MaxFloat32, -math.MaxFloat32, 1e-45)}, ""},
		{Tensor{DType: F32, Shape: []int{2, 3}, Data: plain(F32, 1, 2, 3, 4, nan, 6)}, "element [1 1] is NaN"},
		{Tensor{DType: F16, Shape: []int{5}, Data: plain(F16, 1, 2, 3, 4, inf)}, "element [4] is -Inf"},
		{Tensor{DType: F16, Shape: []int{5}, Data: plain(F16, 1, 65504, -65504, 4, 5)}, ""},
		{Tensor{DType: BF16, Shape: []int{2, 1, 2}, Data: plain(BF16, 1, 2, nan, inf)}, "element [1 0 0] is NaN"},
		{Tensor{DType: BF16, Shape: []int{1}, Data: plain(BF16, 3e38)}, ""},
		{Tensor{DType: F32, Shape: []int{3, 2}, Transposed: true, Data: plain(F32, 1, 2, 3, 4, inf, 6)}, "element [1 1] is -Inf"},
		{Tensor{DType: Q4_K, Shape: []int{512}, Data: block}, "element [256] is NaN"},
		{Tensor{DType: I32, Shape: []int{1}, Data: []byte{0, 0, 128, 127}}, ""},
	} {
		c.x.Name, c.x.File = "weights", "file"
		err := c.x.CheckFinite()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"weights"`)) {
			t.Errorf("%v %v: %v, want %q", c.x.DType, c.x.Shape, err, c.want)
		}
	}
}

func TestTransposed(t *testing.T) {
	x := Tensor{Name: "w", DType: F32, Shape: []int{2, 3}, Transposed: true, Data: asBytes([]float32{1, 2, 3, 4, 5, 6})}
	want := []float32{1, 3, 5, 2, 4, 6}
	sameFloats(t, "transposed", mustFloats(t, x), want)
	if rows, k := x.Rows(); rows != 3 || k != 2 {
		t.Errorf("%d rows of %d", rows, k)
	}
	var b bytes.Buffer
	if err := x.As(F32).writeTo(&b); err != nil || !bytes.Equal(b.Bytes(), asBytes(want)) {
		t.Errorf("written as %v, %v", b.Bytes(), err)
	}
}

func TestTruncatedWhileMapped(t *testing.T) {
	path := writeFile(t, "model.safetensors", safetensors(`{"a":{"dtype":"F32","shape":[65536],"data_offsets":[0,262144]}}`, 262144))
	x := mustTensor(t, mustOpen(t, path), "a")
	if err := os.Truncate(path, 4096); err != nil {
		t.Skip("a mapped file cannot be cut short here")
	}
	for name, err := range map[string]error{
		"Float32": x.Float32(make([]float32, 65536)), "Row": x.Row(make([]float32, 65536), 0),
		"CheckFinite": x.CheckFinite(), "As": x.As(BF16).writeTo(io.Discard),
	} {
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s on a file that was cut short gives %v", name, err)
		}
	}
}
