package eval

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// PRF are precision, recall and F1 = 2PR/(P+R); what divides by nothing is 0.
type PRF struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// ClassScore is how well one class is found.
type ClassScore struct {
	PRF
	Support int `json:"support"` // rows of that class
}

// Classification is how well a classifier does, as scikit-learn counts.
type Classification struct {
	Count           int     `json:"count"`
	Predictions     []int   `json:"predictions"`
	Accuracy        float64 `json:"accuracy"`
	ConfusionMatrix [][]int `json:"confusion_matrix"` // [label][prediction]
	MCC             float64 `json:"mcc"`              // Matthews' correlation (Gorodkin 2004 for many classes)
	Kappa           Maybe   `json:"cohen_kappa"`      // undefined with one class in labels and predictions
	LogLoss         float64 `json:"log_loss"`         // nats a row
	Brier           float64 `json:"brier_multiclass"` // mean of the squared distance of probabilities and one-hot labels

	Macro    PRF          `json:"macro"`    // mean over the classes
	Micro    PRF          `json:"micro"`    // over all decisions
	Weighted PRF          `json:"weighted"` // mean over the classes by their support
	PerClass []ClassScore `json:"per_class"`

	// Of two classes: class 1 is the one to find. The last two need both in the labels.
	BinaryF1         *float64 `json:"binary_f1_positive_1,omitempty"`
	ROCAUC           *float64 `json:"roc_auc,omitempty"`
	AveragePrecision *float64 `json:"average_precision,omitempty"`

	probs [][]float64
	right []bool
}

// Classify measures a classifier by its logits [rows][classes] and the true
// classes. The first of equal logits is the prediction.
func Classify(labels []int, logits [][]float64) (*Classification, error) {
	if len(labels) == 0 || len(labels) != len(logits) {
		return nil, fmt.Errorf("%d labels for %d rows of logits", len(labels), len(logits))
	}
	classes := len(logits[0])
	c := &Classification{Count: len(labels), ConfusionMatrix: make([][]int, classes)}
	for i := range c.ConfusionMatrix {
		c.ConfusionMatrix[i] = make([]int, classes)
	}
	for i, row := range logits {
		switch {
		case len(row) != classes || classes == 0:
			return nil, fmt.Errorf("row %d has %d logits, the first has %d", i, len(row), classes)
		case labels[i] < 0 || labels[i] >= classes:
			return nil, fmt.Errorf("row %d: label %d is not one of %d classes", i, labels[i], classes)
		case slices.ContainsFunc(row, math.IsNaN):
			return nil, fmt.Errorf("row %d: a logit is NaN", i)
		}
		p := softmax(row)
		best := argmax(row)
		c.Predictions = append(c.Predictions, best)
		c.probs = append(c.probs, p)
		c.right = append(c.right, best == labels[i])
		c.ConfusionMatrix[labels[i]][best]++
		c.LogLoss += logLoss(p, labels[i])
		c.Brier += brier(p, labels[i])
	}
	c.LogLoss /= float64(c.Count)
	c.Brier /= float64(c.Count)
	c.fromMatrix()
	if classes == 2 {
		c.binary(labels)
	}
	return c, nil
}

// fromMatrix computes what follows from the confusion matrix alone.
func (c *Classification) fromMatrix() {
	n := float64(c.Count)
	rows, cols := make([]float64, len(c.ConfusionMatrix)), make([]float64, len(c.ConfusionMatrix))
	hits := 0.0
	for i, row := range c.ConfusionMatrix {
		for j, x := range row {
			rows[i] += float64(x)
			cols[j] += float64(x)
		}
		hits += float64(row[i])
	}
	c.Accuracy = hits / n
	c.Micro = prf(hits, n, n)
	var both, truth, guess float64 // Σ of products of the margins
	for i := range rows {
		s := ClassScore{PRF: prf(float64(c.ConfusionMatrix[i][i]), cols[i], rows[i]), Support: int(rows[i])}
		c.PerClass = append(c.PerClass, s)
		c.Macro.add(s.PRF, 1/float64(len(rows)))
		c.Weighted.add(s.PRF, rows[i]/n)
		both += rows[i] * cols[i]
		truth += rows[i] * rows[i]
		guess += cols[i] * cols[i]
	}
	if d := (n*n - truth) * (n*n - guess); d > 0 {
		c.MCC = (hits*n - both) / math.Sqrt(d)
	}
	c.Kappa = Maybe(1 - (n-hits)/(n-both/n))
}

