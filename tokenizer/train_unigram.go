package tokenizer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"unicode/utf8"
)

// UnigramOptions are the settings of SentencePiece's Unigram trainer, by its
// defaults where they are zero. As there, sentences are lines and pieces are of
// one script; a line feed is a token of its own.
type UnigramOptions struct {
	VocabSize int // tokens in all; 0: 8000
	// SpecialTokens get the first ids, in this order; none: <unk>, <s>, </s>.
	// The unknown token <unk> is put first if it is not among them.
	SpecialTokens []string
	// ByteFallback adds a token for each byte, of which what the vocabulary
	// lacks is made.
	ByteFallback bool
	// CharacterCoverage is the share of all characters that the alphabet must
	// cover; 0: 0.9995. The rarest are left out.
	CharacterCoverage float64
	MaxPieceLength    int // in characters; 0: 16
	// AsHuggingFace trains as the trainer of Hugging Face's tokenizers does: a
	// piece may hold characters of several scripts, the first pieces are
	// counted once for each distinct word, and every character is kept.
	AsHuggingFace bool
	Threads       int // 0: as many as processors
	// Memory is how many bytes a training may take, about; 0: 1 GiB.
	Memory int64
	// Progress, if set, is called now and then by the training goroutine. Stages
	// are "count" and "prune" (Done: how many pieces are gone of those that go).
	Progress func(TrainProgress)
}

const (
	unigramUnk      = "<unk>"
	seedPieces      = 1_000_000 // to start from, at most
	subIterations   = 2         // of expectation and maximisation, before pruning
	shrinkTo        = 0.75      // of the pieces, by pruning
	finalSurplus    = 1.1       // by how much the pieces are more than wanted when pruning ends
	scorePenalty    = 0.0001    // between characters that have no score of their own
	byteTokenCount  = 256
	defaultCoverage = 0.9995
)

// TrainUnigram learns the pieces of a Unigram tokenizer and their scores (Kudo
// 2018, "Subword Regularization", section 3.2, as SentencePiece's
// unigram_model_trainer.cc does it) from texts, each line, its end included,
// being a sequence. The normalizer, pre-tokenizer and decoder are those of base,
// and the post-processor if its tokens are among SpecialTokens; nil stands for
// Metaspace. The result does not depend on the number of threads.
//
// It keeps to opt.Memory for any amount of text, as TrainBPE does; distinct
// words beyond a twentieth of that in bytes are sampled.
func TrainUnigram(ctx context.Context, base *Tokenizer, opt UnigramOptions, sources ...io.Reader) (*Tokenizer, error) {
	if err := opt.fill(); err != nil {
		return nil, err
	}
	if base == nil {
		base = metaspaceBase(opt.ByteFallback)
	}
	counter := newWordCounter(base, opt.Threads, opt.Progress)
	counter.raw = false
	part := opt.Memory / 1024
	if err := counter.countAll(ctx, sources, 256*part); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	counter.sample(min(56*part, math.MaxInt32), func(e *wordEntry) int64 { return int64(e.size) + 1 })
	t := newUnigramTrainer(counter, &opt)
	if len(t.chars) == 0 {
		return nil, errors.New("train: there is no text")
	}
	if fixed := t.fixed(); fixed > opt.VocabSize {
		return nil, fmt.Errorf("train: a vocabulary of %d has no room for %d special tokens and characters", opt.VocabSize, fixed)
	}
	if err := t.run(ctx); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return trained(base, opt.SpecialTokens, t.model())
}

