package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// everyKind holds a value of every type of metadata.
var everyKind = []KV{
	{"u8", uint8(255)}, {"i8", int8(-128)}, {"u16", uint16(65535)}, {"i16", int16(-3)}, {"u32", uint32(1 << 31)}, {"i32", int32(-1)},
	{"u64", uint64(math.MaxUint64)}, {"i64", int64(math.MinInt64)}, {"f32", float32(0.1)}, {"f64", 0.1}, {"true", true}, {"文", "墨\x00\xff"},
	{"u8s", []uint8{1, 2}}, {"i8s", []int8{-1}}, {"u16s", []uint16{7}}, {"i16s", []int16{-7, 7}}, {"u32s", []uint32{9}}, {"i32s", []int32{-9}},
	{"u64s", []uint64{1 << 63}}, {"i64s", []int64{-5}}, {"f32s", []float32{1, 2}}, {"f64s", []float64{3}}, {"bools", []bool{true, false}},
	{"strings", []string{"", "一", "two"}}, {"none", []string{}}, {keyAlignment, uint32(32)},
}

func TestWriteGGUF(t *testing.T) {
	var outs []Out
	for d := range DType(len(dtypes)) {
		if d == 0 || dtypes[d].gguf == noGGUF {
			continue
		}
		data := make([]byte, d.RowBytes(3*256))
		for i := range data {
			data[i] = byte(i * 5)
		}
		outs = append(outs, Out{Name: "张量." + d.String(), DType: d, Shape: []int{3, 256}, Data: data})
	}
	outs = append(outs, Out{Name: "four", DType: I8, Shape: []int{1, 2, 3, 4}, Data: make([]byte, 24)}, Out{Name: "scalar", DType: F32, Data: make([]byte, 4)})
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := WriteGGUF(path, everyKind, outs); err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, path)
	sameTensors(t, f, outs)
	if !reflect.DeepEqual(f.Pairs(), everyKind) {
		t.Errorf("metadata %v, want %v", f.Pairs(), everyKind)
	}
	for _, kv := range everyKind {
		if !reflect.DeepEqual(f.Metadata()[kv.Key], kv.Value) {
			t.Errorf("metadata %s is %v, want %v", kv.Key, f.Metadata()[kv.Key], kv.Value)
		}
	}
}

func TestWriteGGUFRefuses(t *testing.T) {
	for _, c := range []struct {
		pairs []KV
		outs  []Out
		want  string
	}{
		{[]KV{{"a", 1}}, nil, `"a"`},
		{[]KV{{"a", true}, {"a", true}}, nil, `"a"`},
		{[]KV{{keyAlignment, uint32(48)}}, nil, keyAlignment},
		{[]KV{{keyAlignment, int32(64)}}, nil, keyAlignment},
		{nil, []Out{{Name: "x", DType: U32, Data: make([]byte, 4)}}, `"x"`},
		{nil, []Out{{Name: "x", DType: Q8_0, Shape: []int{2, 48}}}, "whole blocks"},
		{nil, []Out{{Name: "x", DType: F32, Shape: []int{1, 1, 1, 1, 1}, Data: make([]byte, 4)}}, `"x"`},
		{nil, []Out{{Name: "x", DType: F32, Shape: []int{-1}}}, `"x"`},
	} {
		path := filepath.Join(t.TempDir(), "x.gguf")
		err := WriteGGUF(path, c.pairs, c.outs)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v names not %s", err, c.want)
		}
		if exists(path) {
			t.Error("a file was left")
		}
	}
}

