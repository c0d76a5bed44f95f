package tokenizer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"wenmo/internal/testkit"
)

// TestFixtureTokenizer opens the folders as a user would.
func TestFixtureTokenizer(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		cases := filepath.Join(dir, "cases.jsonl")
		switch gguf, _ := filepath.Glob(filepath.Join(dir, "*.gguf")); {
		case !exists(cases) || len(gguf) > 0:
			return // other tests are about these
		case exists(filepath.Join(dir, "source.spm")):
			checkMarian(t, dir)
			return
		}
		tok, err := LoadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		checkEffective(t, dir, tok)
		checkLoaded(t, dir, tok)
	}, "tok_")
}

// checkLoaded checks all cases of a folder.
func checkLoaded(t *testing.T, dir string, tok *Tokenizer) {
	t.Helper()
	for _, c := range jsonLines[tokenizerCase](t, filepath.Join(dir, "cases.jsonl")) {
		c.check(t, tok)
	}
	if path := filepath.Join(dir, "streams.jsonl"); exists(path) {
		for _, c := range jsonLines[streamCase](t, path) {
			c.check(t, tok)
		}
	}
	if path := filepath.Join(dir, "llama_cpp_cases.jsonl"); exists(path) {
		for _, c := range jsonLines[tokenizerCase](t, path) {
			same(t, c.Text, "ids", tok.Encode(c.Text, false), c.IDs)
		}
	}
}

type marianCase struct {
	Text    string   `json:"text"`
	Target  bool     `json:"target"`
	IDs     []int32  `json:"ids"`
	Tokens  []string `json:"tokens"`
	Decoded *string  `json:"decoded_with_target_model"`
	Skipped *string  `json:"decoded_with_target_model_skip_special"`
}

func checkMarian(t *testing.T, dir string) {
	source, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	target, err := LoadTargetDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range jsonLines[marianCase](t, filepath.Join(dir, "cases.jsonl")) {
		tok := source
		if c.Target {
			tok = target
		}
		e, err := tok.EncodeFull(c.Text, EncodeOptions{AddSpecialTokens: true})
		if err != nil {
			t.Fatal(err)
		}
		same(t, c.Text, "ids", e.IDs, c.IDs)
		same(t, c.Text, "ids of Encode", tok.Encode(c.Text, true), c.IDs)
		if c.Tokens != nil {
			same(t, c.Text, "tokens", e.Tokens, c.Tokens)
		}
		for _, decoder := range []*Tokenizer{source, target} {
			if c.Decoded != nil {
				same(t, c.Text, "decoded", decoder.Decode(c.IDs, false), *c.Decoded)
			}
			if c.Skipped != nil {
				same(t, c.Text, "decoded without special tokens", decoder.Decode(c.IDs, true), *c.Skipped)
			}
		}
	}
}

// TestFixtureTokenizerPlain opens folders that have a tokenizer.json without
// it: plain files must amount to the same parts.
func TestFixtureTokenizerPlain(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		if !exists(filepath.Join(dir, "tokenizer.json")) || !exists(filepath.Join(dir, "cases.jsonl")) {
			return
		}
		plain := t.TempDir()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() == "tokenizer.json" || filepath.Ext(e.Name()) == ".jsonl" {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(plain, e.Name()), string(data))
		}
		tok, err := LoadDir(plain)
		if errors.Is(err, ErrNone) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, raw := tok.spec.Model.(*spmModel); raw {
			return // TestFixtureSentencePiece checks it
		}
		if m, ok := tok.spec.Model.(*bpe); !ok || !m.IgnoreMerges { // tiktoken's may be written in several ways
			compareJSON(t, filepath.Join(dir, "tokenizer.json"), tok)
		}
		checkLoaded(t, dir, tok)
	}, "tok_")
}

// compareJSON compares the parts of a tokenizer.json, the model's last.
func compareJSON(t *testing.T, path string, tok *Tokenizer) {
	t.Helper()
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := Parse(want, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := ref.spec.Decoder.(byteLevel); ok { // whose settings say nothing
		ref.spec.Decoder = byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true}
	}
	for _, part := range []struct {
		name      string
		got, want any
	}{
		{"added_tokens", tok.spec.AddedTokens, ref.spec.AddedTokens},
		{"normalizer", tok.spec.Normalizer, ref.spec.Normalizer},
		{"pre_tokenizer", tok.spec.PreTokenizer, ref.spec.PreTokenizer},
		{"post_processor", tok.spec.PostProcessor, ref.spec.PostProcessor},
		{"decoder", tok.spec.Decoder, ref.spec.Decoder},
	} {
		g, err1 := marshalPart(part.got)
		w, err2 := marshalPart(part.want)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if string(g) != string(w) {
			t.Errorf("%s:\ngot  %s\nwant %s", part.name, g, w)
		}
	}
	if !reflect.DeepEqual(tok.spec.Model.tokens(), ref.spec.Model.tokens()) {
		t.Error("the vocabularies differ")
	}
	if got, ok := tok.spec.Model.(*bpe); ok {
		if m := ref.spec.Model.(*bpe); !reflect.DeepEqual(got.Merges, m.Merges) {
			t.Error("the merges differ")
		}
	}
	if got, ok := tok.spec.Model.(*unigram); ok {
		if m := ref.spec.Model.(*unigram); !reflect.DeepEqual(got.Scores, m.Scores) || got.UnkID != m.UnkID || got.ByteFallback != m.ByteFallback {
			t.Error("the scores differ")
		}
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// checkEffective compares the parts with those that fixture.json says plain
// files must give.
func checkEffective(t *testing.T, dir string, tok *Tokenizer) {
	t.Helper()
	var fixture struct{ Effective map[string]any }
	data, err := os.ReadFile(filepath.Join(dir, "fixture.json"))
	if err == nil {
		err = json.Unmarshal(data, &fixture)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err = tok.MarshalJSON()
	if err != nil {
		if fixture.Effective != nil {
			t.Fatal(err)
		}
		return // a SentencePiece model as it is
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	m := got["model"].(map[string]any)
	delete(m, "vocab")
	delete(m, "merges")
	for field, want := range fixture.Effective {
		same(t, dir, field, got[field], want)
	}
}
