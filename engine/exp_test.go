package engine

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestExpLog(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200000 {
		x := rng.Float64()*1400 - 700
		if got, want := exp64(x), math.Exp(x); math.Abs(got-want) > 1e-15*want {
			t.Fatalf("exp64(%g) = %g, want %g", x, got, want)
		}
		y := math.Exp(rng.Float64()*200 - 100)
		if got, want := log64(y), math.Log(y); math.Abs(got-want) > 1e-15*math.Abs(want)+1e-16 {
			t.Fatalf("log64(%g) = %g, want %g", y, got, want)
		}
		d := rng.Float64() * -31
		want := math.Round(math.Exp(d) * float64(massOne))
		if got := float64(massOf(d)); math.Abs(got-want) > 1+want*1e-15 {
			t.Fatalf("massOf(%g) = %g, want %g", d, got, want)
		}
		base, n := rng.Float64()*3, rng.IntN(60)
		if got, want := powInt(base, n), math.Pow(base, float64(n)); math.Abs(got-want) > 1e-14*want {
			t.Fatalf("powInt(%g, %d) = %g, want %g", base, n, got, want)
		}
		p := rng.Float64()*6 - 3
		if got, want := pow64(float64(n+1), p), math.Pow(float64(n+1), p); math.Abs(got-want) > 1e-14*want {
			t.Fatalf("pow64(%d, %g) = %g, want %g", n+1, p, got, want)
		}
	}
}

func TestExpEdges(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct{ x, want float64 }{
		{0, 1}, {inf, inf}, {-inf, 0}, {-1000, 0}, {1000, inf}, {-745, 5e-324},
	} {
		if got := exp64(c.x); got != c.want {
			t.Errorf("exp64(%g) = %g, want %g", c.x, got, c.want)
		}
	}
	if !math.IsNaN(exp64(math.NaN())) {
		t.Error("exp64(NaN) is a number")
	}
	for _, c := range []struct {
		d    float64
		want uint64
	}{{0, massOne}, {-inf, 0}, {math.NaN(), 0}, {-29.9, 0}, {-29, 1}} {
		if got := massOf(c.d); got != c.want {
			t.Errorf("massOf(%g) = %d, want %d", c.d, got, c.want)
		}
	}
	for n := 1; n < 2000; n++ { // length penalties of 1, 0 and -1 are exact after rounding
		if float32(pow64(float64(n), 1)) != float32(n) || float32(pow64(float64(n), 0)) != 1 {
			t.Fatalf("pow64(%d, 1) = %g", n, pow64(float64(n), 1))
		}
	}
}

func BenchmarkMass(b *testing.B) {
	x := make([]float64, 4096)
	for i := range x {
		x[i] = -rand.Float64() * 20
	}
	var sum uint64
	for b.Loop() {
		for _, d := range x {
			sum += massOf(d)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/exp")
	_ = sum
}