// prf computes the three from the hits, all predictions and all true ones.
func prf(hits, predicted, relevant float64) PRF {
	s := PRF{Precision: ratio(hits, predicted), Recall: ratio(hits, relevant)}
	s.F1 = harmonic(s.Precision, s.Recall)
	return s
}

func (s *PRF) add(x PRF, weight float64) {
	s.Precision += weight * x.Precision
	s.Recall += weight * x.Recall
	s.F1 += weight * x.F1
}

// binary computes what is there for two classes only.
func (c *Classification) binary(labels []int) {
	c.BinaryF1 = &c.PerClass[1].F1
	if c.PerClass[0].Support == 0 || c.PerClass[1].Support == 0 {
		return
	}
	order := make([]int, len(labels))
	for i := range order {
		order[i] = i
	}
	score := func(i int) float64 { return c.probs[i][1] }
	slices.SortStableFunc(order, func(a, b int) int { return compare(score(b), score(a)) })
	positives, negatives := float64(c.PerClass[1].Support), float64(c.PerClass[0].Support)
	var tp, fp, area, precision float64
	for i := 0; i < len(order); {
		tp0, fp0 := tp, fp
		for threshold := score(order[i]); i < len(order) && score(order[i]) == threshold; i++ {
			tp += float64(labels[order[i]])
			fp += float64(1 - labels[order[i]])
		}
		area += (fp - fp0) * (tp + tp0) / 2
		precision += (tp - tp0) * tp / (tp + fp)
	}
	area /= positives * negatives
	precision /= positives
	c.ROCAUC, c.AveragePrecision = &area, &precision
}

// Calibration compares a classifier's confidence with how often it is right.
type Calibration struct {
	ECE    float64 `json:"ece"` // mean distance of confidence and accuracy, weighted by rows (Guo et al. 2017)
	MCE    float64 `json:"mce"` // the greatest distance of a bin
	Counts []int   `json:"bin_counts"`
}

// Calibration sorts the rows by the probability of their prediction into bins
// of equal width, closed on the right.
func (c *Classification) Calibration(bins int) (Calibration, error) {
	if bins < 1 {
		return Calibration{}, errors.New("calibration needs at least one bin")
	}
	top := make([]float64, len(c.probs))
	for i, p := range c.probs {
		top[i] = p[c.Predictions[i]]
	}
	return calibrate(top, c.right, bins), nil
}

// calibrate compares probabilities with how often what they are of is so.
func calibrate(probs []float64, is []bool, bins int) Calibration {
	r := Calibration{Counts: make([]int, bins)}
	confidence, right := make([]float64, bins), make([]float64, bins)
	step := 1 / float64(bins)
	for i, top := range probs {
		b := min(bins-1, int(top*float64(bins)))
		for b > 0 && top <= float64(b)*step {
			b--
		}
		for b < bins-1 && top > float64(b+1)*step {
			b++
		}
		r.Counts[b]++
		confidence[b] += top
		if is[i] {
			right[b]++
		}
	}
	for b, n := range r.Counts {
		if n > 0 {
			gap := math.Abs(right[b]-confidence[b]) / float64(n)
			r.ECE += gap * float64(n) / float64(len(probs))
			r.MCE = max(r.MCE, gap)
		}
	}
	return r
}

// logLoss is −ln of the true class's probability, which is kept one unit in the
// last place of 1 away from 0 and 1, as scikit-learn does.
func logLoss(p []float64, label int) float64 {
	const eps = 0x1p-52
	sum, own := 0.0, 0.0
	for i, x := range p {
		x = min(max(x, eps), 1-eps)
		sum += x
		if i == label {
			own = x
		}
	}
	return -math.Log(own / sum)
}

func brier(p []float64, label int) float64 {
	sum := 0.0
	for i, x := range p {
		if i == label {
			x--
		}
		sum += x * x
	}
	return sum
}
