package chat

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBounds runs templates that would take for ever, or all memory.
func TestBounds(t *testing.T) {
	rep := strings.Repeat
	double := func(init, grow string) string {
		return "{% set ns = namespace(s=" + init + ") %}{% for i in range(100) %}\n{% set ns.s = " + grow + " %}{% endfor %}"
	}
	dag := "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}"
	deep := "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(100000) %}{% set ns.s = [ns.s] %}{% set ns.t = [ns.t] %}{% endfor %}"
	long := "{% set s = 'ab ' * 1000000 %}"
	cases := map[string]string{
		"nested loops":       "{% for a in range(99999) %}\n{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
		"macro recursion":    "{% macro f() %}\n{{ f() }}{% endmacro %}{{ f() }}",
		"loop recursion":     "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
		"call recursion":     "{% macro f() %}{{ caller }}{% call f() %}{% endcall %}{% endmacro %}{% call f() %}{% endcall %}",
		"block recursion":    "{% block a %}{{ self.a() }}{% endblock %}",
		"range":              "{{ range(1000000000)|list }}",
		"string repeat":      "{{ 'abc' * 1000000000 }}",
		"string repeat wrap": "{{ 'abcd' * 4611686018427387904 }}",
		"list repeat":        "{{ [1, 2] * 100000000 }}",
		"repeat of repeat":   "{{ ('a' * 100000 ~ '') * 100000 }}",
		"string doubling":    double("'x'", "ns.s ~ ns.s"),
		"string doubling +":  double("'x'", "ns.s + ns.s"),
		"list doubling":      double("[1]", "ns.s + ns.s"),
		"join doubling":      double("'x'", "[ns.s, ns.s]|join"),
		"replace doubling":   double("'x'", "ns.s.replace('x', 'xx')"),
		"format doubling":    double("'x'", "'{0}{0}'.format(ns.s)"),
		"percent doubling":   double("'x'", "'%s%s' % (ns.s, ns.s)"),
		"set block doubling": "{% set s = 'x' %}{% set ns = namespace(s=s) %}{% for i in range(99) %}{% set x %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = x %}{% endfor %}",
		"macro doubling":     "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}x{% endmacro %}{{ f(60) }}",
		"output":             long + "{% for i in range(1000) %}{{ s }}{% endfor %}",
		"center":             "{{ 'a'.center(10000000000) }}",
		"zfill":              "{{ 'a'.zfill(10000000000) }}",
		"indent":             "{{ ('a\n' * 1000000)|indent(100000) }}",
		"width":              "{{ '%999999999d' % 1 }}",
		"width from value":   "{{ '{:{}}'.format(1, 999999999) }}",
		"precision":          "{{ '%.999999999f' % 1 }}",
		"power":              "{{ 10 ** (10 ** 10) }}",
		"power chain":        "{% set ns = namespace(x=2) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
		"shared print":       dag + "{{ ns.s }}",
		"shared json":        dag + "{{ ns.s|tojson }}",
		"shared pprint":      dag + "{{ ns.s|pprint }}",
		"shared equality":    dag + "{% set a = ns.s %}" + dag + "{{ a == ns.s }}",
		"deep print":         deep + "{{ ns.s }}",
		"deep json":          deep + "{{ ns.s|tojson(indent=4) }}",
		"deep equality":      deep + "{{ ns.s == ns.t }}",
		"deep order":         deep + "{{ ns.s < ns.t }}",
		"deep key":           "{% set ns = namespace(s=(1,)) %}{% for i in range(99999) %}{% set ns.s = (ns.s,) %}{% endfor %}{{ {ns.s: 1} }}",
		"shared key":         "{% set ns = namespace(s=(1,)) %}{% for i in range(99) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ {ns.s: 1} }}",
		"cycle":              "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
		"lazy chain":         "{% set ns = namespace(s=[1]) %}{% for i in range(99999) %}{% set ns.s = ns.s|map('string') %}{% endfor %}{{ ns.s|list }}",
		"lazy chain of if":   "{% set ns = namespace(s=[1]) %}{% for i in range(9999) %}{% set ns.s = ns.s|select %}{% endfor %}{% for x in ns.s if x %}{% endfor %}",
		"batch fill":         "{{ [1]|batch(1000000000, 0)|list }}",
		"slices":             "{{ [1]|slice(1000000000)|list }}",
		"urlize":             long + "{% for i in range(1000) %}{% set x = s|urlize %}{% endfor %}",
		"wordwrap":           long + "{% for i in range(1000) %}{% set x = s|wordwrap(1) %}{% endfor %}",
		"slow search":        long + "{% for i in range(100000) %}{{ 'q' in s }}{% endfor %}",
		"slow index":         "{% set s = '你' * 1000000 %}{% for i in range(100000) %}{% set x = s[i] %}{% endfor %}",
		"slow length":        long + "{% for i in range(100000) %}{% set x = s|length %}{% endfor %}",
		"slow sort":          "{% set l = range(99999)|list %}{% for i in range(99999) %}{% set x = l|sort %}{% endfor %}",
		"slow copy":          "{% set l = range(99999)|list %}{% for i in range(99999) %}{% set x = l[1:] %}{% endfor %}",
		"lipsum":             "{% for i in range(99999) %}{{ lipsum(1000) }}{% endfor %}",
		"parentheses":        "{{ " + rep("(", 100000) + rep(")", 100000) + " }}",
		"brackets":           "{{ " + rep("[", 100000),
		"minus signs":        "{{ " + rep("-", 100000) + "1 }}",
		"nots":               "{{ " + rep("not ", 100000) + "1 }}",
		"sum":                "{{ 1" + rep(" + 1", 100000) + " }}",
		"attributes":         "{{ n" + rep(".a", 100000) + " }}",
		"filters":            "{{ n" + rep("|e", 100000) + " }}",
		"else if":            "{{ 1" + rep(" if 0 else 1", 50000) + " }}",
		"ifs":                rep("{% if 1 %}", 50000),
		"closed ifs":         rep("{% if 1 %}", 20000) + rep("{% endif %}", 20000),
		"template size":      rep("x", 2<<20),
		"long number":        "{{ " + rep("9", 100000) + " }}",
	}
	for name, source := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			tmpl, err := Parse(source, "case")
			if err == nil {
				tmpl.limits.steps /= 10 // to save time
				_, err = tmpl.RenderValues(referenceVars(t), referenceNow)
			}
			var e *Error
			if !errors.As(err, &e) || e.Template != "case" || e.Line == 0 && name != "template size" {
				t.Fatalf("got %v, want an error with a line", err)
			}
			if e.Kind != Limit && e.Kind != Syntax {
				t.Errorf("got an error of kind %d: %v", e.Kind, err)
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("it took %v: %v", d, err)
			}
		})
	}
}

