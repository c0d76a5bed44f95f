package tokenizer

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"wenmo/internal/testkit"
)

// jsonLines reads a value of type T from each line of a file.
func jsonLines[T any](t testing.TB, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%s: line %d: %v", path, len(out)+1, err)
		}
		out = append(out, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatalf("%s has no cases", path)
	}
	return out
}

// tokenizerCase is a line of cases.jsonl.
type tokenizerCase struct {
	Text               string   `json:"text"`
	Pair               *string  `json:"pair"`
	AddSpecialTokens   bool     `json:"add_special_tokens"`
	IDs                []int32  `json:"ids"`
	Tokens             []string `json:"tokens"`
	Offsets            [][2]int `json:"offsets"` // in characters
	ByteOffsets        [][2]int `json:"byte_offsets"`
	TypeIDs            []int32  `json:"type_ids"` // absent: all 0
	Decoded            any      `json:"decoded"`  // true: the text
	DecodedSkipSpecial *string  `json:"decoded_skip_special"`
	SpecialsAsText     []int32  `json:"ids_specials_as_text"`
	Target             bool     `json:"target"`
}

func (c *tokenizerCase) check(t *testing.T, tok *Tokenizer) {
	t.Helper()
	e, err := tok.EncodeFull(c.Text, EncodeOptions{AddSpecialTokens: c.AddSpecialTokens, Pair: c.Pair})
	if err != nil {
		t.Errorf("%q: %v", c.Text, err)
		return
	}
	same(t, c.Text, "ids", e.IDs, c.IDs)
	if c.Pair == nil {
		same(t, c.Text, "ids of Encode", tok.Encode(c.Text, c.AddSpecialTokens), c.IDs)
	}
	if c.Tokens != nil {
		same(t, c.Text, "tokens", e.Tokens, c.Tokens)
	}
	if c.Offsets != nil {
		same(t, c.Text, "offsets", c.charOffsets(e), c.Offsets)
	}
	if c.ByteOffsets != nil {
		same(t, c.Text, "byte offsets", e.Offsets, c.ByteOffsets)
	}
	types := c.TypeIDs
	if types == nil {
		types = make([]int32, len(c.IDs))
	}
	same(t, c.Text, "type ids", e.TypeIDs, types)
	if c.SpecialsAsText != nil {
		same(t, c.Text, "ids with specials as text", tok.EncodeOrdinary(c.Text), c.SpecialsAsText)
	}
	c.checkDecode(t, tok)
	c.checkBytes(t, tok)
}

// checkBytes: the bytes of the tokens make up their text, but for blanks at its
// ends.
func (c *tokenizerCase) checkBytes(t *testing.T, tok *Tokenizer) {
	t.Helper()
	var ids []int32
	var got []byte
	for _, id := range c.IDs {
		bytes, ok := tok.TokenBytes(id)
		if !ok {
			t.Errorf("id %d has no bytes", id)
		}
		if !tok.IsSpecial(id) {
			ids, got = append(ids, id), append(got, bytes...)
		}
	}
	if putsBetween(tok.spec.Decoder) || !utf8.Valid(got) {
		return
	}
	same(t, c.Text, "bytes of the tokens", strings.TrimSpace(string(got)), strings.TrimSpace(tok.Decode(ids, false)))
}

// putsBetween reports whether a decoder looks at more than one token.
func putsBetween(d decoder) bool {
	switch d := d.(type) {
	case nil, wordPieceDecoder, ctcDecoder:
		return true
	case decoderSequence:
		return slices.ContainsFunc(d.Decoders, putsBetween)
	}
	return false
}

func (c *tokenizerCase) checkDecode(t *testing.T, tok *Tokenizer) {
	t.Helper()
	decoded, given := c.Decoded.(string)
	if c.Decoded == true {
		decoded, given = c.Text, true
	}
	if given {
		same(t, c.Text, "decoded", tok.Decode(c.IDs, false), decoded)
	}
	if c.DecodedSkipSpecial != nil {
		decoded, given = *c.DecodedSkipSpecial, true
	}
	if given {
		same(t, c.Text, "decoded without special tokens", tok.Decode(c.IDs, true), decoded)
	}
}

// charOffsets converts the offsets of e, which count in the text or the pair.
func (c *tokenizerCase) charOffsets(e Encoding) [][2]int {
	out := CharOffsets(c.Text, e.Offsets)
	if c.Pair != nil {
		for i, o := range CharOffsets(*c.Pair, e.Offsets) {
			if e.SequenceIDs[i] == 1 {
				out[i] = o
			}
		}
	}
	return out
}

func same(t *testing.T, text, what string, got, want any) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	if g.Kind() == reflect.Slice && g.Len() == 0 && w.Len() == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %s:\ngot  %#v\nwant %#v", text, what, got, want)
	}
}

type streamCase struct {
	IDs                   []int32   `json:"ids"`
	Increments            []*string `json:"increments"`
	Full                  string    `json:"full"`
	IncrementsSkipSpecial []*string `json:"increments_skip_special"`
	FullSkipSpecial       *string   `json:"full_skip_special"`
}

func (c *streamCase) check(t *testing.T, tok *Tokenizer) {
	t.Helper()
	c.checkOne(t, tok, false, c.Increments, c.Full)
	increments, full := c.Increments, c.Full
	if c.IncrementsSkipSpecial != nil {
		increments = c.IncrementsSkipSpecial
	}
	if c.FullSkipSpecial != nil {
		full = *c.FullSkipSpecial
	}
	c.checkOne(t, tok, true, increments, full)
}

func (c *streamCase) checkOne(t *testing.T, tok *Tokenizer, skip bool, increments []*string, full string) {
	t.Helper()
	if got := tok.Decode(c.IDs, skip); got != full {
		t.Errorf("%v: decoded (skip special: %v):\ngot  %q\nwant %q", c.IDs, skip, got, full)
	}
	s := tok.NewStream(skip)
	for i, id := range c.IDs {
		want := ""
		if increments[i] != nil {
			want = *increments[i]
		}
		if got := s.Push(id); got != want {
			t.Errorf("%v: after id %d (skip special: %v): got %q, want %q", c.IDs, i, skip, got, want)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestFixtureTokenizerJSON(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		file := filepath.Join(dir, "tokenizer.json")
		if !exists(file) || !exists(filepath.Join(dir, "cases.jsonl")) {
			t.SkipNow()
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Parse(data, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range jsonLines[tokenizerCase](t, filepath.Join(dir, "cases.jsonl")) {
			c.check(t, tok)
		}
		if path := filepath.Join(dir, "streams.jsonl"); exists(path) {
			for _, c := range jsonLines[streamCase](t, path) {
				c.check(t, tok)
			}
		}
	}, "tok_")
}
