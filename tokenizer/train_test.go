package tokenizer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"wenmo/internal/testkit"
)

// trainCase is a line of bpe.jsonl.
type trainCase struct {
	Name         string
	Corpus       string
	Model        string
	Normalizer   json.RawMessage
	PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	Trainer      struct {
		VocabSize               int             `json:"vocab_size"`
		MinFrequency            int64           `json:"min_frequency"`
		SpecialTokens           []string        `json:"special_tokens"`
		InitialAlphabet         json.RawMessage `json:"initial_alphabet"`
		LimitAlphabet           int             `json:"limit_alphabet"`
		ContinuingSubwordPrefix string          `json:"continuing_subword_prefix"`
		EndOfWordSuffix         string          `json:"end_of_word_suffix"`
		MaxTokenLength          int             `json:"max_token_length"`
	}
	VocabSize   int      `json:"vocab_size"`
	Vocab       []string // in order of ids
	VocabFirst  []string `json:"vocab_first"`
	Merges      []trainMerge
	MustContain []string `json:"must_contain"`
	MayContain  []string `json:"may_contain"`
}

// trainMerge is "left right", or [left, right] where a token holds a space.
type trainMerge [2]string

func (m *trainMerge) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[2]string)(m))
	}
	var s string
	err := json.Unmarshal(b, &s)
	m[0], m[1], _ = strings.Cut(s, " ")
	return err
}

func TestFixtureTokenizerTrain(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		f, err := os.Open(filepath.Join(dir, "bpe.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for d := json.NewDecoder(f); d.More(); {
			var c trainCase
			if err := d.Decode(&c); err != nil {
				t.Fatal(err)
			}
			t.Run(c.Name, func(t *testing.T) { c.check(t, dir) })
		}
	}, "tok_train")
}

func (c *trainCase) options(t *testing.T) TrainOptions {
	o := c.Trainer
	opt := TrainOptions{
		VocabSize:               o.VocabSize,
		MinFrequency:            o.MinFrequency,
		SpecialTokens:           o.SpecialTokens,
		LimitAlphabet:           o.LimitAlphabet,
		ContinuingSubwordPrefix: o.ContinuingSubwordPrefix,
		EndOfWordSuffix:         o.EndOfWordSuffix,
		MaxTokenLength:          o.MaxTokenLength,
	}
	switch s := string(o.InitialAlphabet); s {
	case "", "null":
	case `"byte-level alphabet"`:
		opt.InitialAlphabet = ByteLevelAlphabet()
	default:
		var letters []string
		if err := json.Unmarshal(o.InitialAlphabet, &letters); err != nil {
			t.Fatalf("initial_alphabet %s: %v", s, err)
		}
		opt.InitialAlphabet = []rune(strings.Join(letters, ""))
	}
	return opt
}

func (c *trainCase) check(t *testing.T, dir string) {
	base, err := Parse(fmt.Appendf(nil, `{"normalizer":%s,"pre_tokenizer":%s,"model":{"type":"BPE","vocab":{},"merges":[]}}`,
		c.Normalizer, c.PreTokenizer), c.Name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, c.Corpus))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c.Model == "WordPiece" {
		tok, err := TrainWordPiece(context.Background(), base, c.options(t), f)
		if err != nil {
			t.Fatal(err)
		}
		if n := tok.VocabSize(); n != c.VocabSize {
			t.Errorf("%d tokens, want %d", n, c.VocabSize)
		}
		c.checkContent(t, tok.spec.Model.tokens())
		return
	}
	tok, err := TrainBPE(context.Background(), base, c.options(t), f)
	if err != nil {
		t.Fatal(err)
	}
	m := tok.spec.Model.(*bpe)
	if len(m.Vocab) != c.VocabSize {
		t.Errorf("%d tokens, want %d", len(m.Vocab), c.VocabSize)
	}
	if c.MustContain != nil {
		c.checkContent(t, m.Vocab)
		return
	}
	if c.Merges == nil || c.Vocab == nil && c.VocabFirst == nil {
		t.Fatal("the fixture says nothing of the vocabulary")
	}
	for i, want := range append(c.Vocab, c.VocabFirst...) {
		if i >= len(m.Vocab) || m.Vocab[i] != want {
			t.Fatalf("token %d is %q, want %q", i, m.Vocab[i:min(i+1, len(m.Vocab))], want)
		}
	}
	if len(m.Merges) != len(c.Merges) {
		t.Errorf("%d merges, want %d", len(m.Merges), len(c.Merges))
	}
	for i, want := range c.Merges[:min(len(c.Merges), len(m.Merges))] {
		if got := (trainMerge{m.Vocab[m.Merges[i].left], m.Vocab[m.Merges[i].right]}); got != want {
			t.Fatalf("merge %d is %q, want %q", i, got, want)
		}
	}
}