// TestBoundedMemory measures the heap while the greediest templates run.
func TestBoundedMemory(t *testing.T) {
	for _, source := range []string{
		"{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
		"{% set ns = namespace(s=[], t='abcdefgh' * 1000) %}{% for i in range(99999) %}{% set ns.s = ns.s + [ns.t ~ i] %}{% endfor %}",
		"{% set ns = namespace(s=[1]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] * 1000 %}{% endfor %}{{ ns.s }}",
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := renderReference(t, source); err == nil {
			t.Error("want an error")
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 3*uint64(defaultLimits.memory) {
			t.Errorf("allocated %d MiB in all: %s", grown>>20, source)
		}
	}
}

func TestErrorNamesTemplateAndLine(t *testing.T) {
	for _, c := range []struct {
		source, want string
		kind         ErrorKind
	}{
		{"a\nb\n{{ x.y }}", "case:3: 'x' is undefined", Undefined},
		{"{% for i in [1] %}\n\n{% if i %}\n{{ i.a.b }}{% endif %}{% endfor %}", "case:4: 'int object' has no attribute 'a'", Undefined},
		{"{% macro f() %}\n{{ 1/0 }}\n{% endmacro %}\n\n{{ f() }}", "case:2: division by zero", Runtime},
		{"\n{% if x %}", "case:2: unexpected end of template, looking for 'elif' or 'else' or 'endif' (the innermost block that needs to be closed is 'if')", Syntax},
		{"\n\n{% include 'x' %}", "case:3: {% include %} is not supported: a chat template stands alone", Syntax},
		{"{{ messages.append(1) }}", "case:1: access to attribute 'append' of 'list' object is unsafe.", Security},
		{"{{ ''.__class__.__mro__ }}", "case:1: access to attribute '__class__' of 'str' object is unsafe.", Security},
		{"\n{{ raise_exception('no ' ~ 'system') }}", "case:2: no system", Raised},
		{"{{ range(1000000) }}", "case:1: range too big: the sandbox blocks ranges larger than 100000", Limit},
		{"{{ 'a'|upper|nope }}", "case:1: no filter named 'nope'", Syntax},
		{"\xff", "case:1: the template is not valid UTF-8", Syntax},
	} {
		_, err := renderReference(t, c.source)
		var e *Error
		if !errors.As(err, &e) || e.Error() != c.want || e.Kind != c.kind {
			t.Errorf("%q\ngot  %v\nwant %s", c.source, err, c.want)
		}
	}
}

func TestInput(t *testing.T) {
	tmpl, err := Parse("{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ tools|length if tools }}"+
		"{{ documents is none }}{{ eos_token is defined }}{{ thinking }}{{ opts }}{{ '>' if add_generation_prompt }}", "t")
	if err != nil {
		t.Fatal(err)
	}
	in := Input{
		Messages:            []Message{{Role: "system", Content: "简短"}, {Role: "user", Content: "Hi"}},
		Tools:               []*Dict{NewDict("type", "function")},
		AddGenerationPrompt: true,
		BOS:                 "<s>",
		Kwargs:              map[string]any{"thinking": false, "opts": map[string]any{"b": []any{1, 2.0, nil}, "a": []string{"x"}}},
	}
	got, err := tmpl.Render(in)
	want := "<s><system>简短<user>Hi1TrueFalseFalse{'a': ['x'], 'b': [1, 2.0, None]}>"
	if err != nil || got != want {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
	in.Kwargs["bad"] = struct{}{}
	if _, err := tmpl.Render(in); err == nil || !strings.Contains(err.Error(), "variable bad") {
		t.Errorf("got %v, want an error about the variable", err)
	}
}

func TestRandomRepeats(t *testing.T) {
	source := "{{ range(100000)|random }} {{ lipsum(1, false) }}"
	a, err := renderReference(t, source)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := renderReference(t, source); a != b {
		t.Errorf("the same input gave %q and %q", a, b)
	}
}

const chatML = `{%- if tools %}
{{- '<|im_start|>system\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content + '\n\n' }}{%- endif %}
{{- "# Tools\n\n<tools>" }}{%- for tool in tools %}{{- "\n" }}{{- tool | tojson }}{%- endfor %}{{- "\n</tools><|im_end|>\n" }}
{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- set ns = namespace(last=messages|length - 1, found=false) %}
{%- for m in messages[::-1] %}
{%- set index = (messages|length - 1) - loop.index0 %}
{%- if not ns.found and m.role == "user" and m.content is string %}{%- set ns.found = true %}{%- set ns.last = index %}{%- endif %}
{%- endfor %}
{%- for m in messages %}
{%- if m.content is string %}{%- set content = m.content %}{%- else %}{%- set content = '' %}{%- endif %}
{%- if m.role == "user" or (m.role == "system" and not loop.first) %}
{{- '<|im_start|>' + m.role + '\n' + content + '<|im_end|>' + '\n' }}
{%- elif m.role == "assistant" %}
{%- set reasoning = '' %}
{%- if m.reasoning_content is string %}{%- set reasoning = m.reasoning_content %}
{%- elif '</think>' in content %}
{%- set reasoning = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\n') %}
{%- endif %}
{%- if loop.index0 > ns.last and reasoning %}{{- '<|im_start|>' + m.role + '\n<think>\n' + reasoning + '\n</think>\n\n' + content }}
{%- else %}{{- '<|im_start|>' + m.role + '\n' + content }}{%- endif %}
{{- '<|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}`

func longConversation(n int) Input {
	in := Input{AddGenerationPrompt: true, Messages: []Message{{Role: "system", Content: "You are helpful. 请简短回答。"}}}
	for i := range n {
		role := []string{"user", "assistant"}[i%2]
		in.Messages = append(in.Messages, Message{Role: role, Content: fmt.Sprintf("Turn %d: %s", i, strings.Repeat("some words, 一些字 ", 20))})
	}
	return in
}

func TestConcurrentRenders(t *testing.T) {
	tmpl, err := Parse(chatML, "chatml")
	if err != nil {
		t.Fatal(err)
	}
	in := longConversation(9)
	want, err := tmpl.Render(in)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if got, err := tmpl.Render(in); err != nil || got != want {
					t.Errorf("got %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkRender50(b *testing.B) {
	tmpl, err := Parse(chatML, "chatml")
	if err != nil {
		b.Fatal(err)
	}
	in := longConversation(49)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Render(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(chatML, "chatml"); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleTemplate_Render() {
	tmpl, err := Parse("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"+
		"{% if add_generation_prompt %}<|assistant|>{% endif %}", "tiny")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	prompt, err := tmpl.Render(Input{
		Messages:            []Message{{Role: "user", Content: "你好"}},
		AddGenerationPrompt: true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(prompt)
	// Output:
	// <|user|>你好
	// <|assistant|>
}
