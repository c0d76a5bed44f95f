package tokenizer

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"runtime"
	"slices"
	"unicode"
	"unicode/utf8"
)

// TrainOptions are the settings of Hugging Face's BpeTrainer.
type TrainOptions struct {
	VocabSize    int   // tokens in all; 0: 30000
	MinFrequency int64 // a pair seen less often is not merged
	// SpecialTokens get the first ids, in this order.
	SpecialTokens []string
	// InitialAlphabet holds characters to include whether seen or not.
	InitialAlphabet []rune
	LimitAlphabet   int // 0: keep all characters; else the most frequent
	// ContinuingSubwordPrefix marks symbols that do not begin a word,
	// EndOfWordSuffix those that end one.
	ContinuingSubwordPrefix string
	EndOfWordSuffix         string
	MaxTokenLength          int // in characters; 0: no limit
	Threads                 int // 0: as many as processors
	// Memory is how many bytes a training may take, about; 0: 1 GiB.
	Memory int64
	// Progress, if set, is called now and then by the training goroutine.
	Progress func(TrainProgress)
}

// TrainProgress says how far a training is.
type TrainProgress struct {
	Stage string // "count" (Done: bytes of text read) or "merge" (Done: tokens)
	Done  int64
	Total int64 // 0: not known
	// Sampled: the distinct words did not fit into memory (see TrainBPE).
	Sampled bool
}

// TrainBPE learns a vocabulary and merges from texts, each line, its end
// included, being a sequence (as Hugging Face's trainer reads files). The
// normalizer, pre-tokenizer and decoder are those of base, and the
// post-processor if its tokens are among SpecialTokens; nil stands for GPT-2's
// byte level with its alphabet. The result does not depend on the number of
// threads.
//
// It keeps to opt.Memory for any amount of text. As long as the distinct words
// have less than a twentieth of that in bytes, the merges are exactly those of
// the reference trainer: in 1 GiB, those of several GB of English or of some
// 100 MB of Chinese, whose words are clauses. Beyond, rare words are sampled so
// that all counts keep their expected values, and Progress says so. Lines of
// more than 16 MiB are cut. A source with a Name method (a file) is named in
// errors; text that is not UTF-8 is an error.
func TrainBPE(ctx context.Context, base *Tokenizer, opt TrainOptions, sources ...io.Reader) (*Tokenizer, error) {
	return trainBPE(ctx, base, opt, opt.room(), sources)
}

// room divides the memory that a training may take.
func (opt *TrainOptions) room() trainRoom {
	part := cmp.Or(opt.Memory, 1<<30) / 1024
	return trainRoom{table: 256 * part, symbols: min(56*part, math.MaxUint32), queue: int(24 * part)}
}

// trainRoom bounds the memory of a training.
type trainRoom struct {
	table   int64 // bytes of all distinct words, from where on they are sampled
	symbols int64 // of distinct words when merging starts; one takes 8 bytes, a half in the list of where its pair is
	queue   int   // what queue and counts of pairs may take beyond that, in units of 4 bytes
}

func trainBPE(ctx context.Context, base *Tokenizer, opt TrainOptions, room trainRoom, sources []io.Reader) (*Tokenizer, error) {
	if base == nil {
		base = byteLevelBase()
		opt.InitialAlphabet = ByteLevelAlphabet()
	}
	m, err := learnMerges(ctx, base, opt, room, sources)
	if err != nil {
		return nil, err
	}
	model := &bpe{
		Vocab:                   m.tokens,
		Merges:                  m.uniqueMerges(),
		ContinuingSubwordPrefix: opt.ContinuingSubwordPrefix,
		EndOfWordSuffix:         opt.EndOfWordSuffix,
	}
	if b, ok := base.spec.Model.(*bpe); ok {
		model.UnkToken, model.FuseUnk, model.ByteFallback, model.IgnoreMerges = b.UnkToken, b.FuseUnk, b.ByteFallback, b.IgnoreMerges
	}
	return trained(base, opt.SpecialTokens, model)
}

