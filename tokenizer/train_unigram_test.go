package tokenizer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// unigramCase is a line of unigram_spm.jsonl.
type unigramCase struct {
	Name    string
	Corpus  string
	Trainer struct {
		ModelType         string  `json:"model_type"`
		VocabSize         int     `json:"vocab_size"`
		CharacterCoverage float64 `json:"character_coverage"`
		ByteFallback      bool    `json:"byte_fallback"`
		SplitDigits       bool    `json:"split_digits"`
		MaxPieceLength    int     `json:"max_piece_length"`
	}
	Pieces      []string
	Scores      []float64
	Tokens      int       `json:"tokens_on_corpus"`
	LogProb     float64   `json:"corpus_viterbi_logprob"`
	PiecesFirst []string  `json:"pieces_first"` // of Hugging Face's trainer
	ScoresFirst []float64 `json:"scores_first"`
	PieceCount  int       `json:"piece_count"`
}

// How far a vocabulary may be from the reference's, by the fixtures' README.
const (
	leastSamePieces = 0.95
	mostOfTotal     = 0.01
	mostScoreApart  = 0.25
)

func TestFixtureTokenizerTrainUnigram(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		f, err := os.Open(filepath.Join(dir, "unigram_spm.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for d := json.NewDecoder(f); d.More(); {
			var c unigramCase
			if err := d.Decode(&c); err != nil {
				t.Fatal(err)
			}
			t.Run(c.Name, func(t *testing.T) {
				data, err := os.ReadFile(filepath.Join(dir, c.Corpus))
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case c.PiecesFirst != nil:
					c.checkHuggingFace(t, string(data))
				case c.Trainer.ModelType == "unigram":
					c.checkUnigram(t, sentencePieceLines(string(data)))
				case c.Trainer.ModelType == "bpe":
					c.checkBPE(t, sentencePieceLines(string(data)))
				default:
					t.Fatalf("model_type %q", c.Trainer.ModelType)
				}
			})
		}
	}, "tok_train")
}

// sentencePieceLines leaves out blank lines and spaces that SentencePiece does
// not keep.
func sentencePieceLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		words := strings.FieldsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r == ' ' })
		if len(words) > 0 {
			b.WriteString(strings.Join(words, " ") + "\n")
		}
	}
	return b.String()
}

func (c *unigramCase) options() UnigramOptions {
	return UnigramOptions{
		VocabSize: c.Trainer.VocabSize, ByteFallback: c.Trainer.ByteFallback,
		CharacterCoverage: c.Trainer.CharacterCoverage, MaxPieceLength: c.Trainer.MaxPieceLength,
	}
}

// checkPieces compares a vocabulary with the pieces wanted and, if there are
// any, their scores.
func (c *unigramCase) checkPieces(t *testing.T, got vocab, scores []float64, want []string, wantScores []float64) {
	t.Helper()
	at := make(map[string]int, len(got))
	for i, p := range got {
		at[p] = i
	}
	same := 0
	for i, p := range want {
		j, ok := at[p]
		if !ok {
			continue
		}
		same++
		if wantScores != nil && math.Abs(scores[j]-wantScores[i]) > mostScoreApart {
			t.Errorf("the score of %q is %v, want %v", p, scores[j], wantScores[i])
		}
	}
	t.Logf("%d of %d pieces", same, len(want))
	if float64(same) < leastSamePieces*float64(len(want)) {
		t.Errorf("%d of %d pieces", same, len(want))
	}
}

func near(got, want float64) bool { return math.Abs(got-want) <= mostOfTotal*math.Abs(want) }

