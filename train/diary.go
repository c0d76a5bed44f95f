package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"wenmo/dataset"
	"wenmo/internal/atomicfile"
	"wenmo/report"
)

// diary keeps what happens in a run: metrics.jsonl, and TensorBoard's files.
type diary struct {
	file   *os.File
	events *report.Events // nil: none
	path   string
	err    error
}

const metricsFile = "metrics.jsonl"

// line is a line of metrics.jsonl.
type line struct {
	Step            int                `json:"step"`
	Loss            *float64           `json:"loss,omitempty"`
	Norm            *float64           `json:"gradient_norm,omitempty"`
	Rate            *float64           `json:"learning_rate,omitempty"`
	Tokens          int64              `json:"tokens,omitempty"`
	TokensPerSecond float64            `json:"tokens_per_second,omitempty"`
	Skipped         string             `json:"skipped,omitempty"`
	ValidationLoss  *float64           `json:"validation_loss,omitempty"`
	BitsPerByte     *float64           `json:"bits_per_byte,omitempty"`
	Metrics         map[string]float64 `json:"metrics,omitempty"`
	Prompt          *string            `json:"prompt,omitempty"`
	Text            string             `json:"text,omitempty"`
	Resumed         bool               `json:"resumed,omitempty"`
	Best            int                `json:"best,omitempty"`
	Waited          *float64           `json:"waited_for_checkpoints_seconds,omitempty"` // so far
	Stopped         string             `json:"stopped,omitempty"`
}

// openDiary opens the diary in dir of a run that goes on from a state; what was
// written later is taken back.
func openDiary(dir string, s *LoopState, tensorBoard bool) (*diary, error) {
	d := &diary{path: filepath.Join(dir, metricsFile)}
	var kept bytes.Buffer
	if err := readDiary(d.path, func(l *line, text []byte) {
		if l.Step <= l.until(s) {
			kept.Write(text)
			kept.WriteByte('\n')
		}
	}); err != nil {
		return nil, err
	}
	if s.Step == 0 {
		kept.Reset()
	}
	if err := atomicfile.Replace(d.path, kept.Bytes()); err != nil {
		return nil, err
	}
	var err error
	if d.file, err = os.OpenFile(d.path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return nil, err
	}
	if tensorBoard {
		if d.events, err = report.NewEvents(filepath.Join(dir, "tensorboard"), int64(s.Step)+1, time.Now()); err != nil {
			return nil, errors.Join(err, d.file.Close())
		}
	}
	return d, nil
}

// until returns the last step of which a state has what the line tells.
func (l *line) until(s *LoopState) int {
	switch {
	case l.Prompt != nil:
		return s.Sampled
	case l.ValidationLoss != nil || l.Metrics != nil:
		return s.Validated
	}
	return s.Step
}

// readDiary calls f for every whole line; one that a kill cut short is left out.
func readDiary(path string, f func(l *line, text []byte)) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var l line
		if json.Unmarshal(s.Bytes(), &l) == nil {
			f(&l, s.Bytes())
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (d *diary) close() error {
	err := errors.Join(d.err, d.file.Close())
	if d.events != nil {
		err = errors.Join(err, d.events.Close())
	}
	return err
}

func (d *diary) write(l *line) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = d.file.Write(append(data, '\n'))
	return err
}

// number is a value for JSON, which has no NaN.
func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// note writes an event down.
func (d *diary) note(e Event) error {
	scalars := map[string]float64{}
	switch {
	case e.Train != nil:
		t := e.Train
		scalars["train/loss"], scalars["train/gradient_norm"] = t.Loss, t.Norm
		scalars["train/learning_rate"], scalars["train/tokens_per_second"] = t.Rate, t.TokensPerSecond
	case e.Validation != nil:
		v := e.Validation
		scalars["validation/loss"] = v.Loss
		if v.BitsPerByte > 0 {
			scalars["validation/bits_per_byte"] = v.BitsPerByte
		}
		for name, x := range v.Metrics {
			scalars["validation/"+name] = x
		}
	}
	if d.events != nil && len(scalars) > 0 {
		for tag, x := range scalars {
			if err := d.events.Scalar(tag, int64(e.Step), time.Now(), x); err != nil {
				return err
			}
		}
		if err := d.events.Flush(); err != nil {
			return err
		}
	}
	return d.write(lineOf(e))
}