// learnMerges counts the words of the sources and merges their characters.
func learnMerges(ctx context.Context, base *Tokenizer, opt TrainOptions, room trainRoom, sources []io.Reader) (*bpeMerger, error) {
	opt.VocabSize = cmp.Or(opt.VocabSize, 30000)
	opt.MaxTokenLength = cmp.Or(opt.MaxTokenLength, math.MaxInt)
	opt.Threads = cmp.Or(opt.Threads, runtime.GOMAXPROCS(0))
	if opt.Progress == nil {
		opt.Progress = func(TrainProgress) {}
	}
	if opt.VocabSize < 0 || opt.MinFrequency < 0 || opt.LimitAlphabet < 0 || opt.MaxTokenLength < 0 || opt.Threads < 0 || opt.Memory < 0 {
		return nil, fmt.Errorf("train: a negative setting in %+v", opt)
	}
	counter := newWordCounter(base, opt.Threads, opt.Progress)
	if err := counter.countAll(ctx, sources, room.table); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	counter.sample(room.symbols, func(e *wordEntry) int64 { return int64(e.size) })
	m := newMerger(counter, opt, room.queue)
	if err := m.run(ctx); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return m, nil
}

// byteLevelBase is GPT-2's way to cut and join text.
func byteLevelBase() *Tokenizer {
	level := byteLevel{TrimOffsets: true, UseRegex: true}
	return &Tokenizer{spec: spec{PreTokenizer: level, Decoder: level, Model: &bpe{}}}
}

func newMerger(c *wordCounter, opt TrainOptions, room int) *bpeMerger {
	m := &bpeMerger{
		ids:          map[string]uint32{},
		prefix:       opt.ContinuingSubwordPrefix,
		vocabSize:    opt.VocabSize,
		minFrequency: opt.MinFrequency,
		maxChars:     opt.MaxTokenLength,
		room:         room,
		sides:        make([]neighbours, 2*opt.Threads),
	}
	m.progress = func(tokens int) {
		opt.Progress(TrainProgress{Stage: "merge", Done: int64(tokens), Total: int64(opt.VocabSize), Sampled: c.sampled > 0})
	}
	for _, s := range opt.SpecialTokens {
		m.addToken(s)
	}
	for _, r := range c.alphabet(opt) {
		m.addToken(string(r))
	}
	m.words = c.symbolize(m.initialSymbols(c, opt))
	return m
}

// addToken returns the id of s, a new one for a new token.
func (m *bpeMerger) addToken(s string) uint32 {
	id, known := m.ids[s]
	if !known {
		id = uint32(len(m.tokens))
		m.ids[s] = id
		m.tokens = append(m.tokens, s)
		m.chars = append(m.chars, 1)
	}
	return id
}

// alphabet returns the characters to keep, in order of code points.
func (c *wordCounter) alphabet(opt TrainOptions) []rune {
	counts := slices.Clone(c.chars)
	for word, n := range c.words {
		for r := range c.letters(word) {
			counts[r] += n
		}
	}
	for _, r := range opt.InitialAlphabet {
		counts[r] = math.MaxInt64
	}
	var kept []rune
	for r, n := range counts {
		if n > 0 {
			kept = append(kept, rune(r))
		}
	}
	if opt.LimitAlphabet > 0 && len(kept) > opt.LimitAlphabet {
		slices.SortStableFunc(kept, func(a, b rune) int { return cmp.Compare(counts[b], counts[a]) })
		kept = kept[:opt.LimitAlphabet]
		slices.Sort(kept)
	}
	return kept
}

// letterPlace is a character at a place in a word that gives it a mark.
type letterPlace struct {
	letter       rune
	inside, last bool // ContinuingSubwordPrefix; EndOfWordSuffix
}

// initialSymbols returns the function that makes symbols of a word: its
// characters, with marks if opt asks for them, those outside the alphabet left
// out.
func (m *bpeMerger) initialSymbols(c *wordCounter, opt TrainOptions) func(word []byte, to []uint32) []uint32 {
	plain := make([]int32, unicode.MaxRune+1) // ids + 1
	for id, s := range m.tokens {
		if r, n := utf8.DecodeRuneInString(s); n == len(s) {
			plain[r] = int32(id + 1)
		}
	}
	if opt.ContinuingSubwordPrefix != "" || opt.EndOfWordSuffix != "" {
		marked := m.markedLetters(c, opt, plain)
		return func(word []byte, to []uint32) []uint32 {
			for p := range c.places(word, opt) {
				if id, ok := marked[p]; ok {
					to = append(to, id)
				}
			}
			return to
		}
	}
	return func(word []byte, to []uint32) []uint32 {
		for r := range c.letters(word) {
			if plain[r] > 0 {
				to = append(to, uint32(plain[r]-1))
			}
		}
		return to
	}
}