// fill sets what is not given and refuses what cannot be.
func (opt *UnigramOptions) fill() error {
	opt.VocabSize = cmp.Or(opt.VocabSize, 8000)
	opt.CharacterCoverage = cmp.Or(opt.CharacterCoverage, defaultCoverage)
	opt.MaxPieceLength = cmp.Or(opt.MaxPieceLength, 16)
	opt.Threads = cmp.Or(opt.Threads, runtime.GOMAXPROCS(0))
	opt.Memory = cmp.Or(opt.Memory, 1<<30)
	if opt.Progress == nil {
		opt.Progress = func(TrainProgress) {}
	}
	switch {
	case opt.VocabSize < 0 || opt.MaxPieceLength < 0 || opt.Threads < 0 || opt.Memory < 0:
		return fmt.Errorf("train: a negative setting in %+v", *opt)
	case !(opt.CharacterCoverage > 0 && opt.CharacterCoverage <= 1):
		return fmt.Errorf("train: a character coverage of %v is not a share", opt.CharacterCoverage)
	case len(opt.SpecialTokens) == 0:
		opt.SpecialTokens = []string{unigramUnk, "<s>", "</s>"}
	case !slices.Contains(opt.SpecialTokens, unigramUnk):
		opt.SpecialTokens = append([]string{unigramUnk}, opt.SpecialTokens...)
	}
	return nil
}

// metaspaceBase is SentencePiece's way to cut and join text.
func metaspaceBase(byteFallback bool) *Tokenizer {
	meta := metaspace{Replacement: spmSpace, PrependScheme: "always", Split: true}
	s := spec{PreTokenizer: meta, Decoder: meta, Model: &unigram{}}
	if byteFallback {
		s.Decoder = llamaDecoder(true)
	}
	return &Tokenizer{spec: s}
}

// unigramTrainer holds the distinct words of a text and the pieces that are
// left of those that it began with.
type unigramTrainer struct {
	opt    *UnigramOptions
	text   string  // all words, each with wordEnd behind it
	starts []int32 // of the words in text
	counts []int64 // of the words
	chars  []unigramPiece
	kept   map[rune]bool // the same
	lines  int64         // line feeds, which are a piece of their own and take no part in the rest
	pieces []unigramPiece
	trie   *byteTrie // of the pieces
	least  float64   // score
	scale  float64   // expected counts are kept as integers, this many to one
	seeds  int       // pieces at the start

	// unknown is the id of an unknown character: -1, or as in SentencePiece's
	// trainer that of the first piece, which is ▁ in most texts and so seen a
	// little more often than it is.
	unknown int32
	scripts pieceScripts
}

// unigramPiece is a piece with its logarithmic probability or, before there is
// one, its count.
type unigramPiece struct {
	text  string
	score float64
}

// Bytes of the trainer's text that do not occur in UTF-8.
const (
	wordEnd  = 0xff
	lineEnd  = 0xfe // stands for a line feed that is no part of pieces
	rareChar = 0xfd // stands for a character outside the alphabet
)

// newUnigramTrainer lays out the words of the tables, in order, and empties
// the tables.
func newUnigramTrainer(c *wordCounter, opt *UnigramOptions) *unigramTrainer {
	t := &unigramTrainer{opt: opt, scripts: loadPieceScripts()}
	if opt.AsHuggingFace {
		t.unknown = -1
	}
	t.chooseChars(c)
	words := make([]unigramPiece, 0, 1<<10)
	for word, n := range c.words {
		words = append(words, unigramPiece{string(word), float64(n)})
	}
	for i := range c.shards {
		c.shards[i] = wordTable{}
	}
	slices.SortFunc(words, func(a, b unigramPiece) int { return strings.Compare(a.text, b.text) })
	var b strings.Builder
	total := 0.0
	for _, w := range words {
		t.starts = append(t.starts, int32(b.Len()))
		t.counts = append(t.counts, int64(w.score))
		total += w.score * float64(len(w.text))
		for _, r := range w.text {
			switch {
			case t.kept[r]:
				b.WriteRune(r)
			case r == '\n':
				b.WriteByte(lineEnd)
			default:
				b.WriteByte(rareChar)
			}
		}
		b.WriteByte(wordEnd)
	}
	t.text = b.String()
	// 2^24 parts, fewer if the sum of all counts would outgrow 62 bits.
	t.scale = math.Exp2(min(24, 62-math.Ceil(math.Log2(total+1))))
	debug.FreeOSMemory() // the words
	return t
}