// checkContent compares vocabularies as sets, where the reference's ids depend
// on the order of a hash table.
func (c *trainCase) checkContent(t *testing.T, vocab []string) {
	for _, s := range c.MustContain {
		if !slices.Contains(vocab, s) {
			t.Errorf("%q is missing", s)
		}
	}
	for _, s := range vocab {
		if !slices.Contains(c.MustContain, s) && !slices.Contains(c.MayContain, s) {
			t.Errorf("%q should not be there", s)
		}
	}
}

func TestTrainWordPiece(t *testing.T) {
	text := "The unaffable cat; the affable dog. 天下皆知美之为美\n"
	tok, err := TrainWordPiece(t.Context(), nil, TrainOptions{VocabSize: 90}, strings.NewReader(strings.Repeat(text, 3)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := tok.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(data, "saved")
	if err != nil {
		t.Fatal(err)
	}
	ids := again.Encode("The affable 美 dog", true)
	if got := again.Decode(ids, false); got != "[CLS] the affable 美 dog [SEP]" {
		t.Errorf("%q", got)
	}
	if got := again.Decode(again.Encode("☃", true), false); got != "[CLS] [UNK] [SEP]" {
		t.Errorf("%q", got)
	}
	full, err := again.EncodeFull("the dog", EncodeOptions{AddSpecialTokens: true})
	if err != nil || full.Tokens[0] != "[CLS]" || full.IDs[0] != 2 {
		t.Errorf("%+v %v", full, err)
	}
	other, err := TrainWordPiece(t.Context(), nil, TrainOptions{VocabSize: 60, SpecialTokens: []string{"[SEP]", "[PAD]"}}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if a := other.AddedTokens(); len(a) != 3 || a[0].Content != "[UNK]" {
		t.Errorf("%+v", a)
	}
	if got := other.Decode(other.Encode("The", true), false); got != "the" { // no [CLS]: no template
		t.Errorf("%q", got)
	}
	if _, err := TrainWordPiece(t.Context(), nil, TrainOptions{EndOfWordSuffix: "</w>"}, strings.NewReader(text)); err == nil {
		t.Error("a suffix passes")
	}
}

// trainedOn trains on text with room for everything unless given.
func trainedOn(t *testing.T, text string, opt TrainOptions, room trainRoom) *bpe {
	t.Helper()
	tok, err := trainBPE(context.Background(), nil, opt, room, []io.Reader{strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
	return tok.spec.Model.(*bpe)
}

var ampleRoom = trainRoom{table: 1 << 30, symbols: 1 << 30, queue: 1 << 30}

// trainText is made-up English and Chinese, the same in every run.
func trainText(bytes int) string {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []rune("etaoinshrdlu的一是不了在人有我他")
	var words []string
	for range 5000 {
		var w strings.Builder
		for range 1 + r.IntN(8) {
			w.WriteRune(letters[min(r.IntN(len(letters)), r.IntN(len(letters)))])
		}
		words = append(words, w.String())
	}
	var b strings.Builder
	for b.Len() < bytes {
		b.WriteString(words[int(float64(len(words))*math.Pow(r.Float64(), 3))])
		b.WriteString([]string{" ", " ", " ", " ", "", "，", ". ", "\n"}[r.IntN(8)])
	}
	return b.String()
}

func TestTrainBPEThreads(t *testing.T) {
	text := trainText(2 << 20)
	opt := TrainOptions{VocabSize: 2000, Threads: 1}
	for name, room := range map[string]trainRoom{
		"exact":   ampleRoom,
		"sampled": {table: 1 << 17, symbols: 1 << 16, queue: 1 << 30},
	} {
		opt.Threads = 1
		want := trainedOn(t, text, opt, room)
		for _, opt.Threads = range []int{2, 5} {
			if got := trainedOn(t, text, opt, room); !slices.Equal(got.Vocab, want.Vocab) || !slices.Equal(got.Merges, want.Merges) {
				t.Errorf("%s: %d threads differ from one", name, opt.Threads)
			}
		}
	}
}

// TestTrainBPEQueueRoom: the same merges come from a queue that is filled anew
// all the time.
func TestTrainBPEQueueRoom(t *testing.T) {
	text := trainText(1 << 18)
	for _, opt := range []TrainOptions{{VocabSize: 2000}, {VocabSize: 5000, MinFrequency: 3}, {VocabSize: 600, MaxTokenLength: 4}} {
		want := trainedOn(t, text, opt, ampleRoom)
		for _, queue := range []int{2000, 20000} {
			room := ampleRoom
			room.queue = queue
			if got := trainedOn(t, text, opt, room); !slices.Equal(got.Vocab, want.Vocab) || !slices.Equal(got.Merges, want.Merges) {
				t.Errorf("%+v: room for %d changes the merges", opt, queue)
			}
		}
	}
}

// TestTrainBPESampled: sampled counts give nearly the vocabulary of exact ones.
func TestTrainBPESampled(t *testing.T) {
	text := trainText(1 << 20)
	opt := TrainOptions{VocabSize: 1000}
	want := trainedOn(t, text, opt, ampleRoom)
	for _, room := range []trainRoom{{1 << 19, 1 << 30, 1 << 30}, {1 << 30, 1 << 18, 1 << 30}} {
		got := trainedOn(t, text, opt, room)
		same := 0
		for _, s := range got.Vocab {
			if slices.Contains(want.Vocab, s) {
				same++
			}
		}
		if same < 850 {
			t.Errorf("%+v: %d of 1000 tokens as without sampling", room, same)
		}
	}
}

func TestTrainBPESources(t *testing.T) {
	train := func(sources ...io.Reader) *Tokenizer {
		t.Helper()
		tok, err := TrainBPE(context.Background(), nil, TrainOptions{VocabSize: 300, SpecialTokens: []string{"<s>", "<s>", "</s>"}}, sources...)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	text := "天下皆知美之为美 the quick brown fox\nthe quicker fox\r\n\n"
	want := train(strings.NewReader(text + text))
	got := train(iotest.OneByteReader(strings.NewReader(text)), strings.NewReader(text))
	if !slices.Equal(got.spec.Model.tokens(), want.spec.Model.tokens()) {
		t.Error("two sources differ from one")
	}
	if a := got.AddedTokens(); len(a) != 2 || a[0].ID != 0 || a[1].Content != "</s>" || !a[1].Special {
		t.Errorf("added tokens %+v", a)
	}
	for _, s := range []string{text, "", "<s> 美 \x00"} {
		if back := got.Decode(got.Encode(s, false), false); back != s {
			t.Errorf("%q comes back as %q", s, back)
		}
	}
	if n := train().VocabSize(); n != 258 {
		t.Errorf("no text gives %d tokens", n)
	}
}

func TestTrainBPERefuses(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "bad.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString("good line\n\xff bad\n")
	f.Seek(0, io.SeekStart)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		opt    TrainOptions
		source io.Reader
		want   string
	}{
		"UTF-8":     {t.Context(), TrainOptions{}, f, "bad.txt: byte 10 is not UTF-8"},
		"read":      {t.Context(), TrainOptions{}, iotest.ErrReader(errors.New("disk on fire")), "source 1: disk on fire"},
		"cancelled": {cancelled, TrainOptions{}, strings.NewReader("a b"), "context canceled"},
		"negative":  {t.Context(), TrainOptions{VocabSize: -1}, strings.NewReader(""), "negative"},
	} {
		if _, err := TrainBPE(c.ctx, nil, c.opt, c.source); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestTrainBPELongLine: lines longer than a block are read whole, those beyond
// maxLine are cut between words.
func TestTrainBPELongLine(t *testing.T) {
	word := "mississippi "
	for _, size := range []int{blockSize + 100, maxLine + blockSize} {
		line := strings.Repeat(word, size/len(word))
		m := trainedOn(t, line, TrainOptions{VocabSize: 400, MinFrequency: 2}, ampleRoom)
		if last := m.Vocab[len(m.Vocab)-1]; last != "Ġmississippi" {
			t.Errorf("%d bytes: the last token is %q", size, last)
		}
	}
}
