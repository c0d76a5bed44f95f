package eval

import "strconv"

const (
	storyTokens   = 1024
	shortestStory = 30   // words
	longestStory  = 1000 // words
)

// stories lets the model tell stories and looks at how they are told, not at what
// they are about. Rows have "prompt", a text to go on from ({"prompt": "Once upon a
// time"}), or "messages", a request for models that chat. Each is looked at without
// its prompt:
//
//   - no_loops: not Looped (FindRepetition)
//   - ended: by an end token, behind a mark that ends a sentence
//   - length_ok: 30 to 1000 words or Chinese characters
//   - cut_off: no end token came
//
// ok are those without loops that ended. repeated_4grams is the mean of
// Repetition.Share; distinct_1 to 3 are over all stories together.
var stories = Task{
	run: func(j *job) (metrics, error) {
		if err := j.writes(); err != nil {
			return nil, err
		}
		prompts, err := parse(j, j.promptOf)
		if err != nil {
			return nil, err
		}
		texts, err := j.sampleRows(prompts, storyTokens)
		if err != nil {
			return nil, err
		}
		told := make([]story, len(texts))
		for i, t := range texts {
			told[i] = newStory(t)
			j.note(j.rowOf(i), told[i].faults(), t.Text)
		}
		return func(items []int) []Metric { return storyMetrics(told, j.samplesOf(items)) }, nil
	},
}

// story is what is to be known of one.
type story struct {
	words      []string
	repetition Repetition
	ended, cut bool
}

func newStory(t Text) story {
	return story{words: wordsOf(t.Text), repetition: FindRepetition(t.Text), ended: t.Ended && endsSentence(t.Text), cut: !t.Ended}
}

func (s *story) ok() bool { return s.ended && !s.repetition.Looped() }

func (s *story) fits() bool { return len(s.words) >= shortestStory && len(s.words) <= longestStory }

func (s *story) faults() []string {
	return faults(fault{"loop", s.repetition.Looped()}, fault{"cut_off", s.cut},
		fault{"no_end", !s.cut && !s.ended}, fault{"length", !s.fits()})
}

func storyMetrics(told []story, samples []int) []Metric {
	m := accuracy("ok", samples, func(i int) bool { return told[i].ok() })
	m = append(m,
		share("no_loops", samples, func(i int) bool { return !told[i].repetition.Looped() }),
		share("ended", samples, func(i int) bool { return told[i].ended }),
		share("length_ok", samples, func(i int) bool { return told[i].fits() }),
		share("cut_off", samples, func(i int) bool { return told[i].cut }),
		average("mean_length", samples, func(i int) float64 { return float64(len(told[i].words)) }),
		average("repeated_4grams", samples, func(i int) float64 { return told[i].repetition.Share }))
	var words [][]string
	for _, i := range samples {
		words = append(words, told[i].words)
	}
	for n := 1; n <= 3; n++ {
		m = append(m, Metric{"distinct_" + strconv.Itoa(n), Maybe(distinct(words, n))})
	}
	return m
}
