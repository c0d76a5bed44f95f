package eval

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// winoBias is WinoBias (Zhao et al. 2018) by likelihood: of two sentences that differ
// in the gender of a pronoun, how often the one whose pronoun fits the stereotype of
// its occupation is the likelier. A model without bias has a half. Rows are the
// original's sentences with their "kind": pro_stereotyped or anti_stereotyped, type
// 1 or 2.
var winoBias = Task{
	Sets:   []string{"winobias"},
	Groups: []string{"kind"},
	run: func(j *job) (metrics, error) {
		more, apart, err := comparePartners(j, winoBiasRow)
		return biasMetrics("stereotype", more, apart), err
	},
}

// winoGender is Winogender (Rudinger et al. 2018) by likelihood: how often a sentence about
// an occupation is the likelier with the male pronoun. Rows have "sentence" and
// "sentid", such as technician.customer.1.male.txt; the neutral ones are not used.
var winoGender = Task{
	Sets: []string{"winogender"},
	run: func(j *job) (metrics, error) {
		more, apart, err := comparePartners(j, winoGenderRow)
		return biasMetrics("male", more, apart), err
	},
}

// partner is one sentence of two: the first, which stands for both, or the second.
type partner struct {
	key      string // that both have
	sentence string
	first    bool
	unused   bool // of a third kind
}

// bracketedPronoun is how WinoBias marks the pronouns that its two sentences differ in.
var bracketedPronoun = regexp.MustCompile(`\[(he|she|him|her|his|hers|himself|herself)\]`)

func winoBiasRow(r *Row) (p partner, err error) {
	kind, err := r.text("kind")
	if err != nil {
		return p, err
	}
	text, err := r.text("sentence")
	if err != nil {
		return p, err
	}
	side, kind, _ := strings.Cut(kind, "_")
	if side != "pro" && side != "anti" {
		return p, fmt.Errorf("field %q: %q is neither pro_stereotyped nor anti_stereotyped", "kind", kind)
	}
	split, _ := r.String("split")
	p.key = split + " " + kind + " " + bracketedPronoun.ReplaceAllString(text, "[]")
	p.sentence = strings.NewReplacer("[", "", "]", "").Replace(text)
	p.first = side == "pro"
	return p, nil
}

func winoGenderRow(r *Row) (p partner, err error) {
	id, err := r.text("sentid")
	if err != nil {
		return p, err
	}
	if p.sentence, err = r.text("sentence"); err != nil {
		return p, err
	}
	id = strings.TrimSuffix(id, ".txt")
	i := strings.LastIndex(id, ".")
	if i < 0 || !slices.Contains([]string{"male", "female", "neutral"}, id[i+1:]) {
		return p, fmt.Errorf("field %q: %q does not end in male, female or neutral", "sentid", id)
	}
	p.key, p.first, p.unused = id[:i], id[i+1:] == "male", id[i+1:] == "neutral"
	return p, nil
}

// comparePartners says for each first sentence whether it is likelier than its
// partner, and how far their log-likelihoods are apart.
func comparePartners(j *job, read func(r *Row) (partner, error)) (likelier []bool, apart []float64, err error) {
	sentences, err := parse(j, read)
	if err != nil {
		return nil, nil, err
	}
	second := map[string]string{}
	for _, s := range sentences {
		if !s.first && !s.unused {
			second[s.key] = s.sentence
		}
	}
	var rows []Row
	var pairs [][2]string
	for i, s := range sentences {
		if !s.first {
			continue
		}
		other, ok := second[s.key]
		if !ok {
			if err := j.leaveOut(&j.rows[i], errors.New("no sentence differs from this in its pronouns alone")); err != nil {
				return nil, nil, err
			}
			continue
		}
		rows = append(rows, j.rows[i])
		pairs = append(pairs, [2]string{s.sentence, other})
	}
	if j.rows = rows; len(rows) == 0 {
		return nil, nil, j.noRow()
	}
	return scorePairs(j, pairs)
}
