package train

import (
	"testing"

	"wenmo/dataset"
	"wenmo/tensor"
)

// TestWeightSplits demands that the weights of classes add up alike however a
// step is split.
func TestWeightSplits(t *testing.T) {
	o := labelObjective(0, tensor.CrossEntropy{Weights: []float32{1.0 / 3, 1.0 / 7, 0.9}})
	var batch []dataset.Sequence
	for i := range int32(999) {
		batch = append(batch, dataset.Sequence{IDs: []int32{0}, Labels: []int32{i * i % 3}})
	}
	sum := 0.0
	for at := 0; at < len(batch); at += 37 {
		sum += o.Weight(nil, batch[at:min(at+37, len(batch))])
	}
	if whole := o.Weight(nil, batch); whole != sum {
		t.Errorf("%v in parts, %v as a whole", sum, whole)
	}
}