// chooseChars counts the characters and keeps the most frequent that cover
// enough of the text.
func (t *unigramTrainer) chooseChars(c *wordCounter) {
	counts := map[rune]int64{}
	total := int64(0)
	for word, n := range c.words {
		for _, r := range string(word) {
			counts[r] += n
			total += n
		}
	}
	if !t.opt.AsHuggingFace {
		t.lines = counts['\n']
		total -= t.lines
		delete(counts, '\n')
	}
	for r, n := range counts {
		t.chars = append(t.chars, unigramPiece{string(r), float64(n)})
	}
	slices.SortFunc(t.chars, func(a, b unigramPiece) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.text, b.text))
	})
	t.kept = make(map[rune]bool, len(counts))
	covered := 0.0
	for i, p := range t.chars {
		if covered/float64(total) >= t.opt.CharacterCoverage && !t.opt.AsHuggingFace {
			t.chars = t.chars[:i]
			break
		}
		covered += p.score
		r, _ := utf8.DecodeRuneInString(p.text)
		t.kept[r] = true
	}
}

// fixed is how many tokens the vocabulary has in any case.
func (t *unigramTrainer) fixed() int {
	n := len(t.opt.SpecialTokens) + len(t.chars)
	if t.opt.ByteFallback {
		n += byteTokenCount
	}
	if t.lines > 0 {
		n++
	}
	return n
}

// run learns the pieces: expectation and maximisation, then away with those
// that the likelihood of the text misses least, until few enough are left.
func (t *unigramTrainer) run(ctx context.Context) error {
	t.pieces = t.seed()
	t.seeds = len(t.pieces)
	wanted := t.opt.VocabSize * 11 / 10
	for {
		for range subIterations {
			if err := ctx.Err(); err != nil {
				return err
			}
			t.index()
			t.maximise(t.expected())
		}
		t.opt.Progress(TrainProgress{Stage: "prune", Done: int64(t.seeds - len(t.pieces)), Total: int64(max(0, t.seeds-wanted))})
		if len(t.pieces) <= wanted {
			return nil
		}
		t.index()
		t.prune(max(wanted, int(shrinkTo*float64(len(t.pieces)))))
	}
}

// index makes the trie of the pieces.
func (t *unigramTrainer) index() {
	t.trie = newByteTrie(len(t.pieces))
	t.least = math.Inf(1)
	for id, p := range t.pieces {
		t.trie.add(p.text, int32(id))
		t.least = min(t.least, p.score)
	}
}

// model returns the vocabulary: special tokens, bytes, then pieces by score, all
// characters among them.
func (t *unigramTrainer) model() *unigram {
	m := &unigram{ByteFallback: t.opt.ByteFallback}
	seen := map[string]bool{}
	add := func(p unigramPiece) {
		if !seen[p.text] {
			seen[p.text] = true
			m.Vocab = append(m.Vocab, strings.Clone(p.text))
			m.Scores = append(m.Scores, p.score)
		}
	}
	for _, s := range t.opt.SpecialTokens {
		add(unigramPiece{s, 0})
	}
	m.UnkID = int32(slices.Index(m.Vocab, unigramUnk))
	if t.opt.ByteFallback {
		for b := range byteTokenCount {
			add(unigramPiece{fmt.Sprintf("<0x%02X>", b), 0})
		}
	}
	if t.lines > 0 { // whose score decides nothing, as no other piece holds a line feed
		add(unigramPiece{"\n", 0})
	}
	for _, p := range t.final(t.opt.VocabSize - len(m.Vocab)) {
		add(p)
	}
	return m
}

// final returns the n best pieces, all characters among them, by score.
func (t *unigramTrainer) final(n int) []unigramPiece {
	byScore := func(a, b unigramPiece) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.text, b.text))
	}
	scores := make(map[string]float64, len(t.pieces))
	least := 0.0
	for _, p := range t.pieces {
		scores[p.text] = p.score
		least = min(least, p.score)
	}
	var out []unigramPiece
	for _, c := range t.chars {
		score, ok := scores[c.text]
		if !ok {
			score = least
			least += scorePenalty
		}
		delete(scores, c.text)
		out = append(out, unigramPiece{c.text, score})
	}
	slices.SortFunc(t.pieces, byScore)
	for _, p := range t.pieces {
		if _, left := scores[p.text]; left && len(out) < n {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, byScore)
	return out
}