// good returns a small GGUF file, to be broken.
func good(t testing.TB) []byte {
	t.Helper()
	b, _, err := ggufHeader([]KV{{"key", "value"}, {"list", []string{"a", "b"}}}, []Out{
		{Name: "first", DType: F32, Shape: []int{2, 3}}, {Name: "second", DType: Q8_0, Shape: []int{1, 32}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(b, make([]byte, 32+34)...)
}

func TestGGUFBad(t *testing.T) {
	le := binary.LittleEndian
	at := func(b []byte, s string) int { return bytes.Index(b, []byte(s)) + len(s) }
	for _, c := range []struct {
		name  string
		spoil func(b []byte) []byte
		want  string
	}{
		{"version 1", func(b []byte) []byte { b[4] = 1; return b }, "version 1"},
		{"version 4", func(b []byte) []byte { b[4] = 4; return b }, "version 4"},
		{"big endian", func(b []byte) []byte { copy(b[4:], []byte{0, 0, 0, 3}); return b }, "big endian"},
		{"other magic", func(b []byte) []byte { b[0] = 'X'; return b }, "magic"},
		{"metadata count", func(b []byte) []byte { le.PutUint64(b[16:], 1<<62); return b }, "metadata count"},
		{"value type", func(b []byte) []byte { b[at(b, "key")] = 13; return b }, `"key"`},
		{"string length", func(b []byte) []byte { le.PutUint64(b[at(b, "key")+4:], 1<<60); return b }, `"key"`},
		{"array length", func(b []byte) []byte { le.PutUint64(b[at(b, "list")+8:], 1<<60); return b }, `"list"`},
		{"element length", func(b []byte) []byte { le.PutUint64(b[at(b, "list")+16:], 1<<60); return b }, `"list": the file ends in element 0`},
		{"element type", func(b []byte) []byte { b[at(b, "list")+4] = 99; return b }, `"list"`},
		{"key twice", func(b []byte) []byte {
			return bytes.Replace(b, []byte("\x04\x00\x00\x00\x00\x00\x00\x00list"), []byte("\x03\x00\x00\x00\x00\x00\x00\x00key"), 1)
		}, `"key" stands twice`},
		{"dimension", func(b []byte) []byte { le.PutUint64(b[at(b, "first")+4:], 1<<40); return b }, `"first"`},
		{"dimensions overflow", func(b []byte) []byte {
			le.PutUint64(b[at(b, "first")+4:], 1<<15)
			le.PutUint64(b[at(b, "first")+12:], 1<<15)
			return b
		}, `"first"`},
		{"rows of half blocks", func(b []byte) []byte { le.PutUint64(b[at(b, "second")+4:], 48); return b }, `"second"`},
		{"overlap", func(b []byte) []byte { le.PutUint64(b[at(b, "second")+24:], 0); return b }, "overlaps"},
		{"offset wraps", func(b []byte) []byte { le.PutUint64(b[at(b, "second")+24:], math.MaxUint64-31); return b }, `"second"`},
		{"cut", func(b []byte) []byte { return b[:len(b)-1] }, `"second"`},
		{"only the magic", func(b []byte) []byte { return b[:4] }, "version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, "bad.gguf", c.spoil(good(t)))
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
	mustOpen(t, writeFile(t, "good.gguf", good(t)))
	two := good(t)
	two[4] = 2
	mustOpen(t, writeFile(t, "two.gguf", two))
}

func TestGGUFAlignment(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{{uint32(0), keyAlignment}, {uint32(24), keyAlignment}, {int32(32), keyAlignment}, {"32", keyAlignment}, {uint32(1 << 31), "first"}, {uint32(8), ""}} {
		header, _, err := ggufHeader([]KV{{keyAlignment + "?", c.value}}, []Out{{Name: "first", DType: F32, Shape: []int{2, 3}}})
		if err != nil {
			t.Fatal(err)
		}
		header = bytes.Replace(header, []byte(keyAlignment+"?"), []byte(keyAlignment), 1)
		binary.LittleEndian.PutUint64(header[24:], uint64(len(keyAlignment)))
		f, err := Open(writeFile(t, "x.gguf", append(header, make([]byte, 32)...)))
		if err == nil {
			f.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("alignment %v: %v, want %q", c.value, err, c.want)
		}
	}
}

// TestSplitGGUF opens a model that is split over files, as llama.cpp's gguf-split
// leaves it.
func TestSplitGGUF(t *testing.T) {
	dir := t.TempDir()
	name := func(i int) string { return filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", i)) }
	all := sample()[:3]
	for i, out := range all {
		pairs := []KV{{keySplitNumber, uint16(i)}, {keySplitCount, uint16(3)}}
		if i == 0 {
			pairs = append([]KV{{keyArchitecture, "llama"}}, pairs...)
		}
		if err := WriteGGUF(name(i+1), pairs, []Out{out}); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, name(1)} {
		f := mustOpen(t, path)
		sameTensors(t, f, all)
		if f.Metadata()[keyArchitecture] != "llama" {
			t.Error("the metadata of the first part is missing")
		}
	}
	for _, c := range []struct {
		name, path string
		spoil      func() error
		want       string
	}{
		{"a later part", name(2), func() error { return nil }, "part 2 of a model"},
		{"a foreign part", name(1), func() error { return os.Rename(name(3), name(2)) }, "part 3 of 3, want 2 of 3"},
		{"a missing part", name(1), func() error { return os.Remove(name(2)) }, "m-00002-of-00003.gguf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.spoil(); err != nil {
				t.Fatal(err)
			}
			f, err := Open(c.path)
			if err == nil {
				f.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestOpenDir: what a directory holds decides what is opened, or what is said.
func TestOpenDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := WriteSafetensors(path, sample(), nil); err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		files []string
		want  string // of the error; "": none
	}{
		"another name":  {[]string{"weights.safetensors", "adapter_model.safetensors"}, ""},
		"two names":     {[]string{"a.safetensors", "b.safetensors"}, "2 .safetensors files"},
		"pickled":       {[]string{"pytorch_model.bin", "training_args.bin"}, "pytorch_model.bin, which is not read"},
		"half of it":    {[]string{"model-00001-of-00002.safetensors"}, "one shard of several"},
		"an adapter":    {[]string{"adapter_model.safetensors"}, "holds an adapter"},
		"nothing":       {nil, "no model.safetensors"},
		"a config file": {[]string{"config.json"}, "not a model"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), weights, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			path := dir
			if what == "a config file" {
				path = filepath.Join(dir, "config.json")
			}
			f, err := Open(path)
			if err == nil {
				f.Close()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// tinyLlama returns metadata and tensors of a model of that many layers.
func tinyLlama(layers int, change func(pairs []KV, outs []Out) ([]KV, []Out)) ([]KV, []Out) {
	pairs := []KV{
		{keyArchitecture, "llama"}, {"llama.block_count", uint32(layers)}, {"llama.context_length", uint32(64)}, {"llama.embedding_length", uint64(32)},
		{"llama.feed_forward_length", int32(64)}, {"llama.attention.head_count", uint32(4)}, {"llama.attention.layer_norm_rms_epsilon", float32(1e-5)},
	}
	matrix := func(name string, rows, k int) Out {
		return Out{Name: name, DType: F32, Shape: []int{rows, k}, Data: make([]byte, 4*rows*k)}
	}
	outs := []Out{matrix(tensorEmbedding, 10, 32)}
	for i := range layers {
		outs = append(outs, matrix(fmt.Sprintf("blk.%d.attn_q.weight", i), 32, 32))
	}
	return change(pairs, outs)
}

func TestFromGGUFBad(t *testing.T) {
	set := func(key string, value any) func([]KV, []Out) ([]KV, []Out) {
		return func(pairs []KV, outs []Out) ([]KV, []Out) {
			for i, kv := range pairs {
				if kv.Key == key {
					pairs[i].Value = value
					return pairs, outs
				}
			}
			return append(pairs, KV{key, value}), outs
		}
	}
	rename := func(name string) func([]KV, []Out) ([]KV, []Out) {
		return func(pairs []KV, outs []Out) ([]KV, []Out) { outs[1].Name = name; return pairs, outs }
	}
	for _, c := range []struct {
		name   string
		change func([]KV, []Out) ([]KV, []Out)
		want   string
	}{
		{"good", set("llama.rope.freq_base", 1e4), ""},
		{"no architecture", func(pairs []KV, outs []Out) ([]KV, []Out) { return pairs[1:], outs }, keyArchitecture},
		{"architecture", set(keyArchitecture, "mamba"), `"mamba"`},
		{"architecture of another kind", set(keyArchitecture, uint32(1)), keyArchitecture},
		{"missing", func(pairs []KV, outs []Out) ([]KV, []Out) { return pairs[:6], outs }, "llama.attention.layer_norm_rms_epsilon"},
		{"negative", set("llama.block_count", int32(-1)), "llama.block_count"},
		{"too many layers", set("llama.block_count", uint32(math.MaxUint32)), "llama.block_count"},
		{"array of heads", set("llama.attention.head_count_kv", []uint32{4}), "llama.attention.head_count_kv"},
		{"no heads", set("llama.attention.head_count", uint32(0)), "llama.attention.head_count"},
		{"heads do not divide", set("llama.attention.head_count", uint32(3)), "blk.0.attn_q.weight"},
		{"NaN", set("llama.rope.freq_base", float32(math.NaN())), "llama.rope.freq_base"},
		{"string for a number", set("llama.rope.freq_base", "x"), "llama.rope.freq_base"},
		{"rope scaling", set("llama.rope.scaling.type", "su"), "llama.rope.scaling.type"},
		{"attention scale", set("llama.attention.scale", float32(0.5)), "llama.attention.scale"},
		{"partial rope", set("llama.rope.dimension_count", uint32(4)), "llama.rope.dimension_count"},
		{"value length", set("llama.attention.value_length", uint32(4)), "llama.attention.value_length"},
		{"unknown tensor", rename("blk.0.ssm_a"), "blk.0.ssm_a"},
		{"layer with a leading zero", rename("blk.00.attn_q.weight"), "blk.00.attn_q.weight"},
		{"experts without stack", set("llama.expert_count", uint32(2)), "llama.expert_used_count"},
		{"no embedding", func(pairs []KV, outs []Out) ([]KV, []Out) { return pairs, outs[1:] }, tensorEmbedding},
		{"frequencies", func(pairs []KV, outs []Out) ([]KV, []Out) {
			return pairs, append(outs, Out{Name: tensorFreqs, DType: F32, Shape: []int{3}, Data: make([]byte, 12)})
		}, tensorFreqs},
	} {
		t.Run(c.name, func(t *testing.T) {
			pairs, outs := tinyLlama(2, c.change)
			path := filepath.Join(t.TempDir(), "x.gguf")
			if err := WriteGGUF(path, pairs, outs); err != nil {
				t.Fatal(err)
			}
			_, _, err := FromGGUF(mustOpen(t, path))
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path)) {
				t.Errorf("error %v names not both %q and the file", err, c.want)
			}
		})
	}
	f := mustOpen(t, writeFile(t, "x.safetensors", safetensors("{}", 0)))
	if _, _, err := FromGGUF(f); err == nil {
		t.Error("a safetensors file is accepted as GGUF")
	}
}

// TestOldExperts reads a file with one tensor for each expert.
func TestOldExperts(t *testing.T) {
	pairs, outs := tinyLlama(1, func(pairs []KV, outs []Out) ([]KV, []Out) {
		return append(pairs, KV{"llama.expert_count", uint32(2)}, KV{"llama.expert_used_count", uint32(1)}),
			append(outs, Out{Name: "blk.0.ffn_up.1.weight", DType: F32, Shape: []int{2, 2}, Data: make([]byte, 16)})
	})
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := WriteGGUF(path, pairs, outs); err != nil {
		t.Fatal(err)
	}
	view, config, err := FromGGUF(mustOpen(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if config["model_type"] != "mixtral" {
		t.Errorf("model type %v", config["model_type"])
	}
	mustTensor(t, view, "model.layers.0.block_sparse_moe.experts.1.w3.weight")
}

// TestFixtureGGUFMix wants EncodeGGUF to choose the types that llama-quantize
// chose for the fixture, and to write its blocks again.
func TestFixtureGGUFMix(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		f := mustOpen(t, filepath.Join(path, "model.gguf"))
		mix := strings.TrimPrefix(filepath.Base(path), "gguf_")
		pairs, outs, err := EncodeGGUF(mix, f.Pairs(), Sources(f))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range outs {
			if x := mustTensor(t, f, o.Name); o.DType != x.DType {
				t.Errorf("%s becomes %v, want %v", o.Name, o.DType, x.DType)
			}
		}
		copied := filepath.Join(t.TempDir(), "copy.gguf")
		if err := WriteGGUF(copied, pairs, outs); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(copied)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(path, "model.gguf"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("the copy differs")
		}
	}, "gguf_q4_k_m", "gguf_q8_0", "gguf_f16")
}

func TestMix(t *testing.T) {
	mixed := func(mix string, k, layers, experts int, names ...string) string {
		var sources []Source
		for _, name := range names {
			sources = append(sources, Source{Name: name, Shape: []int{256, k}, Parts: []Tensor{{DType: F32}}})
		}
		pairs := []KV{{keyArchitecture, "llama"}, {"llama.block_count", uint32(layers)}, {"llama.expert_count", uint32(experts)},
			{"llama.attention.head_count", uint32(8)}, {"llama.attention.head_count_kv", uint32(1)}}
		_, outs, err := EncodeGGUF(mix, pairs, sources)
		if err != nil {
			t.Fatal(err)
		}
		var types []string
		for _, o := range outs {
			types = append(types, o.DType.String())
		}
		return strings.Join(types, " ")
	}
	for _, c := range []struct{ got, want string }{
		{mixed("q4_0", 256, 2, 0, tensorEmbedding, "blk.0.attn_q.weight"), "Q6_K Q4_0"},
		{mixed("q4_0", 256, 2, 0, tensorEmbedding, tensorHead), "Q4_0 Q6_K"},
		{mixed("q4_0", 96, 2, 0, tensorEmbedding, "blk.0.attn_q.weight"), "Q8_0 Q4_0"},
		{mixed("q4_0", 48, 2, 0, tensorEmbedding, "blk.0.attn_q.weight"), "F16 F16"},
		{mixed("q8_0", 256, 2, 0, tensorEmbedding, "blk.0.attn_q.weight", "blk.0.ffn_gate_inp.weight", "blk.0.attn_norm.weight"), "Q8_0 Q8_0 F32 F32"},
		{mixed("q4_k_m", 96, 2, 0, "output.weight", "blk.0.attn_q.weight", "blk.1.attn_v.weight"), "Q8_0 Q5_0 Q8_0"},
		{mixed("q4_k_m", 256, 8, 0, "output.weight", "blk.0.ffn_down.weight", "blk.1.ffn_down.weight", "blk.3.ffn_down.weight", "blk.7.ffn_down.weight"), "Q6_K Q6_K Q4_K Q6_K Q6_K"},
		{mixed("q4_k_m", 256, 8, 8, "output.weight", "blk.1.attn_v.weight", "blk.1.attn_k.weight", "blk.1.attn_output.weight", "blk.1.ffn_down_exps.weight"), "Q6_K Q8_0 Q8_0 Q5_K Q4_K"},
		{mixed("q4_k_m", 256, 80, 0, "output.weight", "blk.10.attn_v.weight", "blk.12.attn_v.weight"), "Q6_K Q5_K Q6_K"},
		{mixed("bf16", 48, 2, 0, tensorEmbedding, "position_embd.weight"), "BF16 F32"},
	} {
		if c.got != c.want {
			t.Errorf("found %s, want %s", c.got, c.want)
		}
	}
	if _, _, err := EncodeGGUF("q3_k", nil, nil); err == nil {
		t.Error("an unknown mix is accepted")
	}
}

// TestQuantizeNonFinite wants the place of a NaN named.
func TestQuantizeNonFinite(t *testing.T) {
	x := make([]float32, 128)
	x[70] = float32(math.NaN())
	src := Tensor{Name: "w", DType: F32, Shape: []int{4, 32}, Data: asBytes(x)}
	err := WriteGGUF(filepath.Join(t.TempDir(), "x.gguf"), nil, []Out{src.As(Q8_0)})
	if err == nil || !strings.Contains(err.Error(), "[2 6] is NaN") || !strings.Contains(err.Error(), `"w"`) {
		t.Errorf("error %v", err)
	}
}

func TestCheck(t *testing.T) {
	pairs, outs := tinyLlama(2, func(p []KV, o []Out) ([]KV, []Out) { return p, o })
	outs[0].DType, outs[0].Data = BF16, outs[0].Data[:640]
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := WriteGGUF(path, pairs, outs); err != nil {
		t.Fatal(err)
	}
	r, err := Check(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.Format != "gguf" || !slices.Equal(r.Files, []string{path}) || int64(r.Bytes) != info.Size() || r.Parameters != 2*1024+320 || len(r.Tensors) != 3 {
		t.Errorf("report %+v", r)
	}
	if want := []DTypeTotal{{F32, 2, 2048, 8192}, {BF16, 1, 320, 640}}; !slices.Equal(r.ByDType, want) {
		t.Errorf("totals %v, want %v", r.ByDType, want)
	}
	if _, err := Check(path + "x"); err == nil {
		t.Error("a file that does not exist is reported")
	}
}

func FuzzGGUF(f *testing.F) {
	f.Add(good(f))
	pairs, outs := tinyLlama(1, func(p []KV, o []Out) ([]KV, []Out) { return append(p, everyKind...), o })
	header, _, err := ggufHeader(pairs, outs)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(header, make([]byte, 10*32*4+32*32*4)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &File{path: "fuzz"}
		if file.parseGGUF("fuzz", data) != nil {
			return
		}
		readAll(t, file)
		if view, _, err := FromGGUF(file); err == nil {
			readAll(t, view)
		}
	})
}

func FuzzSafetensors(f *testing.F) {
	f.Add(safetensors(`{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"y\n":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}`, 9))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &File{path: "fuzz"}
		if file.parseSafetensors("fuzz", data) == nil {
			readAll(t, file)
		}
	})
}

// readAll reads every tensor in every way.
func readAll(t *testing.T, f *File) {
	for _, name := range f.Names() {
		x := mustTensor(t, f, name)
		mustFloats(t, x)
		rows, _ := x.Rows()
		for r := range rows {
			x.RawRow(r)
		}
		_ = x.CheckFinite() // both answers are right
	}
}

// BenchmarkOpenGGUF opens a file with a vocabulary of the size of Qwen's.
func BenchmarkOpenGGUF(b *testing.B) {
	tokens, merges := make([]string, 151936), make([]string, 151387)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("token%d", i)
	}
	for i := range merges {
		merges[i] = fmt.Sprintf("tok en%d", i)
	}
	pairs, outs := tinyLlama(300, func(p []KV, o []Out) ([]KV, []Out) {
		return append(p, KV{"tokenizer.ggml.tokens", tokens}, KV{"tokenizer.ggml.merges", merges}, KV{"tokenizer.ggml.token_type", make([]int32, len(tokens))}), o
	})
	path := filepath.Join(b.TempDir(), "x.gguf")
	if err := WriteGGUF(path, pairs, outs); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := FromGGUF(f); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func BenchmarkCheckFinite(b *testing.B) {
	for _, d := range []DType{F32, F16, BF16, Q8_0, Q4_K} {
		x := Tensor{DType: d, Shape: []int{1024, 1024}, Data: make([]byte, d.RowBytes(1<<20))}
		b.Run(d.String(), func(b *testing.B) {
			b.SetBytes(int64(len(x.Data)))
			for b.Loop() {
				if err := x.CheckFinite(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestGGUFOfHugeShape: the size in bytes of a shape may not wrap around.
func TestGGUFOfHugeShape(t *testing.T) {
	header, _, err := ggufHeader([]KV{{keyArchitecture, "llama"}}, []Out{{Name: "w", DType: F32, Shape: []int{1, 1, 1, 1}, Data: make([]byte, 4)}})
	if err != nil {
		t.Fatal(err)
	}
	data := append(header, make([]byte, 300)...)
	at := bytes.Index(data, []byte{'w', 4, 0, 0, 0}) + 5
	for i, n := range []uint64{65536, 65536, 32768, 32768} {
		binary.LittleEndian.PutUint64(data[at+8*i:], n)
	}
	if err := (&File{path: "huge.gguf"}).parseGGUF("huge.gguf", data); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("error %v, want one of a shape too large", err)
	}
}
