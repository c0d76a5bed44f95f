package chat

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func showOutput(o Output) string {
	s := fmt.Sprintf("%q %q", o.Reasoning, o.Text)
	for _, c := range o.Calls {
		s += fmt.Sprintf(" %s%s(%s)", c.ID, c.Name, c.ArgumentsJSON())
	}
	return s
}

var (
	qwen    = Format{ThinkStart: "<think>", ThinkEnd: "</think>", Tools: TaggedTools}
	mistral = Format{ThinkStart: "[THINK]", ThinkEnd: "[/THINK]", Tools: MistralTools}
	llama   = Format{Tools: BareTools}
)

var outputCases = []struct {
	format       Format
	prompt, text string
	want         string
}{
	{Format{}, "", " plain <think> text\n", `"" " plain <think> text\n"`},
	{qwen, "", "你好 \n", `"" "你好 \n"`},
	{qwen, "", "<think>\nhm, 想\n</think>\n\nYes.\n", `"hm, 想" "Yes.\n"`},
	{qwen, "…<think>\n", "hm </think> a < b", `"hm" "a < b"`},
	{qwen, "<think>\n", "no end", `"no end" ""`},
	{qwen, "<think>\n\n</think>\n\n", "short", `"" "short"`},
	{qwen, "", "a <think> b </think>", `"" "a <think> b </think>"`},
	{qwen, "", "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\": 1, \"a\": \"é\"}}\n</tool_call>",
		`"" "Let me see." f({"b":1,"a":"é"})`},
	{qwen, "", "<think>x</think><tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":\"{}\"}</tool_call>\n done",
		`"x" "done" f({}) g({})`},
	{qwen, "", `<tool_call>{"name":"f","arguments":{"s":"</tool_call>"}}</tool_call>`, `"" "" f({"s":"</tool_call>"})`},
	{qwen, "", `<tool_call>{"name":"f"}`, `"" "" f({})`},
	{qwen, "", "a \n<tool_call>oops</tool_call> b", `"" "a \n<tool_call>oops</tool_call> b"`},
	{qwen, "", `<tool_call>{"name":5}</tool_call>`, `"" "<tool_call>{\"name\":5}</tool_call>"`},
	{qwen, "", "x <tool_call>{\"name", `"" "x <tool_call>{\"name"`},
	{qwen, "", "x <tool_c", `"" "x <tool_c"`},
	{mistral, "", `[THINK]a[/THINK]b [TOOL_CALLS][{"name": "f", "arguments": {"x": 1}, "id": "abc"}, {"name": "g"}]`,
		`"a" "b" abcf({"x":1}) g({})`},
	{mistral, "", `[TOOL_CALLS]f[ARGS]{"x": 1}[TOOL_CALLS]g[ARGS]{}`, `"" "" f({"x":1}) g({})`},
	{mistral, "", "b [TOOL_CALLS]nonsense", `"" "b [TOOL_CALLS]nonsense"`},
	{llama, "", `{"name": "f", "parameters": {"q": "a; b"}}`, `"" "" f({"q":"a; b"})`},
	{llama, "", `<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}}`, `"" "" f({}) g({})`},
	{llama, "", `{"name": "f"`, `"" "{\"name\": \"f\""`},
	{llama, "", `Text with {"name": "f"} in it `, `"" "Text with {\"name\": \"f\"} in it "`},
	{llama, "", `{"colour": "red"}`, `"" "{\"colour\": \"red\"}"`},
}

// TestParseOutput takes answers apart as a whole and in pieces of every size.
func TestParseOutput(t *testing.T) {
	for _, c := range outputCases {
		if got := showOutput(ParseOutput(c.format, c.prompt, c.text)); got != c.want {
			t.Errorf("%q\ngot  %s\nwant %s", c.text, got, c.want)
		}
		for size := 1; size < 12; size++ {
			if got := showOutput(inPieces(c.format, c.prompt, c.text, size)); got != c.want {
				t.Errorf("%q in pieces of %d\ngot  %s\nwant %s", c.text, size, got, c.want)
			}
		}
	}
}

func inPieces(f Format, prompt, text string, size int) Output {
	p := NewOutputParser(f, prompt)
	var all Output
	add := func(o Output) {
		all.Reasoning += o.Reasoning
		all.Text += o.Text
		all.Calls = append(all.Calls, o.Calls...)
	}
	for text != "" {
		n := min(size, len(text))
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n++
		}
		add(p.Write(text[:n]))
		text = text[n:]
	}
	add(p.Close())
	return all
}

// TestOutputStreams: text that cannot begin a tag is not held back.
func TestOutputStreams(t *testing.T) {
	p := NewOutputParser(qwen, "")
	for i, piece := range []string{"Hello", " you", " <b", ">x", " <tool", "s>"} {
		want := []string{"Hello", " you", " <b", ">x", "", " <tools>"}[i]
		if got := p.Write(piece).Text; got != want {
			t.Errorf("after %q: got %q, want %q", piece, got, want)
		}
	}
}

func TestDetectFormat(t *testing.T) {
	for _, c := range []struct {
		template string
		want     Format
	}{
		{chatML, Format{ThinkStart: "<think>", ThinkEnd: "</think>"}},
		{"{{ '<tool_call>' }}", Format{Tools: TaggedTools}},
		{"[TOOL_CALLS][/THINK]", mistral},
		{`Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.`, llama},
		{"<tool_call><function=f>", Format{}},
		{"{{ messages }}", Format{}},
	} {
		tmpl, err := Parse("{% raw %}"+c.template+"{% endraw %}", "t")
		if err != nil {
			t.Fatal(err)
		}
		if got := tmpl.Format(); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.template, got, c.want)
		}
	}
}

func FuzzOutput(f *testing.F) {
	for i, c := range outputCases {
		f.Add(c.text, uint8(i%3), uint8(i%7+1))
	}
	f.Fuzz(func(t *testing.T, text string, format, size uint8) {
		if !utf8.ValidString(text) {
			return
		}
		fm := []Format{qwen, mistral, llama}[format%3]
		whole := showOutput(ParseOutput(fm, "", text))
		if got := showOutput(inPieces(fm, "", text, int(size)+1)); got != whole {
			t.Fatalf("%q\nwhole     %s\nin pieces %s", text, whole, got)
		}
		if strings.Count(text, "<")+strings.Count(text, "[")+strings.Count(text, "{") == 0 && fm != llama {
			if want := fmt.Sprintf("%q %q", "", text); whole != want {
				t.Fatalf("plain text %s came out as %s", want, whole)
			}
		}
	})
}
