package eval

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"wenmo/engine"
)

// Sampling says how the texts of a result were sampled.
type Sampling struct {
	Texts             int     `json:"texts"`
	Seed              uint64  `json:"seed"`
	Temperature       float64 `json:"temperature"`
	TopK              int     `json:"top_k"` // 0: any
	TopP              float64 `json:"top_p"`
	MinP              float64 `json:"min_p"`
	RepetitionPenalty float64 `json:"repetition_penalty"`
	MaxNewTokens      int     `json:"max_new_tokens"`
}

// String writes key=value, parted by spaces.
func (s *Sampling) String() string {
	return fmt.Sprintf("texts=%d seed=%d temperature=%g top_k=%d top_p=%g min_p=%g repetition_penalty=%g max_new_tokens=%d",
		s.Texts, s.Seed, s.Temperature, s.TopK, s.TopP, s.MinP, s.RepetitionPenalty, s.MaxNewTokens)
}

// Finding is a text worth a look: a sample that is not as it should be, or one that
// stands in the data. The first of a result are kept.
type Finding struct {
	File string   `json:"file"` // of the prompt, or of the document with the same text
	Line int      `json:"line"`
	What []string `json:"what"`
	Text string   `json:"text"`
}

// Place is the finding's file and line.
func (f *Finding) Place() string { return fmt.Sprintf("%s:%d", f.File, f.Line) }

const (
	defaultNewTokens = 256
	findingsKept     = 100
)

// writes returns an error where the model writes no text.
func (j *job) writes() error {
	if j.model.Generate == nil {
		return fmt.Errorf("%s does not generate text", j.model.Name)
	}
	return nil
}

// params are the model's own parameters with those of the options over them, for
// one sequence of at most tokens new ones unless the options say how many.
func (j *job) params(tokens int) engine.Params {
	p := j.model.Params.With(j.opt.Params)
	p.NumBeams, p.NumReturnSequences = 1, 1
	p.MaxLength, p.MinLength, p.MinNewTokens = 0, 0, 0
	p.MaxNewTokens = cmp.Or(j.opt.MaxNewTokens, tokens)
	return p
}

func (j *job) write(prompts []Prompt, p engine.Params) ([]Text, error) {
	found, err := j.model.Generate(j.ctx, prompts, p, j.done(len(prompts)))
	for _, t := range found {
		j.count(t.Truncated)
	}
	return found, err
}

// sample lets the model write a text for each prompt, drawn with numbers that
// depend on the seed and the prompt's place alone.
func (j *job) sample(prompts []Prompt, tokens int) ([]Text, error) {
	p := j.params(tokens)
	p.DoSample = true
	if j.opt.Samples > 1 && !p.Sampling() {
		return nil, errors.New("at temperature 0 all samples are the same text: want a temperature above 0, or one sample")
	}
	for i := range prompts {
		prompts[i].Sample = i
	}
	j.sampling = &Sampling{
		Texts: len(prompts), Seed: p.Seed, Temperature: p.Temperature, TopK: p.TopK, TopP: p.TopP, MinP: p.MinP,
		RepetitionPenalty: p.RepetitionPenalty, MaxNewTokens: p.MaxNewTokens,
	}
	return j.write(prompts, p)
}

// perPrompt is how many samples each row has, which follow one another.
func (j *job) perPrompt() int { return max(1, j.opt.Samples) }

// rowOf returns the row of a sample.
func (j *job) rowOf(sample int) *Row { return &j.rows[sample/j.perPrompt()] }

// samplesOf returns the numbers of the samples that belong to rows.
func (j *job) samplesOf(items []int) []int {
	var samples []int
	for _, i := range items {
		for k := range j.perPrompt() {
			samples = append(samples, i*j.perPrompt()+k)
		}
	}
	return samples
}

// sampleRows samples texts for the prompts of the rows.
func (j *job) sampleRows(prompts []Prompt, tokens int) ([]Text, error) {
	var each []Prompt
	for _, p := range prompts {
		each = append(each, slices.Repeat([]Prompt{p}, j.perPrompt())...)
	}
	return j.sample(each, tokens)
}

// note keeps a finding, if there is something to be told of the text.
func (j *job) note(r *Row, what []string, text string) {
	if len(what) > 0 && len(j.findings) < findingsKept {
		j.findings = append(j.findings, Finding{r.File, r.Line, what, text})
	}
}

// promptOf reads what a row asks of the model: "messages", without the answer that
// may end them, or "prompt", a text to go on from.
func (j *job) promptOf(r *Row) (p Prompt, err error) {
	messages := r.Messages
	if n := len(messages); n > 0 && messages[n-1].Role == "assistant" {
		messages = messages[:n-1]
	}
	for _, m := range messages {
		p.Messages = append(p.Messages, Message{m.Role, m.Content})
	}
	if p.Messages == nil {
		if len(r.Messages) > 0 {
			return p, errors.New("the conversation asks nothing")
		}
		p.Text, err = r.text("prompt", "messages")
		return p, err
	}
	if !j.model.Chats {
		err = errors.New(`a conversation, but the model has no chat template: give a text to go on from as "prompt"`)
	}
	return p, err
}

// faults lists the names of the faults that are there.
func faults(named ...fault) []string {
	var list []string
	for _, f := range named {
		if f.there {
			list = append(list, f.name)
		}
	}
	return list
}

type fault struct {
	name  string
	there bool
}

// share is the part of samples that are so.
func share(name string, samples []int, so func(i int) bool) Metric {
	return average(name, samples, func(i int) float64 { return boolean(so(i)) })
}
