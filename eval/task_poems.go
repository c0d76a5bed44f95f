package eval

import (
	"fmt"
	"slices"
)

// poems lets the model write regulated verse. Rows have "form" (五绝, 七绝, 五律 or
// 七律) and the request, "messages" or "prompt". The text is to be the poem alone.
// ok are those with as many lines as the form has, and as many characters in each;
// rhyme and tone_pattern are of those, and want Options.Chars: the share that
// rhyme, and that of the rules of tone that they keep (Poem).
var poems = Task{
	Groups: []string{"form"},
	run: func(j *job) (metrics, error) {
		if err := j.writes(); err != nil {
			return nil, err
		}
		var table Characters
		if j.opt.Chars != "" {
			var err error
			if table, err = ReadCharacters(j.ctx, j.opt.Chars); err != nil {
				return nil, err
			}
		}
		prompts, err := parse(j, func(r *Row) (Prompt, error) {
			if _, err := formOf(r); err != nil {
				return Prompt{}, err
			}
			return j.promptOf(r)
		})
		if err != nil {
			return nil, err
		}
		texts, err := j.sampleRows(prompts, defaultNewTokens)
		if err != nil {
			return nil, err
		}
		written := make([]writtenPoem, len(texts))
		for i, t := range texts {
			form, _ := formOf(j.rowOf(i)) // as parse did
			written[i] = writtenPoem{ReadPoem(t.Text, form, table), !t.Ended, table != nil}
			j.note(j.rowOf(i), written[i].faults(), t.Text)
		}
		return func(items []int) []Metric { return poemMetrics(written, j.samplesOf(items), table != nil) }, nil
	},
}

// formOf returns the form that a row asks for.
func formOf(r *Row) (string, error) {
	form, err := r.text("form")
	if _, ok := poemForms[form]; err == nil && !ok {
		err = fmt.Errorf("field %q: %q is none of 五绝, 七绝, 五律, 七律", "form", form)
	}
	return form, err
}

// writtenPoem is a poem of the model's.
type writtenPoem struct {
	Poem
	cut, judged bool
}

func (p *writtenPoem) faults() []string {
	return faults(fault{"lines", !p.Lines}, fault{"length", !p.Lengths}, fault{"repeated_line", p.Repeated},
		fault{"foreign", p.Foreign}, fault{"rhyme", p.judged && p.OK() && !p.Rhyme}, fault{"cut_off", p.cut})
}

func poemMetrics(written []writtenPoem, samples []int, judged bool) []Metric {
	m := accuracy("ok", samples, func(i int) bool { return written[i].OK() })
	m = append(m,
		share("lines", samples, func(i int) bool { return written[i].Lines }),
		share("lengths", samples, func(i int) bool { return written[i].Lengths }),
		share("repeated_line", samples, func(i int) bool { return written[i].Repeated }),
		share("foreign", samples, func(i int) bool { return written[i].Foreign }),
		share("cut_off", samples, func(i int) bool { return written[i].cut }))
	if !judged {
		return m
	}
	formed := slices.DeleteFunc(samples, func(i int) bool { return !written[i].OK() })
	tones, kept := 0.0, 0.0
	for _, i := range formed {
		tones += float64(written[i].Tones)
		kept += float64(written[i].Kept)
	}
	return append(m, share("rhyme", formed, func(i int) bool { return written[i].Rhyme }), Metric{"tone_pattern", Maybe(kept / tones)})
}
