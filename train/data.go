package train

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"time"

	"wenmo/chat"
	"wenmo/dataset"
	"wenmo/internal/philox"
	"wenmo/model"
	"wenmo/tokenizer"
)

// Mixed is the data of a language model: packed documents of a mixture, masked
// where Masker is set.
type Mixed struct {
	Mixture     *dataset.Mixture
	Masker      *dataset.Masker
	MicroTokens int
}

// Batch implements Data.
func (d *Mixed) Batch(step int, state json.RawMessage) ([][]dataset.Sequence, json.RawMessage, error) {
	s := d.Mixture.Start()
	if state != nil {
		s = dataset.State{}
		if err := json.Unmarshal(state, &s); err != nil {
			return nil, nil, fmt.Errorf("state of the data: %w", err)
		}
		if err := d.Mixture.Check(s); err != nil {
			return nil, nil, err
		}
	}
	rows, next, err := d.Mixture.Sample(s)
	if err != nil {
		return nil, nil, err
	}
	for i, row := range rows {
		for j := range row {
			if d.Masker != nil {
				row[j] = d.Masker.Mask(row[j], dataset.MaskPlace{Epoch: uint32(step), Document: uint64(i)<<32 | uint64(j)})
			}
		}
	}
	after, err := json.Marshal(next)
	return micro(rows, d.MicroTokens), after, err
}

// micro joins rows into micro-batches of at most so many tokens, or a row.
func micro(rows [][]dataset.Sequence, most int) [][]dataset.Sequence {
	var out [][]dataset.Sequence
	tokens := most
	for _, row := range rows {
		n := tokensOf(row)
		if tokens+n > most {
			out, tokens = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], row...)
		tokens += n
	}
	return out
}

func tokensOf(row []dataset.Sequence) (n int) {
	for i := range row {
		n += len(row[i].IDs)
	}
	return n
}

// inPairs joins the rows of odd length two by two and puts them first. bfloat16
// products take tokens in pairs: where each row has an even number of them, the
// split into micro-batches does not show in the gradients.
func inPairs(rows [][]dataset.Sequence) [][]dataset.Sequence {
	var odd, even [][]dataset.Sequence
	for _, row := range rows {
		if tokensOf(row)%2 == 0 {
			even = append(even, row)
		} else {
			odd = append(odd, row)
		}
	}
	var out [][]dataset.Sequence
	for ; len(odd) > 1; odd = odd[2:] {
		out = append(out, slices.Concat(odd[0], odd[1]))
	}
	return slices.Concat(out, even, odd)
}

// Listed is data that is in memory: groups of sequences, one after the other in
// an order of its own each time through.
type Listed struct {
	Groups      [][]dataset.Sequence // of one sequence, or of a pair
	PerStep     int                  // groups
	Seed        uint64
	MicroTokens int
	Pairs       bool // the model takes tokens in pairs: see inPairs

	epoch int
	order []int32
}

// Batch implements Data: it is a function of the step alone.
func (d *Listed) Batch(step int, _ json.RawMessage) ([][]dataset.Sequence, json.RawMessage, error) {
	perEpoch := (len(d.Groups) + d.PerStep - 1) / d.PerStep
	epoch, at := step/perEpoch, step%perEpoch*d.PerStep
	if d.order == nil || epoch != d.epoch {
		d.order, d.epoch = shuffled(len(d.Groups), d.Seed, uint32(epoch)), epoch
	}
	var rows [][]dataset.Sequence
	for _, i := range d.order[at:min(at+d.PerStep, len(d.order))] {
		rows = append(rows, d.Groups[i])
	}
	if d.Pairs {
		rows = inPairs(rows)
	}
	return micro(rows, d.MicroTokens), nil, nil
}

