package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wenmo"
	"wenmo/explain"
	"wenmo/task"
)

// candidatesAt is an explanation of n tokens, some of them long, wide or parts of
// characters.
func candidatesAt(n int) *explain.Explanation {
	texts := []string{" the", "春眠不觉晓", strings.Repeat("x", 200), "<0xE9><0xBE>", `\u202e`, "👩", " "}
	e := &explain.Explanation{Text: "text", Expects: explain.NextToken, MaskText: "[MASK]", Attentions: [][][][]float32{{{}}}}
	for i := range texts {
		e.Next = append(e.Next, explain.Candidate{Text: texts[i], Probability: 1 / float32(int(1)<<(3*i))})
	}
	for i := range n {
		token := explain.Token{ID: int32(100_000 + i), Text: texts[i%len(texts)], Bytes: [2]int{i, i + 1}, Characters: [2]int{i, i + 1}, Expected: e.Next}
		if token.Text[0] == '<' {
			token.Of = "龘"
		}
		if i > 0 {
			token.Likelihood = &explain.Likelihood{Probability: 1e-7, Bits: float32(i), Rank: 123_456}
		}
		e.Tokens = append(e.Tokens, token)
		row := make([]float32, n)
		row[i/2] += 0.5
		row[0] += 0.5
		e.Attentions[0][0] = append(e.Attentions[0][0], row)
	}
	return e
}

// No line is wider than the terminal, in any language, and no line is lost.
func TestExplainWidth(t *testing.T) {
	for _, lang := range []map[string]string{english, chinese} {
		tongue = lang
		defer func() { tongue = english }()
		for _, width := range []int{40, 59, 60, 80, 200} {
			for _, n := range []int{1, 30, 512} {
				v := explainView{candidatesAt(n), width, false}
				for name, text := range map[string]string{
					"tokens": v.tokens(), "expected": v.expected(), "masked": v.masked(), "attention": v.attention(0, 0), "mean": v.attention(0, explain.Mean),
				} {
					for line := range strings.SplitSeq(text, "\n") {
						if columns(line) > width {
							t.Errorf("%d columns, %d tokens, %s: %d columns in %q", width, n, name, columns(line), line)
						}
					}
					if found := strings.Count(text, "\n"); found < n {
						t.Errorf("%d columns, %d tokens, %s: %d lines", width, n, name, found)
					}
				}
			}
		}
	}
}

// With colour the text comes in that of its surprise; without, no escape does.
func TestExplainColor(t *testing.T) {
	v := explainView{candidatesAt(14), 80, true}
	if got, want := v.surprise(), "\x1b[48;5;203;38;5;16m<0xE9>"; strings.Contains(got, want) {
		t.Errorf("%q is too warm for 3 bits: %q", want, got)
	}
	if got, want := v.surprise(), "\x1b[48;5;223;38;5;16m<0xE9><0xBE>\x1b[0m"; !strings.Contains(got, want) {
		t.Errorf("%q has no %q", got, want)
	}
	v.color = false
	if text := v.expected(); strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
}

func TestHeat(t *testing.T) {
	for _, c := range []struct {
		shares []float32
		width  int
		want   string
	}{
		{[]float32{0.01, 0.02, 0.05, 0.1, 0.25, 0.57}, 6, " .:+#@"},
		{[]float32{0.01, 0.02, 0.05, 0.1, 0.25, 0.57}, 3, ".+@"}, // sums of two
		{[]float32{0.5, 0, 0, 0, 0.5}, 2, "@@"},
		{[]float32{1}, 1, "@"},
	} {
		if got := heat(c.shares, c.width); got != c.want {
			t.Errorf("%v in %d: %q, want %q", c.shares, c.width, got, c.want)
		}
	}
}

// A masked model expects at its masks what fill-mask finds, and nothing elsewhere.
func TestExplainMasked(t *testing.T) {
	const text = "the [MASK] sat on the [MASK] ."
	m, err := wenmo.Open(t.Context(), filepath.Join(smallBERTs(t), "fill"), wenmo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	e, err := explain.Text(t.Context(), m, "fill", text, 4)
	if err != nil {
		t.Fatal(err)
	}
	fills, err := task.FillMask(t.Context(), m, []string{text}, task.FillOptions{TopK: 4})
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, mask := range fills[0] {
		for _, fill := range mask {
			want = append(want, fmt.Sprintf("%d %.5f", fill.ID, fill.Score))
		}
	}
	for _, token := range e.Tokens {
		if (token.Expected != nil) != (token.Token == "[MASK]") || token.Likelihood != nil {
			t.Errorf("%+v", token)
		}
		for _, c := range token.Expected {
			got = append(got, fmt.Sprintf("%d %.5f", c.ID, c.Probability))
		}
	}
	if !slices.Equal(got, want) || e.Next != nil {
		t.Errorf("%v, want %v; next %v", got, want, e.Next)
	}
}

// What --json prints holds all there is.
func TestExplainJSON(t *testing.T) {
	e := candidatesAt(5)
	e.Attentions = append(e.Attentions, slices.Repeat(e.Attentions[0], 3))
	var b bytes.Buffer
	if err := explainJSON(&b, e); err != nil {
		t.Fatal(err)
	}
	var got struct {
		explain.Explanation
		Attentions [][][][]float32 `json:"attentions"`
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, &b)
	}
	got.Explanation.Attentions = got.Attentions
	if !reflect.DeepEqual(&got.Explanation, e) {
		t.Errorf("%+v, want %+v", &got.Explanation, e)
	}
}
