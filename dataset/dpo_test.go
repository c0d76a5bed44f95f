package dataset

import (
	"encoding/json"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

func TestPair(t *testing.T) {
	for _, c := range []struct {
		tok, row         string
		opt              ChatOptions
		chosen, rejected string // the whole texts, labels in braces; an error in chosen
		cut              Cut
	}{
		{"tok_gpt2", `{"prompt":"The sky is","chosen":" blue.","rejected":" green and 红."}`, ChatOptions{},
			"<|endoftext|>The sky is{ blue.<|endoftext|>}", "<|endoftext|>The sky is{ green and 红.<|endoftext|>}", Cut{}},
		{"tok_gpt2", `{"prompt":"The sky is","chosen":" blue.","rejected":" red."}`, ChatOptions{MaxLength: 5},
			"<|endoftext|> is{ blue.<|endoftext|>}", "<|endoftext|> is{ red.<|endoftext|>}", Cut{Truncated: 1}},
		{"tok_gpt2", `{"prompt":"The sky is","chosen":" blue.","rejected":" red."}`, ChatOptions{MaxLength: 3}, "", "", Cut{Dropped: 1}},
		{"tok_gpt2", `{"prompt":"The sky is","chosen":" blue.","rejected":" red."}`, ChatOptions{MaxLength: 5, Overlong: Drop}, "", "", Cut{Dropped: 1}},
		{"tok_gpt2", `{"prompt":"The sky is","chosen":" blue.","rejected":" red."}`, ChatOptions{MaxLength: 5, Overlong: Refuse},
			"rows.jsonl:5: prompt and answer have 7 tokens, more than the context of 5", "", Cut{}},
		{"tok_qwen2", `{"prompt":[{"role":"user","content":"Hi"}],"chosen":"你好","rejected":[{"role":"assistant","content":"No"}]}`, ChatOptions{},
			"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{你好<|im_end|>}\n", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{No<|im_end|>}\n", Cut{}},
		{"tok_qwen2", `{"prompt":"Hi","chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":"A"}],"rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"B"}]}`, ChatOptions{},
			"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{A<|im_end|>}\n", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{B<|im_end|>}\n", Cut{}},
		{"tok_qwen2", `{"prompt":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"},{"role":"user","content":"Go"}],"chosen":"A","rejected":"B B B B B B"}`, ChatOptions{MaxLength: 22},
			"<|im_start|>user\nGo<|im_end|>\n<|im_start|>assistant\n{A<|im_end|>}\n", "<|im_start|>user\nGo<|im_end|>\n<|im_start|>assistant\n{B B B B B B<|im_end|>}\n", Cut{Truncated: 1}},
		{"tok_qwen2", `{"chosen":"A"}`, ChatOptions{}, `rows.jsonl:5: no preference: the record has no field "rejected", but "chosen"`, "", Cut{}},
		{"tok_qwen2", `{"chosen":"A","rejected":7}`, ChatOptions{}, `rows.jsonl:5: field "rejected": neither a text nor messages`, "", Cut{}},
		{"tok_qwen2", `{"prompt":"p","chosen":[],"rejected":"b"}`, ChatOptions{}, "rows.jsonl:5: an answer is not one turn of the assistant", "", Cut{}},
		{"tok_qwen2", `{"prompt":"","chosen":"a","rejected":"b"}`, ChatOptions{}, "rows.jsonl:5: the prompt has no tokens", "", Cut{}},
	} {
		if !have(t, c.tok) {
			continue
		}
		p, cut, err := newChat(t, c.tok, "", c.opt).Pair(row(t, c.row))
		var chosen, rejected string
		switch {
		case err != nil:
			chosen = err.Error()
			if strings.HasPrefix(chosen, c.chosen) {
				chosen = c.chosen
			}
		case p != nil:
			chosen, rejected = braced(t, c.tok, p.Chosen), braced(t, c.tok, p.Rejected)
		}
		if chosen != c.chosen || rejected != c.rejected || cut != c.cut {
			t.Errorf("%s: %q, %q, %v; want %q, %q, %v", c.row, chosen, rejected, cut, c.chosen, c.rejected, c.cut)
		}
	}
}

// braced returns the text of a sequence with its labelled tokens in braces.
func braced(t *testing.T, tokName string, s Sequence) string {
	t.Helper()
	tok, _ := fixtureTokenizer(t, tokName)
	if len(s.IDs) != len(s.Labels) {
		t.Fatalf("%d labels of %d tokens", len(s.Labels), len(s.IDs))
	}
	from, to := 0, len(s.IDs)
	for from < to && s.Labels[from] == NoLabel {
		from++
	}
	for to > from && s.Labels[to-1] == NoLabel {
		to--
	}
	for i := from; i < to; i++ {
		if s.Labels[i] != s.IDs[i] {
			t.Fatalf("label %d of token %d", s.Labels[i], s.IDs[i])
		}
	}
	return tok.Decode(s.IDs[:from], false) + "{" + tok.Decode(s.IDs[from:to], false) + "}" + tok.Decode(s.IDs[to:], false)
}

func TestPairData(t *testing.T) {
	path := testkit.SharedFile(t, "data", "en", "pref-harmless-hh.jsonl.zst")
	s := newChat(t, "tok_minimind", "", ChatOptions{MaxLength: 512})
	rows, cut := 0, Cut{}
	for doc, err := range Read(t.Context(), path, ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		p, missed, err := s.Pair(&doc)
		if err != nil {
			t.Fatal(err)
		}
		cut.Add(missed)
		if rows++; rows == 200 {
			break
		}
		if p == nil {
			continue
		}
		for name, seq := range map[string]Sequence{"chosen": p.Chosen, "rejected": p.Rejected} {
			want, _ := doc.String(name)
			got := labelled(t, s.tok, seq)
			if len(got) != 1 || got[0] != strings.TrimLeft(want, "\n")+"<|im_end|>" || len(seq.IDs) > 512 {
				t.Fatalf("%s:%d: %s is labelled %q, want %q", doc.File, doc.Line, name, got, want)
			}
		}
	}
	t.Logf("%d rows, %v", rows, cut)
}

func FuzzPair(f *testing.F) {
	f.Add(`{"prompt":"a","chosen":"b","rejected":"c"}`)
	f.Add(`{"prompt":[{"role":"user","content":"a"}],"chosen":"b","rejected":[{"role":"assistant","content":"c"}]}`)
	f.Add(`{"chosen":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"rejected":[{"role":"user","content":"a"},{"role":"assistant","content":"c"}]}`)
	s := newChat(f, "tok_qwen2", "", ChatOptions{MaxLength: 32})
	f.Fuzz(func(t *testing.T, text string) {
		d := &Document{}
		if json.Unmarshal([]byte(text), &d.Fields) != nil {
			return
		}
		p, cut, err := s.Pair(d)
		if err == nil && (p == nil) != (cut.Dropped > 0) {
			t.Fatalf("%v %v", p, cut)
		}
		if p != nil && (len(p.Chosen.IDs) > 32 || len(p.Rejected.IDs) > 32) {
			t.Fatalf("%d and %d tokens", len(p.Chosen.IDs), len(p.Rejected.IDs))
		}
	})
}