// lineOf is an event as a line of the diary.
func lineOf(e Event) *line {
	l := &line{Step: e.Step, Stopped: e.Stopped, Resumed: e.Resumed, Best: e.Best}
	if t := e.Train; t != nil {
		l.Loss, l.Norm, l.Rate = number(t.Loss), number(t.Norm), number(t.Rate)
		l.Tokens, l.TokensPerSecond, l.Skipped = t.Tokens, t.TokensPerSecond, t.Skipped
	}
	if v := e.Validation; v != nil {
		l.ValidationLoss, l.Metrics = number(v.Loss), maps.Clone(v.Metrics)
		maps.DeleteFunc(l.Metrics, func(_ string, x float64) bool { return number(x) == nil })
		if v.BitsPerByte > 0 {
			l.BitsPerByte = number(v.BitsPerByte)
		}
	}
	if e.Saved != nil {
		l.Waited = number(e.Saved.Seconds())
	}
	return l
}

// MarshalJSON writes an event as a line of metrics.jsonl.
func (e Event) MarshalJSON() ([]byte, error) { return json.Marshal(lineOf(e)) }

// sample writes down what the model wrote.
func (d *diary) sample(step int, prompt, text string) error {
	if d.events != nil {
		if err := d.events.Text("samples/"+prompt, int64(step), time.Now(), text); err != nil {
			return err
		}
	}
	return d.write(&line{Step: step, Prompt: &prompt, Text: text})
}

// tell writes report.html and the model card of a run that is over.
func (r *run) tell(now time.Time) error {
	page, err := Report(r.cfg, filepath.Join(r.cfg.Out, metricsFile))
	if err != nil {
		return err
	}
	page.Facts = append(page.Facts,
		report.Fact{Name: r.word("parameters", "参数量"), Value: fmt.Sprint(r.plan.Params)},
		report.Fact{Name: r.word("tokens", "训练词元"), Value: fmt.Sprint(r.loop.State.Tokens)},
		report.Fact{Name: r.word("time", "用时"), Value: secondsText(r.loop.State.Seconds)},
		report.Fact{Name: r.word("waited for checkpoints", "等待检查点"), Value: r.loop.Checkpoints.Stalled().Round(time.Millisecond).String()})
	var html bytes.Buffer
	if err := page.HTML(&html, r.lang()); err != nil {
		return err
	}
	if err := atomicfile.Replace(filepath.Join(r.cfg.Out, "report.html"), html.Bytes()); err != nil {
		return err
	}
	card := r.card(now)
	data, err := card.Markdown(r.lang())
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(r.cfg.Out, "README.md"), data)
}

