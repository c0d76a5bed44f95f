package dataset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"wenmo/chat"
	"wenmo/tokenizer"
)

// byteEncoder makes a token of each byte, with an end.
func byteEncoder(t testing.TB) Encoder {
	t.Helper()
	tok, err := tokenizer.ByteLevel(300)
	if err != nil {
		t.Fatal(err)
	}
	end := int32(0)
	enc, err := NewTextEncoder(tok, TextOptions{EOS: &end})
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

// texts returns n different documents, English and Chinese, of all lengths up
// to longest bytes.
func texts(name string, n, longest int) []string {
	var all []string
	for i := range n {
		words := []string{fmt.Sprintf("%s %d:", name, i)}
		for size := 0; size < i*7919%longest; size += 12 {
			words = append(words, []string{"some words", "几个汉字"}[(i+size/12)%2])
		}
		all = append(all, strings.Join(words, " "))
	}
	return all
}

// jsonl writes documents to a file.
func jsonl(t testing.TB, name string, docs []string) string {
	t.Helper()
	var b strings.Builder
	for _, text := range docs {
		line, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return write(t, name, b.String())
}

func mustPrepare(t testing.TB, sources []Source, opt PrepareOptions, maxTokens int) *Corpus {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	c, err := prepare(context.Background(), sources, opt, maxTokens)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// cache returns the contents of the files in a folder.
func cache(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[filepath.Base(path)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestPrepareKeepsTexts reads every document back out of its shards.
func TestPrepareKeepsTexts(t *testing.T) {
	docs := texts("a", 500, 400)
	for _, ext := range []string{".jsonl", ".jsonl.zst"} {
		path := jsonl(t, "a.jsonl", docs)
		if ext == ".jsonl.zst" {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			path = write(t, "a"+ext, zstdBytes(t, string(data)))
		}
		c := mustPrepare(t, []Source{{Path: path, Encoder: byteEncoder(t)}}, PrepareOptions{}, shardTokens)
		tok, _ := tokenizer.ByteLevel(300)
		s := c.sources[0]
		if s.len() != len(docs) {
			t.Fatalf("%d sequences of %d documents", s.len(), len(docs))
		}
		for i, want := range docs {
			one, k := s.at(i)
			seq, err := one.read(k, 0, one.length(k))
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Decode(seq.IDs, true); got != want || one.textBytes(k) != len(want) {
				t.Fatalf("document %d is %q of %d bytes, want %q", i, got, one.textBytes(k), want)
			}
		}
	}
}

// TestPrepareThreads compares the shards made by one thread and by several, of
// one shard and of many.
func TestPrepareThreads(t *testing.T) {
	path := jsonl(t, "a.jsonl", texts("a", 6000, 600))
	for _, maxTokens := range []int{shardTokens, 300000} {
		var want map[string]string
		for _, threads := range []int{1, 2, 5} {
			dir := t.TempDir()
			mustPrepare(t, []Source{{Path: path, Encoder: byteEncoder(t)}}, PrepareOptions{Dir: dir, Threads: threads}, maxTokens)
			got := cache(t, dir)
			if want == nil {
				want = got
			}
			if !maps.Equal(got, want) {
				t.Errorf("%d threads make other shards", threads)
			}
			if maxTokens < shardTokens && len(got) < 3 {
				t.Errorf("only %d shards", len(got))
			}
		}
	}
}

// TestPrepareResumes takes shards away, as a killed process has not made them,
// leaves others broken, and compares what comes of it.
func TestPrepareResumes(t *testing.T) {
	path := jsonl(t, "a.jsonl", append(texts("a", 3000, 600), texts("b", 3000, 600)...))
	sources := []Source{{Path: path, Encoder: byteEncoder(t)}}
	dir := t.TempDir()
	first := mustPrepare(t, sources, PrepareOptions{Dir: dir}, 200000)
	want := cache(t, dir)
	names := slices.Sorted(maps.Keys(want))
	for _, damage := range []func(){
		func() {},
		func() { os.Remove(filepath.Join(dir, names[len(names)-1])) },
		func() {
			for _, name := range names[1:] {
				os.Remove(filepath.Join(dir, name))
			}
		},
		func() { os.Truncate(filepath.Join(dir, names[1]), 5000) },
		func() { os.WriteFile(filepath.Join(dir, names[0]), []byte("rubbish"), 0o666) },
		func() { // an id becomes another
			data := []byte(want[names[0]])
			data[shardHeader+100] ^= 1
			os.WriteFile(filepath.Join(dir, names[0]), data, 0o666)
		},
	} {
		damage()
		left := filepath.Join(dir, strings.Replace(tempPattern, "*", "1", 1))
		if err := os.WriteFile(left, []byte("cut short"), 0o666); err != nil {
			t.Fatal(err)
		}
		c := mustPrepare(t, sources, PrepareOptions{Dir: dir}, 200000)
		os.Remove(left)
		if !maps.Equal(cache(t, dir), want) || c.Fingerprint != first.Fingerprint {
			t.Error("other shards after a kill")
		}
	}
}

// TestPrepareStopped ends Prepare after every few batches until it is done.
func TestPrepareStopped(t *testing.T) {
	path := jsonl(t, "a.jsonl", texts("a", 6000, 600))
	sources := []Source{{Path: path, Encoder: byteEncoder(t)}}
	whole, dir := t.TempDir(), t.TempDir()
	mustPrepare(t, sources, PrepareOptions{Dir: whole}, 200000)
	for tries := 0; ; tries++ {
		if tries > 20 {
			t.Fatal("nothing is kept")
		}
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		c, err := prepare(ctx, sources, PrepareOptions{Dir: dir, Threads: 1, Progress: func(p PrepareProgress) {
			if calls++; calls > 4 {
				cancel()
			}
		}}, 200000)
		cancel()
		if err == nil {
			c.Close()
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if !maps.Equal(cache(t, dir), cache(t, whole)) {
		t.Error("other shards after stops")
	}
}

// TestPrepareSelects checks duplicates, contamination, the held-out split, and
// the manifest.
func TestPrepareSelects(t *testing.T) {
	english := "the quick brown fox jumps over the lazy dog and runs far away into the dark forest"
	chinese := "人工智能是研究开发用于模拟延伸和扩展人的智能的理论方法技术及应用系统的一门新的技术科学"
	docs := []string{
		"one", "two", "one", " one\n", "e\u0301", "é",
		"He said: The quick, BROWN fox jumps over the lazy dog and runs far away!", // 13 words and more
		"the quick brown fox jumps over the lazy dog and runs far",                 // 12 words
		"据说" + string([]rune(chinese)[5:26]) + "。",                                 // 21 characters
		string([]rune(chinese)[5:23]),                                              // 18 characters
		"",
	}
	path := jsonl(t, "a.jsonl", docs)
	eval := write(t, "eval.jsonl", fmt.Sprintf(`{"question":"x","choices":["y",{"z":%q}],"context":%q}`, english, chinese))
	c := mustPrepare(t, []Source{{Name: "s", Path: path, Licence: "CC0-1.0", Origin: "made up", Encoder: byteEncoder(t)}},
		PrepareOptions{Evaluation: []string{eval}}, shardTokens)
	m := c.Manifest.Sources[0]
	want := ManifestCounts{Documents: 10, Bytes: m.Bytes, TokensAll: m.Bytes + 10, Tokens: m.Tokens, Duplicates: 3, Contaminated: 2, Empty: 1}
	if m.ManifestCounts != want || m.Files[0].ManifestCounts != want {
		t.Errorf("manifest %+v, want %+v", m, want)
	}
	for i, keep := range []bool{true, true, false, false, true, false, false, true, false, true} {
		if c.sources[0].train.has(i) != keep {
			t.Errorf("document %d is trained on: %v", i, !keep)
		}
	}
	strict := mustPrepare(t, []Source{{Path: path, Encoder: byteEncoder(t)}}, PrepareOptions{Evaluation: []string{eval}, EvaluationWords: 11}, shardTokens)
	if n := strict.Manifest.Sources[0].Contaminated; n != 4 { // 11 words, 17 characters
		t.Errorf("%d documents contaminated by 11 words, want 4", n)
	}
	all := mustPrepare(t, []Source{{Path: path, Encoder: byteEncoder(t)}}, PrepareOptions{KeepDuplicates: true}, shardTokens)
	if n := all.sources[0].train.count(); n != 10 {
		t.Errorf("%d documents with duplicates, want 10", n)
	}
	saved := filepath.Join(t.TempDir(), "manifest.json")
	if err := c.Manifest.Save(saved); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(saved)
	if err != nil || !bytes.Contains(data, []byte(`"licence": "CC0-1.0"`)) || !bytes.Contains(data, []byte(`"contaminated_dropped": 2`)) {
		t.Errorf("manifest %s, error %v", data, err)
	}
}

// TestHeldOutIsStable adds documents to a corpus: those held out before stay so.
func TestHeldOutIsStable(t *testing.T) {
	held := func(docs []string) map[string]bool {
		path := jsonl(t, "a.jsonl", docs)
		c := mustPrepare(t, []Source{{Path: path, Encoder: byteEncoder(t)}}, PrepareOptions{HeldOut: 0.1}, 20000)
		set := map[string]bool{}
		for i, text := range docs {
			if c.sources[0].held.has(i) == c.sources[0].train.has(i) {
				t.Errorf("document %d is in neither part or in both", i)
			}
			if c.sources[0].held.has(i) {
				set[text] = true
			}
		}
		if int64(len(set)) != c.Manifest.Sources[0].HeldOut {
			t.Errorf("manifest: %d held out, not %d", c.Manifest.Sources[0].HeldOut, len(set))
		}
		return set
	}
	few, more := texts("a", 1000, 50), texts("b", 1000, 50)
	before, after := held(few), held(append(more, few...))
	if n := len(before); n < 60 || n > 140 {
		t.Errorf("%d of 1000 documents held out, want about 100", n)
	}
	for _, text := range few {
		if before[text] != after[text] {
			t.Errorf("%q changed sides", text)
		}
	}
}

// TestPrepareSmallFiles compares a folder of small files, whole or resumed, with
// one file of the same documents.
func TestPrepareSmallFiles(t *testing.T) {
	dir, docs := t.TempDir(), texts("a", 700, 3000)
	for i, text := range docs {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.txt", i)), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	enc := byteEncoder(t)
	whole := mustPrepare(t, []Source{{Path: jsonl(t, "a.jsonl", docs), Encoder: enc}}, PrepareOptions{}, shardTokens).sources[0]
	shards := t.TempDir()
	for range 2 {
		c := mustPrepare(t, []Source{{Path: dir, Encoder: enc}}, PrepareOptions{Dir: shards}, 300000)
		s := c.sources[0]
		if f := c.Manifest.Sources[0].Files; len(f) != 1 || f[0].Files != 700 || len(s.list) < 3 {
			t.Errorf("%d shards, manifest %+v", len(s.list), f)
		}
		for i := range max(s.len(), whole.len()) {
			one, k := s.at(i)
			want, n := whole.at(i)
			if one.hash(k) != want.hash(n) || one.length(k) != want.length(n) {
				t.Fatalf("document %d differs", i)
			}
		}
		if err := os.Remove(s.list[2].file.Path); err != nil {
			t.Fatal(err)
		}
	}
	files, err := plannedFiles([]string{write(t, "a.txt", "a"), write(t, "b.txt", strings.Repeat("b", smallFile+1)), write(t, "c.txt", "c"), write(t, "d.txt", "d")})
	if err != nil || len(files) != 3 || len(files[2].paths) != 2 {
		t.Errorf("%+v, %v", files, err)
	}
}

func TestPrepareErrors(t *testing.T) {
	path := jsonl(t, "a.jsonl", texts("a", 10, 50))
	enc := byteEncoder(t)
	wide := enc
	wide.Encode = func(*Document) ([]Sequence, Cut, error) { return []Sequence{{IDs: []int32{300}}}, Cut{}, nil }
	wide.Key = "wide"
	for _, c := range []struct {
		sources []Source
		opt     PrepareOptions
		want    string
	}{
		{nil, PrepareOptions{}, "without sources"},
		{[]Source{{Path: path, Encoder: enc}}, PrepareOptions{HeldOut: 1}, "held-out share of 1"},
		{[]Source{{Path: path, Encoder: enc}}, PrepareOptions{NearDuplicates: 1.1}, "a similarity of 1.1"},
		{[]Source{{Path: path, Encoder: enc}}, PrepareOptions{NearDuplicates: 0.5, KeepDuplicates: true}, "exact ones are kept"},
		{[]Source{{Path: path, Encoder: enc, Weight: 1}, {Name: "b", Path: path, Encoder: enc, Passes: 1}}, PrepareOptions{}, "1 sources have a weight and 1 have passes"},
		{[]Source{{Path: path, Encoder: enc, Weight: -1}}, PrepareOptions{}, "weight -1"},
		{[]Source{{Path: path, Encoder: enc}, {Path: path, Encoder: enc}}, PrepareOptions{}, "two sources are named"},
		{[]Source{{Path: path + "x", Encoder: enc}}, PrepareOptions{}, "no such file"},
		{[]Source{{Path: write(t, "a.jsonl", ""), Encoder: enc}}, PrepareOptions{}, "no documents"},
		{[]Source{{Path: path, Encoder: wide}}, PrepareOptions{}, "id 300 of a vocabulary of 300"},
		{[]Source{{Path: path, Encoder: enc}}, PrepareOptions{Evaluation: []string{path + "x"}}, "no such file"},
		{[]Source{{Path: write(t, "a.jsonl", "{\"a\":1}\n"), Encoder: enc, Read: ReadOptions{MaxBroken: -1}}}, PrepareOptions{}, "neither a text nor a conversation"},
		{[]Source{{Path: write(t, "cut.jsonl.zst", zstdBytes(t, strings.Repeat("{\"text\":\"a\"}\n", 9999))[:30]), Encoder: enc}}, PrepareOptions{}, "unexpected EOF"},
	} {
		c.opt.Dir = t.TempDir()
		if _, err := Prepare(t.Context(), c.sources, c.opt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
		if left := cache(t, c.opt.Dir); len(left) > 1 || len(left) == 1 && c.want != "no documents" {
			t.Errorf("%s: %d files left", c.want, len(left))
		}
	}
}

// TestPrepareMasks keeps which tokens count, over documents of two sequences.
func TestPrepareMasks(t *testing.T) {
	enc := Encoder{Key: "masked", VocabSize: 1 << 17, Encode: func(d *Document) ([]Sequence, Cut, error) {
		n := int32(len(d.Text))
		return []Sequence{
			{IDs: []int32{70000, n, n + 1}, Labels: []int32{NoLabel, n, NoLabel}},
			{},
			{IDs: []int32{n}},
		}, Cut{}, nil
	}}
	path := jsonl(t, "a.jsonl", []string{"a", "b", "a", "cc"})
	c := mustPrepare(t, []Source{{Path: path, Encoder: enc}}, PrepareOptions{}, shardTokens)
	s := c.sources[0]
	if s.len() != 8 || s.train.count() != 6 || s.train.has(4) || s.train.has(5) || !s.masked || s.tokens != 12 {
		t.Fatalf("%d sequences, %d to train on, %d tokens", s.len(), s.train.count(), s.tokens)
	}
	one, _ := s.at(6)
	seq, err := one.read(6, 0, 3)
	if err != nil || !slices.Equal(seq.IDs, []int32{70000, 2, 3}) || !slices.Equal(seq.Labels, []int32{NoLabel, 2, NoLabel}) {
		t.Errorf("%+v, %v", seq, err)
	}
	if seq, err := one.read(7, 0, 1); err != nil || !slices.Equal(seq.Labels, []int32{2}) {
		t.Errorf("%+v, %v", seq, err)
	}
	if m := c.Manifest.Sources[0]; m.Documents != 4 || m.Duplicates != 1 {
		t.Errorf("manifest %+v", m)
	}
}

func TestChatEncoder(t *testing.T) {
	tok, config := fixtureTokenizer(t, "tok_qwen2")
	enc, err := NewChatEncoder(tok, config, ChatOptions{MaxLength: 64})
	if err != nil {
		t.Fatal(err)
	}
	d := Document{Messages: []chat.Message{{Role: "user", Content: "你好"}, {Role: "assistant", Content: "Hello"}}}
	seqs, _, err := enc.Encode(&d)
	if err != nil || len(seqs) != 1 || !slices.Contains(seqs[0].Labels, NoLabel) {
		t.Fatalf("%+v, %v", seqs, err)
	}
	other, err := NewChatEncoder(tok, config, ChatOptions{MaxLength: 32})
	if err != nil || other.Key == enc.Key {
		t.Errorf("options do not change the key: %v", err)
	}
}

func TestPlainlyNFC(t *testing.T) {
	for r := rune(0); r < 0x20000; r++ {
		text := "e" + string(r) + "e"
		if utf8.ValidRune(r) && plainlyNFC(text) && !norm.NFC.IsNormalString(text) {
			t.Errorf("%U is not plain", r)
		}
	}
}

// FuzzOneSpace compares with strings.Fields.
func FuzzOneSpace(f *testing.F) {
	f.Add(" a\u00a0\u1680b\u2003\u2028c\u3000中\u0085。\u205f\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := string(oneSpace(text)), strings.Join(strings.Fields(text), " "); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	})
}

// FuzzShard opens what may be no shard.
func FuzzShard(f *testing.F) {
	path := jsonl(f, "a.jsonl", texts("a", 3, 50))
	dir := f.TempDir()
	mustPrepare(f, []Source{{Path: path, Encoder: byteEncoder(f)}}, PrepareOptions{Dir: dir, NearDuplicates: 0.8}, shardTokens)
	made, _ := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	data, err := os.ReadFile(made[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:shardHeader])
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := openShard(write(t, "x.safetensors", string(data)), 300, true)
		if err != nil {
			return
		}
		defer s.file.Close()
		for i := range s.n {
			if seq, err := s.read(i, 0, s.length(i)); err == nil {
				for _, id := range seq.IDs {
					if id < 0 || id >= 300 {
						t.Errorf("id %d", id)
					}
				}
			}
		}
	})
}
