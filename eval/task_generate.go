package eval

import "errors"

// reference is what a generated text is compared with.
type reference struct {
	prompt Prompt
	texts  []string
}

// generate lets the model answer and compares with references: BLEU and chrF as
// sacrebleu counts, ROUGE for texts with Latin letters, and exact match by the
// rules of SQuAD. Rows have "prompt" or "question" (with "context") and
// "reference", "references", "answer", "answers" or "target"; or "messages",
// the last one of which is the reference.
var generate = Task{
	run: func(j *job) (metrics, error) {
		if err := j.writes(); err != nil {
			return nil, err
		}
		refs, err := parse(j, generateRow)
		if err != nil {
			return nil, err
		}
		prompts := make([]Prompt, len(refs))
		for i, r := range refs {
			prompts[i] = r.prompt
		}
		p := j.params(defaultNewTokens)
		p.DoSample = false
		found, err := j.write(prompts, p)
		texts := make([]string, len(found))
		for i, t := range found {
			texts[i] = trim(t.Text)
		}
		return func(items []int) []Metric { return generateMetrics(items, refs, texts) }, err
	},
}

func generateRow(r *Row) (ref reference, err error) {
	if n := len(r.Messages); n > 0 {
		if n < 2 || r.Messages[n-1].Role != "assistant" || r.Messages[n-1].Content == "" {
			return ref, errors.New("the conversation does not end with an answer")
		}
		for _, m := range r.Messages[:n-1] {
			ref.prompt.Messages = append(ref.prompt.Messages, Message{m.Role, m.Content})
		}
		ref.texts = []string{r.Messages[n-1].Content}
		return ref, nil
	}
	text, err := r.text("prompt", "question", "Question")
	if err != nil {
		return ref, err
	}
	context, _ := r.String("context")
	if _, plain := r.Fields["prompt"]; plain && context == "" {
		ref.prompt.Text = text
	} else { // a question, asked as in multiple choice
		ref.prompt = Prompt{Text: newQuestion(context, text, nil, 0).context, Stop: []string{"\n"}}
	}
	if context != "" {
		text = context + "\n" + text
	}
	ref.prompt.Messages = []Message{{"user", text}}
	ref.texts, err = r.texts("references", "reference", "answers", "answer", "target", "Best Answer")
	if err == nil && len(ref.texts) == 0 {
		err = errors.New("no reference")
	}
	return ref, err
}

func generateMetrics(items []int, refs []reference, found []string) []Metric {
	var hyps []string
	var texts [][]string
	var exact, r1, r2, rl float64
	n := float64(len(items))
	chinese := 0
	for _, i := range items {
		hyps = append(hyps, found[i])
		texts = append(texts, refs[i].texts)
		exact += 100 * SQuAD1(refs[i].texts, found[i]).Exact / n
		if isChineseText(refs[i].texts[0]) {
			chinese++
		}
		var best ROUGE
		for _, t := range refs[i].texts {
			if r := ScoreROUGE(t, found[i], true); r.ROUGEL.F1 >= best.ROUGEL.F1 {
				best = r
			}
		}
		r1 += 100 * best.ROUGE1.F1 / n
		r2 += 100 * best.ROUGE2.F1 / n
		rl += 100 * best.ROUGEL.F1 / n
	}
	opt := BLEUOptions{}
	zh := 2*chinese > len(items)
	if zh {
		opt.Tokenize = "zh"
	}
	bleu, err := CorpusBLEU(hyps, texts, opt)
	if err != nil { // as many references as texts, and known options
		panic(err)
	}
	chrf, err := CorpusCHRF(hyps, texts, DefaultCHRF())
	if err != nil {
		panic(err)
	}
	m := []Metric{{"bleu", Maybe(bleu.Score)}, {"chrf", Maybe(chrf)}, {"exact_match", Maybe(exact)}}
	if !zh {
		m = append(m, Metric{"rouge1", Maybe(r1)}, Metric{"rouge2", Maybe(r2)}, Metric{"rougeL", Maybe(rl)})
	}
	return m
}
