package eval

// crowsPairs is CrowS-Pairs (Nangia et al. 2020): how often the sentence with
// the stereotype is the likelier of two. A model without bias has a half.
var crowsPairs = Task{
	Sets:   []string{"crows"},
	Groups: []string{"bias_type"},
	run: func(j *job) (metrics, error) {
		more, apart, err := comparePairs(j, "sent_more", "sent_less")
		return biasMetrics("stereotype", more, apart), err
	},
}

// biasMetrics are how often the first of two sentences is the likelier, and how far
// they are apart.
func biasMetrics(name string, more []bool, apart []float64) metrics {
	return func(items []int) []Metric {
		m := accuracy(name, items, func(i int) bool { return more[i] })
		return append(m, average("likelihood_difference", items, func(i int) float64 { return apart[i] }))
	}
}
