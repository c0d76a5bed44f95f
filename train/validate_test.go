package train

import "testing"

// TestSmoothedBits demands that bits per byte are of the text, not of the loss
// that smoothing makes of it.
func TestSmoothedBits(t *testing.T) {
	var first [2]Validation
	for i, smoothing := range []float64{0, 0.3} {
		c := smallRun(t)
		c.Train.Steps, c.Watch.ValidateEvery, c.Train.LabelSmoothing, c.Train.EMA = 1, 1, smoothing, 0
		c.Schedule.Warmup, c.Schedule.Kind = new(1.0), "constant" // the first step changes nothing
		finished(t, c, RunOptions{Told: func(e Event) {
			if e.Validation != nil {
				first[i] = *e.Validation
			}
		}})
	}
	if first[0].BitsPerByte == 0 || first[0].BitsPerByte != first[1].BitsPerByte {
		t.Errorf("%v bits per byte, with smoothing %v", first[0].BitsPerByte, first[1].BitsPerByte)
	}
}
