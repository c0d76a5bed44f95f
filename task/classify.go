package task

import (
	"context"
	"fmt"

	"wenmo"
	"wenmo/tokenizer"
)

// Label is a class with its score: a probability or, of a regression, a value.
type Label struct {
	Label string  `json:"label"`
	Score float32 `json:"score"`
}

// ClassifyOptions say what Classify returns.
type ClassifyOptions struct {
	TopK     int    // of the labels; 0: all
	Function string // of the logits: "softmax", "sigmoid", "none"; "": as the model's problem_type wants
	Truncate bool   // cut what is longer than the model's context, instead of failing
}

// Classify returns the labels of each text, the best first.
func Classify(ctx context.Context, m *wenmo.Model, texts []Text, opt ClassifyOptions) ([][]Label, error) {
	if err := need(m, wenmo.TextClassification); err != nil {
		return nil, err
	}
	function := opt.Function
	if function == "" {
		problem, _ := m.Config()["problem_type"].(string)
		function = functionOf(problem, len(m.Labels()))
	}
	score, ok := functions[function]
	if !ok {
		return nil, fmt.Errorf("function %q is not one of softmax, sigmoid, none", function)
	}
	var cut *tokenizer.Truncation
	if opt.Truncate {
		cut = &tokenizer.Truncation{Direction: "Right", MaxLength: m.Info().Context, Strategy: "LongestFirst"}
	}
	inputs := make([]wenmo.Input, len(texts))
	for i, t := range texts {
		e, err := encode(m, t, cut)
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		}
		inputs[i] = inputOf(&e)
	}
	out := make([][]Label, len(texts))
	err := m.BatchLogits(ctx, inputs, func(i int, rows [][]float32) error {
		out[i] = rank(score(rows[0]), m.Labels(), opt.TopK)
		return nil
	})
	return out, err
}

// functions turn logits into scores.
var functions = map[string]func([]float32) []float32{
	"softmax": softmax,
	"sigmoid": sigmoid,
	"none":    func(x []float32) []float32 { return x },
}

// functionOf is the function of a problem_type, "" where the config has none.
func functionOf(problem string, labels int) string {
	switch {
	case problem == "regression":
		return "none"
	case problem == "multi_label_classification" || labels == 1:
		return "sigmoid"
	}
	return "softmax"
}

// rank returns the topK best labels; 0: all.
func rank(scores []float32, names []string, topK int) []Label {
	best := order(scores)
	if topK > 0 {
		best = best[:min(topK, len(best))]
	}
	out := make([]Label, len(best))
	for i, class := range best {
		out[i] = Label{Label: names[class], Score: scores[class]}
	}
	return out
}
