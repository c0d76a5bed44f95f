package eval

// blimp is BLiMP (Warstadt et al. 2020): of two sentences the grammatical one
// should be the likelier, each as a whole text.
var blimp = Task{
	Groups: []string{"linguistics_term", "UID"},
	run: func(j *job) (metrics, error) {
		right, _, err := comparePairs(j, "sentence_good", "sentence_bad")
		return func(items []int) []Metric {
			return accuracy("accuracy", items, func(i int) bool { return right[i] })
		}, err
	},
}

// comparePairs says for each row whether its first sentence is the likelier one,
// and how far their log-likelihoods are apart.
func comparePairs(j *job, first, second string) (likelier []bool, apart []float64, err error) {
	pairs, err := parse(j, func(r *Row) (p [2]string, err error) {
		if p[0], err = r.text(first); err == nil {
			p[1], err = r.text(second)
		}
		return p, err
	})
	if err != nil {
		return nil, nil, err
	}
	return scorePairs(j, pairs)
}

func scorePairs(j *job, pairs [][2]string) (likelier []bool, apart []float64, err error) {
	var requests []Request
	for _, p := range pairs {
		requests = append(requests, Request{Continuation: p[0]}, Request{Continuation: p[1]})
	}
	found, err := j.likelihoods(requests)
	if err != nil {
		return nil, nil, err
	}
	for i := range pairs {
		d := found[2*i].LogProb - found[2*i+1].LogProb
		likelier = append(likelier, d > 0)
		apart = append(apart, max(d, -d))
	}
	return likelier, apart, nil
}