// secondsText writes a time, of short ones the tenths of a second.
func secondsText(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// WriteReport writes the page of a run, as far as it is, to a file.
func WriteReport(c *Config, path, lang string) error {
	page, err := Report(c, filepath.Join(c.Out, metricsFile))
	if err != nil {
		return err
	}
	var html bytes.Buffer
	if err := page.HTML(&html, lang); err != nil {
		return err
	}
	return atomicfile.Replace(path, html.Bytes())
}

func (r *run) lang() string {
	if r.opt.Lang == "zh" {
		return "zh"
	}
	return "en"
}

func (r *run) word(en, zh string) string {
	if r.lang() == "zh" {
		return zh
	}
	return en
}

// Report makes the page of a run from what its diary says so far.
func Report(c *Config, metrics string) (*report.Run, error) {
	page := &report.Run{Title: c.title(), Config: c.Text()}
	measured := map[string]*report.Curve{}
	var names []string
	err := readDiary(metrics, func(l *line, _ []byte) {
		step := int64(l.Step)
		add := func(curve *report.Curve, x *float64) {
			if x != nil {
				curve.Add(step, *x)
			}
		}
		add(&page.Loss, l.Loss)
		add(&page.GradientNorm, l.Norm)
		add(&page.LearningRate, l.Rate)
		add(&page.ValidationLoss, l.ValidationLoss)
		if l.TokensPerSecond > 0 {
			page.TokensPerSecond.Add(step, l.TokensPerSecond)
		}
		add(&page.BitsPerByte, l.BitsPerByte)
		for name, x := range l.Metrics {
			if measured[name] == nil {
				measured[name] = &report.Curve{}
				names = append(names, name)
			}
			measured[name].Add(step, x)
		}
		if l.Prompt != nil {
			page.Samples = append(page.Samples, report.Sample{Step: step, Prompt: *l.Prompt, Text: l.Text})
		}
	})
	for _, name := range names {
		page.More = append(page.More, report.Plot{Title: name, Series: []report.Series{{Name: name, Curve: *measured[name]}}})
	}
	return page, err
}

func (c *Config) title() string {
	if c.Name != "" {
		return c.Name
	}
	return filepath.Base(filepath.Clean(c.Out))
}

// pipelines are the Hub's names of the tasks.
var pipelines = map[string]string{
	TaskCausalLM: "text-generation", TaskChat: "text-generation", TaskDPO: "text-generation", TaskMaskedLM: "fill-mask",
	TaskClassify: "text-classification", TaskTokens: "token-classification", TaskAnswer: "question-answering",
}

// card makes the model card of the finished model.
func (r *run) card(now time.Time) *report.Card {
	c := r.cfg
	card := &report.Card{
		Name: c.title(), BaseModel: c.Model.Base, PipelineTag: pipelines[c.Task], Tags: []string{"wenmo"},
		Summary: fmt.Sprintf(r.word("A %s of %d parameters, trained with wenmo on %s.", "%s，%d 个参数，用文墨训练于 %s。"),
			r.pass.Model.Architecture, r.plan.Params, now.Format(time.DateOnly)),
		Use: "```sh\n" + c.Command() + "\n```",
		Settings: []report.Fact{
			{Name: r.word("task", "任务"), Value: c.Task},
			{Name: r.word("steps", "步数"), Value: fmt.Sprint(r.loop.State.Step)},
			{Name: r.word("tokens", "词元"), Value: fmt.Sprint(r.loop.State.Tokens)},
			{Name: r.word("products in", "乘法精度"), Value: c.DType},
			{Name: r.word("optimizer", "优化器"), Value: fmt.Sprintf("%s, %.3g", c.Optimizer.Kind, c.Optimizer.Rate)},
			{Name: r.word("updates left out", "跳过的更新"), Value: fmt.Sprint(r.loop.Guard.Skipped)},
			{Name: r.word("time", "用时"), Value: secondsText(r.loop.State.Seconds)},
		},
		Limits: []string{r.word("It was trained on the data above alone, and may make things up.", "它只用上列数据训练，可能编造内容。")},
	}
	if r.saved != r.loop.State.Step {
		card.Settings = append(card.Settings, report.Fact{Name: r.word("these weights", "所存权重"), Value: fmt.Sprintf(r.word("of step %d, which validated best", "第 %d 步，验证结果最好"), r.saved)})
	}
	if r.mat.corpus != nil {
		given := map[string]int64{} // tokens of each source
		var at dataset.State
		if json.Unmarshal(r.loop.State.Data, &at) == nil {
			for _, s := range at.Sources {
				given[s.Name] = s.Tokens
			}
		}
		for _, s := range r.mat.corpus.Manifest.Sources {
			for _, f := range s.Files {
				card.Data = append(card.Data, report.DataFile{
					Name: filepath.Base(f.Path), Source: s.Origin, Licence: s.Licence, SHA256: f.SHA256, Tokens: f.Tokens,
					Passes: float64(given[s.Name]) / float64(max(1, s.Tokens)),
				})
			}
		}
	} else {
		perPass := (len(r.mat.train) + c.Train.Batch - 1) / max(1, c.Train.Batch) // the last step of a pass has what is left
		passes := float64(r.loop.State.Step) / float64(max(1, perPass))
		for _, s := range c.Data {
			card.Data = append(card.Data, report.DataFile{Name: filepath.Base(s.Path), Source: s.Origin, Licence: s.Licence, Passes: passes})
		}
	}
	if t := r.bestValidation(); t != nil {
		card.Evaluation = []report.Table{*t}
	}
	if r.sources != nil {
		card.Evaluation = append(card.Evaluation, *r.sources)
	}
	return card
}

// bestValidation is what the diary says of the validation that the finished
// model was chosen by; nil: there was none.
func (r *run) bestValidation() *report.Table {
	var best *line
	_ = readDiary(filepath.Join(r.cfg.Out, metricsFile), func(l *line, _ []byte) {
		if l.ValidationLoss != nil && l.Step == r.saved {
			best = l
		}
	})
	if best == nil {
		return nil
	}
	t := &report.Table{Header: []string{r.word("step", "步"), r.word("validation loss", "验证损失")}}
	row := []string{fmt.Sprint(best.Step), fmt.Sprintf("%.4f", *best.ValidationLoss)}
	if best.BitsPerByte != nil {
		t.Header, row = append(t.Header, r.word("bits per byte", "每字节比特")), append(row, fmt.Sprintf("%.4f", *best.BitsPerByte))
	}
	for _, name := range slices.Sorted(maps.Keys(best.Metrics)) {
		t.Header, row = append(t.Header, name), append(row, fmt.Sprintf("%.4f", best.Metrics[name]))
	}
	t.Rows = [][]string{row}
	return t
}
