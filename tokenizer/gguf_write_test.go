package tokenizer

import (
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// TestFixtureGGUFMetadata writes every tokenizer as metadata, reads it back and
// expects the same ids.
func TestFixtureGGUFMetadata(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		cases := filepath.Join(dir, "cases.jsonl")
		if gguf, _ := filepath.Glob(filepath.Join(dir, "*.gguf")); !exists(cases) || len(gguf) > 0 {
			return
		}
		tok, err := LoadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		config, err := LoadConfig(dir)
		if err != nil {
			t.Fatal(err)
		}
		meta, err := tok.GGUFMetadata(config)
		if err != nil {
			if reason, ok := noGGUF[strings.TrimPrefix(filepath.Base(dir), "tok_")]; !ok || !strings.Contains(err.Error(), reason) {
				t.Error(err)
			}
			return
		}
		back, err := FromGGUF(meta, "back")
		if err != nil {
			t.Fatal(err)
		}
		again, err := back.GGUFMetadata(ConfigFromGGUF(meta))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range slices.Sorted(maps.Keys(meta)) {
			if !reflect.DeepEqual(again[key], meta[key]) && key != "tokenizer.ggml.scores" { // whose order counts
				t.Errorf("%s changes when written again", key)
			}
		}
		PadGGUF(meta, tok.VocabSize()+10)
		if back, err = FromGGUF(meta, "padded"); err != nil {
			t.Fatal(err)
		}
		for _, c := range jsonLines[tokenizerCase](t, cases) {
			if c.Pair == nil && !lostInGGUF(tok, c.Text) {
				same(t, c.Text, "ids", back.Encode(c.Text, c.AddSpecialTokens), c.IDs)
			}
		}
	}, "tok_")
}

// lostInGGUF tells texts that GGUF's words for a tokenizer do not fit: there is
// no NFC before byte-level BPE, a space comes before every text that is to have
// one, not only before those that begin with none, and added tokens take no
// space beside them.
func lostInGGUF(tok *Tokenizer, text string) bool {
	for _, a := range tok.AddedTokens() {
		if (a.LStrip || a.RStrip || a.SingleWord) && strings.Contains(text, a.Content) {
			return true
		}
	}
	if _, ok := tok.spec.PreTokenizer.(metaspace); ok && (strings.HasPrefix(text, " ") || strings.Contains(text, "<")) {
		return true
	}
	n := normalized{s: text}
	unicodeForm{"NFC"}.normalize(&n)
	return n.s != text && tok.spec.Normalizer != nil && tok.spec.Normalizer.typeName() == "NFC"
}

// noGGUF says why a tokenizer cannot be written as GGUF.
var noGGUF = map[string]string{
	"added":                "Lowercase",
	"marian":               "Marian",
	"t5":                   "Unigram",
	"xlmr":                 "Unigram",
	"unigram_bytefallback": "Unigram",
}

// TestFixtureGGUFSentencePiece: a SentencePiece model goes into metadata as it
// is. Named difference: GGUF's user-defined tokens cut a text before spaces are
// put before its parts, SentencePiece's afterwards.
func TestFixtureGGUFSentencePiece(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		cases := filepath.Join(dir, "spm_cases.jsonl")
		if !exists(cases) {
			return
		}
		tok := parseModelIn(t, dir)
		meta, err := tok.GGUFMetadata(Config{})
		if err != nil {
			t.Fatal(err)
		}
		back, err := FromGGUF(meta, "back")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range jsonLines[spmCase](t, cases) {
			cut := slices.ContainsFunc(back.AddedTokens(), func(a AddedToken) bool { return !a.Special && strings.Contains(c.Text, a.Content) })
			if !cut {
				same(t, c.Text, "ids", back.EncodeOrdinary(c.Text), c.IDs)
			}
		}
	}, "tok_")
}