// markedLetters makes a token of every marked character that the words hold.
// The reference does so in the order in which it meets them in a hash table of
// the words, which is another in every run; here those in more words come
// first, as they mostly do there.
func (m *bpeMerger) markedLetters(c *wordCounter, opt TrainOptions, plain []int32) map[letterPlace]uint32 {
	marked := map[letterPlace]uint32{}
	for word := range c.words {
		for p := range c.places(word, opt) {
			if plain[p.letter] > 0 {
				marked[p]++
			}
		}
	}
	order := slices.SortedFunc(maps.Keys(marked), func(a, b letterPlace) int {
		return cmp.Or(cmp.Compare(marked[b], marked[a]), cmp.Compare(a.letter, b.letter), boolCompare(a.inside, b.inside), boolCompare(a.last, b.last))
	})
	for _, p := range order {
		s := string(p.letter)
		if p.inside {
			s = opt.ContinuingSubwordPrefix + s
		}
		if p.last {
			s += opt.EndOfWordSuffix
		}
		marked[p] = m.addToken(s)
	}
	return marked
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// places yields the characters of a word with the marks that opt asks for.
func (c *wordCounter) places(word []byte, opt TrainOptions) iter.Seq[letterPlace] {
	return func(yield func(letterPlace) bool) {
		p := letterPlace{letter: -1}
		for r := range c.letters(word) {
			if p.letter >= 0 {
				if !yield(p) {
					return
				}
				p.inside = opt.ContinuingSubwordPrefix != ""
			}
			p.letter = r
		}
		if p.letter >= 0 {
			p.last = opt.EndOfWordSuffix != ""
			yield(p)
		}
	}
}

// trained puts a model that was learned into the pipeline of base.
func trained(base *Tokenizer, special []string, m model) (*Tokenizer, error) {
	s := base.spec
	s.Model = m
	ids := make(map[string]uint32, len(special))
	tokens := m.tokens()
	s.AddedTokens = nil
	for _, t := range special {
		// They come first; one given twice has the id of the first.
		if id := len(ids); id < len(tokens) && tokens[id] == t {
			ids[t] = uint32(id)
			s.AddedTokens = append(s.AddedTokens, AddedToken{ID: int32(id), Content: t, Special: true})
		}
	}
	s.PostProcessor = renumber(s.PostProcessor, ids)
	return newTokenizer(s, "trained tokenizer")
}

// renumber gives the special tokens of a post-processor the ids of a new
// vocabulary; nil if one is not in it.
func renumber(p postProcessor, ids map[string]uint32) postProcessor {
	known := true
	id := func(token string) int32 {
		id, ok := ids[token]
		known = known && ok
		return int32(id)
	}
	switch q := p.(type) {
	case postProcessorSequence:
		var all []postProcessor
		for _, sub := range q.Processors {
			sub = renumber(sub, ids)
			known = known && sub != nil
			all = append(all, sub)
		}
		p = postProcessorSequence{all}
	case *templateProcessing:
		special := map[string]templateSpecialToken{}
		for name, t := range q.Special {
			t.IDs = make([]int32, len(t.Tokens))
			for i, token := range t.Tokens {
				t.IDs[i] = id(token)
			}
			special[name] = t
		}
		p = &templateProcessing{q.Single, q.Pair, special}
	case bertProcessing:
		q.Sep.ID, q.Cls.ID = id(q.Sep.Token), id(q.Cls.Token)
		p = q
	case robertaProcessing:
		q.Sep.ID, q.Cls.ID = id(q.Sep.Token), id(q.Cls.Token)
		p = q
	}
	if !known {
		return nil
	}
	return p
}

// ByteLevelAlphabet returns the letters that stand for bytes in a byte-level
// vocabulary.
func ByteLevelAlphabet() []rune { return slices.Clone(byteLetters[:]) }
