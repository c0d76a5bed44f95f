package kernel

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
)

// goldenBits are hashes of results: the same on every processor, path,
// operating system and GOAMD64. A change of a definition changes its line.
var goldenBits = map[string]string{
	"AXPY":                "4e8d96b76206c103",
	"Add":                 "bbe0f4cafc272e84",
	"Center":              "bb925f796afd4afe",
	"Dot":                 "a11454500f60243f",
	"Exp":                 "d0623b8030e0efcb",
	"ExpSum":              "83045768474aa5a8",
	"FoldTile":            "44e0e032ad197ba6",
	"GELU both ways":      "7b5d7b9ccde48806",
	"GELU":                "03b2fbd8753244e0",
	"GELUTanh both ways":  "9c07d889a7b8a6e7",
	"GELUTanh":            "ef81cdc68968c64c",
	"GeGLU backward":      "7b99586b6b8ff279",
	"GeGLU":               "98203f1bd75e21d0",
	"GeGLUTanh backward":  "480e31a4395c686c",
	"GeGLUTanh":           "fdd0a61b7e1f6d1e",
	"LayerNorm backward":  "bcc9c4cfe328a5e1",
	"Log32, Erf32":        "625dff5aeb32e486",
	"LogSoftmax":          "933518db9cda5949",
	"Max":                 "1af25e6c88836431",
	"Mul":                 "5fb120fee2d824be",
	"MulAdd":              "e41e077b82ffc47c",
	"QuickGELU both ways": "4eaa55a328491785",
	"RMSNorm backward":    "880f45045e0f219e",
	"RMSScale":            "eaba8ba6b6b32947",
	"ReLU both ways":      "005f2a675d11c8e1",
	"ReLU2 both ways":     "7b036f388e518fa4",
	"Rope":                "272b78dbf305e98a",
	"RoundBF16":           "ac4c7fddd51ca3ad",
	"Scale":               "3fe9cb93e5a8ca22",
	"SiLU both ways":      "aa55f229f684873f",
	"SiLU":                "a88ce24f267edb5a",
	"Sigmoid both ways":   "3c115dc8eeb508b4",
	"SinCos32":            "4af2ffa11e33d64c",
	"SoftCap both ways":   "18f24c8a719ad9ee",
	"SoftCap":             "6e28d8e197f4c453",
	"Softplus both ways":  "dea3dac8c79ddb48",
	"Sum":                 "cef117bbd3310de9",
	"SumSquares":          "d674504674e10184",
	"SumSquaresAround":    "c58860891d3a3de5",
	"SwiGLU backward":     "7a6f6e63ffb5e6d5",
	"SwiGLU":              "d9b988a3a6e65be4",
	"Tanh both ways":      "224b004e55664032",
	"Tanh":                "10f14397175538eb",
	"TileSoftmax":         "f3b6ff8e6247aeda",
	"SiLUBackward":        "d182a14b746dd885",
	"GELUBackward":        "cd668d3c0b81f599",
	"GELUTanhBackward":    "23306053f365b7f4",
	"SwiGLUBackward":      "c967182e7fc709e7",
	"GeGLUBackward":       "da2a428275c5c1a5",
	"GeGLUTanhBackward":   "c26ccfaa38e6785f",
	"LayerNormBackward":   "ec883e915ef4bd65",
	"RMSNormBackward":     "3b506ac76bddd8b9",
	"AdamW":               "dfa88baadc190720",
	"PackPairs":           "0fd249b9b0e4ddd3",
	"softmax backward":    "35d54e96d141e5ca",
}

// TestBitsEverywhere hashes what the element-wise functions give, forward and
// backward, and those that no kernel repeats.
func TestBitsEverywhere(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(31, 32))
		const n = 1000
		draw := func() []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.IntN(1<<24)-1<<23) / (1 << 20) // within ±8, exact
			}
			return x
		}
		a, b, dy := draw(), draw(), draw()
		check := func(name string, results ...[]float32) {
			h := fnv.New64a()
			for _, x := range results {
				for _, v := range x {
					bits := math.Float32bits(v)
					if v != v {
						bits = 0x7fc00000 // any NaN equals any NaN
					}
					h.Write(binary.LittleEndian.AppendUint32(nil, bits))
				}
			}
			if got := fmt.Sprintf("%016x", h.Sum64()); got != goldenBits[name] {
				t.Errorf("%q: %q,", name, got)
			}
		}
		for _, c := range vecCases {
			dst := append([]float32(nil), dy...)
			sum := c.run(dst, a, b, 0.75, 1.25)
			check(c.name, dst, []float32{sum})
		}
		for _, c := range activations {
			y, dx := make([]float32, n), make([]float32, n)
			c.forward(y, a)
			c.backward(dx, dy, a)
			check(c.name+" both ways", y, dx)
		}
		for _, c := range gated {
			dgate, dup := make([]float32, n), make([]float32, n)
			c.backward(dgate, dup, dy, a, b)
			check(c.name+" backward", dgate, dup)
		}
		dx, dw, db := make([]float32, n), make([]float32, n), make([]float32, n)
		RMSNormBackward(dx, dw, dy, a, b, 0.3, 1)
		check("RMSNorm backward", dx, dw)
		LayerNormBackward(dx, dw, db, dy, a, b, 0.1, 0.3)
		check("LayerNorm backward", dx, dw, db)
		SoftmaxBackward(dx, dy, a)
		LogSoftmaxBackward(dw, dy, b)
		check("softmax backward", dx, dw)
		LogSoftmax(dx, a)
		check("LogSoftmax", dx)
		for i, v := range a {
			dx[i], dw[i] = SinCos32(float64(v) * 1000)
			db[i] = Log32(abs32(v)) + Erf32(b[i])
		}
		check("SinCos32", dx, dw)
		check("Log32, Erf32", db)
	})
}