// shuffled returns the numbers below n in an order that depends on seed and
// epoch (Fisher and Yates).
func shuffled(n int, seed uint64, epoch uint32) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	for i := n - 1; i > 0; i-- {
		w := philox.Words([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{uint32(i), 0, epoch, 0x6c697374})
		j := int(uint64(w[0]) * uint64(i+1) >> 32)
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// material is what a run trains and validates on.
type material struct {
	tok    *tokenizer.Tokenizer
	tokens tokenizer.Config
	cfg    *Config

	corpus *dataset.Corpus // of language models
	masker *dataset.Masker

	train, held [][]dataset.Sequence // of the other tasks: groups
	records     []int                // how many groups of train the records have
	labels      *dataset.Labels
	weights     []float32
	cut         dataset.Cut
	equal       int // pairs of which both answers are the same
	log         func(string)
}

// nameTokens finds special tokens by their usual names, where the files beside
// the vocabulary name none.
func (m *material) nameTokens() {
	for _, role := range []struct {
		token *string
		names []string
	}{
		{&m.tokens.EOS, []string{"<|endoftext|>", "<eos>", "</s>", "<|end_of_text|>", "<|im_end|>"}},
		{&m.tokens.CLS, []string{"[CLS]", "<s>"}},
		{&m.tokens.SEP, []string{"[SEP]", "</s>"}},
		{&m.tokens.MASK, []string{"[MASK]", "<mask>"}},
		{&m.tokens.PAD, []string{"[PAD]", "<pad>"}},
		{&m.tokens.UNK, []string{"[UNK]", "<unk>"}},
	} {
		for _, name := range role.names {
			if _, ok := m.tok.ID(name); ok && *role.token == "" {
				*role.token = name
			}
		}
	}
}

// token returns the id of a special token; nil: there is none.
func (m *material) token(name string) *int32 {
	if id, ok := m.tok.ID(name); ok && name != "" {
		return &id
	}
	return nil
}

func (m *material) eos() *int32 { return m.token(m.tokens.EOS) }

// encoder returns what makes sequences of a source's documents.
func (m *material) encoder(s *SourceConfig) (dataset.Encoder, error) {
	switch {
	case m.cfg.Task == TaskChat || s.Chat:
		return dataset.NewChatEncoder(m.tok, m.tokens, m.chatOptions())
	case m.cfg.Task == TaskMaskedLM:
		return dataset.NewTextEncoder(m.tok, dataset.TextOptions{BOS: m.token(m.tokens.CLS), EOS: m.token(m.tokens.SEP)})
	}
	return dataset.NewTextEncoder(m.tok, dataset.TextOptions{EOS: m.eos()})
}

// templateDay is today for chat templates that write the date into the prompt: a
// run is the same on every day. It is the day that Llama 3.2's template has.
var templateDay = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

func (m *material) chatOptions() dataset.ChatOptions {
	return dataset.ChatOptions{MaxLength: m.cfg.Model.Context, Overlong: dataset.Truncate, SplitTurns: m.cfg.Dataset.SplitTurns, Now: templateDay}
}

func (s *SourceConfig) read(log func(string)) dataset.ReadOptions {
	return dataset.ReadOptions{Format: s.Format, Separator: s.Separator, TextField: s.Text, Log: log,
		Templates: dataset.Templates{Text: s.Template, User: s.User, Answer: s.Answer, Label: s.Label}}
}

// prepare makes the shards of a language model's data.
func (m *material) prepare(ctx context.Context, cache string, progress func(dataset.PrepareProgress)) error {
	c := m.cfg
	var sources []dataset.Source
	for i := range c.Data {
		s := &c.Data[i]
		e, err := m.encoder(s)
		if err != nil {
			return err
		}
		sources = append(sources, dataset.Source{
			Name: s.Name, Path: s.Path, Weight: s.Weight, Passes: s.Passes, Licence: s.Licence, Origin: s.Origin,
			Read: s.read(m.log), Encoder: e,
		})
	}
	opt := dataset.PrepareOptions{
		Dir: cache, Threads: c.Threads, HeldOut: *c.Dataset.HeldOut, KeepDuplicates: c.Dataset.KeepDuplicates, NearDuplicates: c.Dataset.NearDuplicates,
		Evaluation: slices.Concat(c.Dataset.Evaluation, c.Dataset.Validation), Log: m.log, Progress: progress,
	}
	corpus, err := dataset.Prepare(ctx, sources, opt)
	if err != nil {
		return err
	}
	if n := countsOf(corpus); opt.HeldOut == heldOutShare && n.HeldOut == 0 && n.Documents >= fewDocuments {
		if err := corpus.Close(); err != nil {
			return err
		}
		c.Dataset.HeldOut, opt.HeldOut = new(moreHeldOut), moreHeldOut
		if corpus, err = dataset.Prepare(ctx, sources, opt); err != nil { // of what has been tokenised
			return err
		}
	}
	if n := countsOf(corpus); n.Tokens == 0 {
		return errors.Join(corpus.Close(), fmt.Errorf("nothing is left to train on: of %d documents %d are held out for validation, %d are duplicates, %d contaminated, %d near duplicates",
			n.Documents, n.HeldOut, n.Duplicates, n.Contaminated, n.NearDuplicates))
	}
	m.corpus = corpus
	n := countsOf(corpus)
	m.tellCut(n.Truncated, n.TooLong)
	if c.Task != TaskMaskedLM {
		return nil
	}
	return m.newMasker()
}

// countsOf adds up what the sources of a corpus have.
func countsOf(c *dataset.Corpus) (n dataset.ManifestCounts) {
	for i := range c.Manifest.Sources {
		s := &c.Manifest.Sources[i]
		n.Documents += s.Documents
		n.Tokens += s.Tokens
		n.Duplicates += s.Duplicates
		n.Contaminated += s.Contaminated
		n.NearDuplicates += s.NearDuplicates
		n.HeldOut += s.HeldOut
		n.Truncated += s.Truncated
		n.TooLong += s.TooLong
	}
	return n
}

func (m *material) newMasker() (err error) {
	c := m.cfg
	opt := dataset.MaskOptions{Seed: c.Seed, Probability: c.Dataset.Mask, WholeWord: c.Dataset.WholeWord}
	if c.Dataset.Words != "" {
		f, err := os.Open(c.Dataset.Words)
		if err != nil {
			return err
		}
		defer f.Close()
		if opt.Words, err = dataset.ReadWords(f, c.Dataset.Words); err != nil {
			return err
		}
	}
	if m.masker, err = dataset.NewMasker(m.tok, m.tokens, opt); err != nil {
		return fmt.Errorf("%w; wenmo tokenizer train --type wordpiece makes a tokenizer for masked-lm", err)
	}
	return nil
}

// documents calls f for the documents of paths.
func (m *material) documents(ctx context.Context, sources []SourceConfig, f func(d *dataset.Document) error) error {
	for i := range sources {
		for d, err := range dataset.Read(ctx, sources[i].Path, sources[i].read(m.log)) {
			if err == nil {
				err = f(&d)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// hintFields says how fields are named, where one is missing.
func hintFields(err error) error {
	if errors.Is(err, dataset.ErrNoField) {
		return fmt.Errorf("%w (dataset.text, dataset.pair and dataset.label name the fields to take)", err)
	}
	return err
}

// validationSources are the files that are validated on, in the form of the
// first source.
func (m *material) validationSources() []SourceConfig {
	var out []SourceConfig
	for _, path := range m.cfg.Dataset.Validation {
		s := m.cfg.Data[0]
		s.Path = path
		out = append(out, s)
	}
	return out
}

// findLabels finds the labels of a classifier's data, where the config does not
// list them, and counts them.
func (m *material) findLabels(ctx context.Context, given []string) error {
	field := m.cfg.Dataset.Label
	var counts dataset.LabelCounts
	add := counts.AddTags
	if m.cfg.Task != TaskTokens {
		add = counts.Add
		set(&field, "label")
	}
	err := m.documents(ctx, m.cfg.Data, func(d *dataset.Document) error { return add(d, field) })
	if err != nil {
		return hintFields(err)
	}
	if len(given) > 0 {
		m.labels, err = dataset.NewLabels(given)
	} else {
		m.labels, err = counts.Labels()
	}
	if err == nil && len(m.labels.Names()) < 2 && m.cfg.Model.Problem != string(model.MultiLabel) {
		err = fmt.Errorf("the data has one label, %q: there is nothing to tell apart", m.labels.Names()[0])
	}
	if err != nil || m.cfg.Train.ClassWeights != "balanced" {
		return err
	}
	n, err := counts.Of(m.labels)
	m.weights = dataset.ClassWeights(n)
	return err
}

// list reads the data of the tasks that keep it in memory, and parts it.
func (m *material) list(ctx context.Context) error {
	records, err := m.grouper()
	if err != nil {
		return err
	}
	add := func(to *[][]dataset.Sequence, hold bool) func(d *dataset.Document) error {
		return func(d *dataset.Document) error {
			all, err := records(d)
			if err != nil {
				return hintFields(err)
			}
			for _, groups := range all {
				place := to
				if to == &m.train {
					m.records = append(m.records, len(groups))
				}
				if hold && heldOut(groups[0], *m.cfg.Dataset.HeldOut) {
					place = &m.held
					m.records = m.records[:len(m.records)-1]
				}
				*place = append(*place, groups...)
			}
			return nil
		}
	}
	separate := len(m.cfg.Dataset.Validation) > 0
	if err := m.documents(ctx, m.cfg.Data, add(&m.train, !separate)); err != nil {
		return err
	}
	if err := m.documents(ctx, m.validationSources(), add(&m.held, false)); err != nil {
		return err
	}
	m.limit(m.cfg.Dataset.Limit)
	if m.equal > 0 {
		m.log(fmt.Sprintf("%d pairs were left out: both answers are the same", m.equal))
	}
	if len(m.train) == 0 {
		return errors.New("no record of the data can be trained on")
	}
	m.tellCut(int64(m.cut.Truncated), int64(m.cut.Dropped))
	return nil
}

// limit leaves n of the records, 0: all.
func (m *material) limit(n int) {
	if n == 0 || n >= len(m.records) {
		return
	}
	first, all := make([]int, len(m.records)+1), m.train
	for i, groups := range m.records {
		first[i+1] = first[i] + groups
	}
	m.train = nil
	for _, i := range shuffled(len(m.records), m.cfg.Seed, ^uint32(0))[:n] {
		m.train = append(m.train, all[first[i]:first[i+1]]...)
	}
}

// tellCut says how many texts were too long.
func (m *material) tellCut(cut, dropped int64) {
	most := m.cfg.Model.Context
	if m.cfg.Task == TaskAnswer {
		most = m.qaOptions().MaxLength
	}
	if cut > 0 {
		m.log(fmt.Sprintf("%d texts are longer than %d tokens (model.context) and were cut", cut, most))
	}
	if dropped > 0 {
		m.log(fmt.Sprintf("%d texts are longer than %d tokens (model.context) and were left out", dropped, most))
	}
}

// heldOut says whether a record is kept for validation, by what its first group
// holds.
func heldOut(g []dataset.Sequence, share float64) bool {
	h := fnv.New64a()
	var b [4]byte
	for _, id := range g[0].IDs {
		binary.LittleEndian.PutUint32(b[:], uint32(id))
		h.Write(b[:])
	}
	sum := h.Sum64()
	sum ^= sum >> 33 // fnv's high bits move little
	sum *= 0xff51afd7ed558ccd
	return float64(sum>>11)/(1<<53) < share
}

// grouper returns what makes groups of a document, those of each of its records
// together: the windows of a question overlap.
func (m *material) grouper() (func(d *dataset.Document) ([][][]dataset.Sequence, error), error) {
	c := m.cfg
	each := func(some []dataset.Sequence) (groups [][]dataset.Sequence) {
		for _, s := range some {
			groups = append(groups, []dataset.Sequence{s})
		}
		return groups
	}
	one := func(f func(d *dataset.Document) ([]dataset.Sequence, dataset.Cut, error)) func(d *dataset.Document) ([][][]dataset.Sequence, error) {
		return func(d *dataset.Document) ([][][]dataset.Sequence, error) {
			all, cut, err := f(d)
			m.cut.Add(cut)
			if err != nil || len(all) == 0 {
				return nil, err
			}
			return [][][]dataset.Sequence{each(all)}, nil
		}
	}
	switch c.Task {
	case TaskClassify:
		kinds := map[model.Problem]dataset.ClassifyKind{"": dataset.SingleLabel, model.SingleLabel: dataset.SingleLabel, model.MultiLabel: dataset.MultiLabel, model.Regression: dataset.Regression}
		kind, ok := kinds[model.Problem(c.Model.Problem)]
		if !ok {
			return nil, fmt.Errorf("model.problem: %q is not one of %s, %s, %s", c.Model.Problem, model.SingleLabel, model.MultiLabel, model.Regression)
		}
		f, err := dataset.NewClassifier(m.tok, dataset.ClassifyOptions{
			Kind: kind, Text: c.Dataset.Text, Pair: c.Dataset.Pair, Label: c.Dataset.Label, Labels: m.labels, MaxLength: c.Model.Context,
		})
		if err != nil {
			return nil, err
		}
		return one(f.Sequences), nil
	case TaskTokens:
		f, err := dataset.NewTagger(m.tok, dataset.TagOptions{Words: c.Dataset.Text, Tags: c.Dataset.Label, Labels: m.labels, MaxLength: c.Model.Context})
		if err != nil {
			return nil, err
		}
		return one(f.Sequences), nil
	case TaskAnswer:
		f, err := dataset.NewQA(m.tok, m.tokens, m.qaOptions())
		if err != nil {
			return nil, err
		}
		return func(d *dataset.Document) (records [][][]dataset.Sequence, err error) {
			questions, cut, err := f.Sequences(d)
			m.cut.Add(cut)
			for _, windows := range questions {
				records = append(records, each(windows))
			}
			return records, err
		}, nil
	}
	f, err := dataset.NewChat(m.tok, m.tokens, m.chatOptions())
	if err != nil {
		return nil, err
	}
	return func(d *dataset.Document) ([][][]dataset.Sequence, error) {
		pair, cut, err := f.Pair(d)
		m.cut.Add(cut)
		if err != nil || pair == nil {
			return nil, err
		}
		if slices.Equal(pair.Chosen.IDs, pair.Rejected.IDs) {
			m.equal++
			return nil, nil
		}
		return [][][]dataset.Sequence{{{pair.Chosen, pair.Rejected}}}, nil
	}, nil
}

func (m *material) qaOptions() dataset.QAOptions {
	length := min(m.cfg.Model.Context, dataset.DefaultQALength)
	return dataset.QAOptions{MaxLength: length, Stride: m.cfg.Dataset.Stride}
}

// chatTemplate returns the chat template that a model's answers are trained
// in; "" where the task has none.
func (m *material) chatTemplate() (string, error) {
	uses := m.cfg.Task == TaskChat || m.cfg.Task == TaskDPO || slices.ContainsFunc(m.cfg.Data, func(s SourceConfig) bool { return s.Chat })
	if !uses || m.tokens.ChatTemplate != "" {
		return m.tokens.ChatTemplate, nil
	}
	text, err := dataset.DefaultTemplate(m.tok, m.tokens)
	if err != nil {
		return "", err
	}
	_, err = chat.Parse(text, "chat template")
	return text, err
}