func (c *unigramCase) checkHuggingFace(t *testing.T, text string) {
	opt := c.options()
	opt.AsHuggingFace = true
	tok, err := TrainUnigram(context.Background(), nil, opt, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	m := tok.spec.Model.(*unigram)
	c.checkPieces(t, m.Vocab, m.Scores, c.PiecesFirst, c.ScoresFirst)
	if len(c.ScoresFirst) != len(c.PiecesFirst) {
		t.Errorf("%d scores for %d pieces", len(c.ScoresFirst), len(c.PiecesFirst))
	}
	if n := len(m.Vocab) - len(tok.AddedTokens()); !near(float64(n), float64(c.PieceCount)) {
		t.Errorf("%d pieces, want %d", n, c.PieceCount)
	}
}

func (c *unigramCase) checkUnigram(t *testing.T, text string) {
	tok, err := TrainUnigram(context.Background(), nil, c.options(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	m := tok.spec.Model.(*unigram)
	c.checkPieces(t, m.Vocab, m.Scores, c.Pieces, c.Scores)
	if len(m.Vocab) != c.Trainer.VocabSize {
		t.Errorf("%d tokens, want %d", len(m.Vocab), c.Trainer.VocabSize)
	}
	logProb := 0.0
	n := c.encodeLines(tok, text, func(id int32) { logProb += m.Scores[id] })
	t.Logf("%d tokens on the corpus, reference %d; log-probability %.0f, reference %.0f", n, c.Tokens, logProb, c.LogProb)
	if !near(float64(n), float64(c.Tokens)) || !near(logProb, c.LogProb) {
		t.Errorf("%d tokens on the corpus, want %d; log-probability %.0f, want %.0f", n, c.Tokens, logProb, c.LogProb)
	}
}

// encodeLines encodes the lines without their ends and returns the number of
// tokens.
func (c *unigramCase) encodeLines(tok *Tokenizer, text string, each func(id int32)) (n int) {
	for line := range strings.Lines(text) {
		ids := tok.Encode(strings.TrimSuffix(line, "\n"), false)
		for _, id := range ids {
			each(id)
		}
		n += len(ids)
	}
	return n
}

// spmCuts cuts words as SentencePiece's BPE trainer does: where the script
// changes, around digits if asked, and it leaves out the rarest characters.
type spmCuts struct {
	kept   map[rune]bool
	digits bool
}

func (spmCuts) typeName() string { return "test" }

func (s spmCuts) preTokenize(w *work) {
	scripts := loadPieceScripts()
	w.eachText(func(p piece, to []piece) []piece {
		last, open := -1, false
		for i := p.start; i < p.end; {
			r, size := decodeRune(w.text[i:p.end])
			script := scripts.of(r)
			digit := s.digits && r >= '0' && r <= '9'
			switch {
			case !s.kept[r]:
				open = false
			case open && (last < 0 || script == last) && !digit:
				to[len(to)-1].end = i + size
			default:
				to = append(to, piece{i, i + size, -1})
				open = true
			}
			last = script
			if r == '▁' {
				last = -1
			}
			open = open && !digit
			i += size
		}
		return to
	})
}

// checkBPE trains as SentencePiece's BPE does but for the order of equal
// counts.
func (c *unigramCase) checkBPE(t *testing.T, text string) {
	opt := c.options()
	if err := opt.fill(); err != nil {
		t.Fatal(err)
	}
	base := metaspaceBase(c.Trainer.ByteFallback)
	words := newWordCounter(base, 1, opt.Progress)
	words.countAll(context.Background(), []io.Reader{strings.NewReader(text)}, 1<<30)
	kept := newUnigramTrainer(words, &opt).kept
	special := []string{"<unk>", "<s>", "</s>"}
	for b := range byteTokenCount {
		if c.Trainer.ByteFallback {
			special = append(special, fmt.Sprintf("<0x%02X>", b))
		}
	}
	meta := base.spec.PreTokenizer
	base.spec.PreTokenizer = preTokenizerSequence{[]preTokenizer{meta, spmCuts{kept, c.Trainer.SplitDigits}}}
	base.spec.Model = &bpe{UnkToken: "<unk>", ByteFallback: c.Trainer.ByteFallback}
	tok, err := TrainBPE(context.Background(), base, TrainOptions{VocabSize: c.Trainer.VocabSize, SpecialTokens: special}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	m := tok.spec.Model.(*bpe)
	c.checkPieces(t, m.Vocab, nil, c.Pieces, nil)
	s := tok.spec
	s.PreTokenizer = meta
	tok, err = newTokenizer(s, "without cuts")
	if err != nil {
		t.Fatal(err)
	}
	n := c.encodeLines(tok, text, func(int32) {})
	t.Logf("%d tokens on the corpus, reference %d", n, c.Tokens)
	if !near(float64(n), float64(c.Tokens)) {
		t.Errorf("%d tokens on the corpus, want %d", n, c.Tokens)
	}
}

func trainUnigramOn(t *testing.T, text string, opt UnigramOptions) *Tokenizer {
	t.Helper()
	tok, err := TrainUnigram(t.Context(), nil, opt, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestTrainUnigramThreads: the same bytes come from any number of threads, also
// where words are sampled.
func TestTrainUnigramThreads(t *testing.T) {
	text := trainText(1 << 17)
	for _, opt := range []UnigramOptions{{VocabSize: 800, ByteFallback: true}, {VocabSize: 500, AsHuggingFace: true}, {VocabSize: 300, Memory: 1 << 17}} {
		opt.Threads = 1
		want, _ := trainUnigramOn(t, text, opt).MarshalJSON()
		for _, opt.Threads = range []int{2, 3} {
			if got, _ := trainUnigramOn(t, text, opt).MarshalJSON(); !bytes.Equal(got, want) {
				t.Errorf("%+v: another result than with one thread", opt)
			}
		}
	}
}

// TestTrainUnigramSaved: what was learned gives texts back, and is the same
// after it was saved.
func TestTrainUnigramSaved(t *testing.T) {
	texts := []string{"天下皆知美之为美，斯恶已。", "The quick brown fox", "a\nb", "two  spaces ", "🦊 é"}
	tok := trainUnigramOn(t, strings.Repeat(strings.Join(texts[:2], "\n")+"\n", 9), UnigramOptions{VocabSize: 400, ByteFallback: true})
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := tok.Save(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(data, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range texts {
		ids := tok.Encode(s, true)
		if !slices.Equal(ids, again.Encode(s, true)) {
			t.Errorf("%q is encoded otherwise after saving", s)
		}
		if back := again.Decode(ids, true); back != s {
			t.Errorf("%q comes back as %q", s, back)
		}
	}
	if n := tok.VocabSize(); n > 400 {
		t.Errorf("%d tokens", n)
	}
	if a := tok.AddedTokens(); len(a) != 3 || a[0].Content != "<unk>" {
		t.Errorf("added tokens %+v", a)
	}
}

func TestTrainUnigramRefuses(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for want, c := range map[string]struct {
		ctx  context.Context
		opt  UnigramOptions
		text string
	}{
		"negative":             {t.Context(), UnigramOptions{VocabSize: -1}, "a"},
		"not a share":          {t.Context(), UnigramOptions{CharacterCoverage: 1.5}, "a"},
		"no room for 7":        {t.Context(), UnigramOptions{VocabSize: 6}, "abc"},
		"no room for 262":      {t.Context(), UnigramOptions{VocabSize: 100, ByteFallback: true}, "ab"},
		"canceled":             {cancelled, UnigramOptions{}, "a"},
		"byte 1 is not UTF-8":  {t.Context(), UnigramOptions{}, "a\xff"},
		"byte 0 is not UTF-8":  {t.Context(), UnigramOptions{}, "\xfe\n"},
		"there is no text":     {t.Context(), UnigramOptions{}, ""},
		"there is no text ":    {t.Context(), UnigramOptions{ByteFallback: true}, ""},
		"source 1: byte 3 is ": {t.Context(), UnigramOptions{}, "ab\n\xc0"},
	} {
		if _, err := TrainUnigram(c.ctx, nil, c.opt, strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestTrainUnigramOdd: characters that the trainer uses for itself, words
// longer than a piece, and texts of one character.
func TestTrainUnigramOdd(t *testing.T) {
	for _, text := range []string{
		"a", "\n\n", "▁▁ ▁", "\x00\x01\t\r\n", strings.Repeat("あア漢", 4000), strings.Repeat("ab", 60_000) + "\n" + strings.Repeat("abc ", 99),
		"<unk> <s> <0x41>",
	} {
		tok := trainUnigramOn(t, text, UnigramOptions{VocabSize: 600, ByteFallback: true})
		if ids := tok.Encode(text, false); text != "" && len(ids) == 0 {
			t.Errorf("%.20q has no tokens", text)
		}
	}
}

func TestDigamma(t *testing.T) {
	const gamma = 0.57721566490153286
	for x, want := range map[float64]float64{1: -gamma, 0.5: -gamma - 2*math.Ln2, 2: 1 - gamma, 100: 4.600161852738087} {
		if got := digamma(x); math.Abs(got-want) > 1e-9 {
			t.Errorf("digamma(%v) = %v, want %v", x, got, want)
		}
	}
}
