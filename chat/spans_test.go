package chat

import (
	"errors"
	"strings"
	"testing"
)

const markedTemplate = `{%- for message in messages -%}
    {{- '<|' + message.role + '|>' -}}
    {%- if message.role == 'assistant' -%}
        {%- generation -%}
            {{- message.content + '<|end|>' -}}
        {%- endgeneration -%}
    {%- else -%}
        {{- message.content + '<|end|>' -}}
    {%- endif -%}
    {{- '\n' -}}
{%- endfor -%}`

func TestRenderSpans(t *testing.T) {
	in := Input{Messages: []Message{
		{Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Hello!"},
		{Role: "user", Content: "你好"}, {Role: "assistant", Content: "你好，世界"}, {Role: "assistant", Content: "…"},
	}}
	tmpl, err := Parse(markedTemplate, "marked")
	if err != nil {
		t.Fatal(err)
	}
	if !tmpl.MarksAnswers() {
		t.Error("the generation block is not seen")
	}
	text, spans, err := tmpl.RenderSpans(in)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := tmpl.Render(in); err != nil || plain != text {
		t.Errorf("Render gives %q (%v), RenderSpans %q", plain, err, text)
	}
	var got []string
	for _, s := range spans {
		got = append(got, text[s[0]:s[1]])
	}
	if want := "Hello!<|end|>/你好，世界<|end|>/…<|end|>"; strings.Join(got, "/") != want {
		t.Errorf("spans %q, want %q", got, want)
	}
}

func TestRenderSpansOddPlaces(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"a{% generation %}b{% generation %}c{% endgeneration %}d{% endgeneration %}e", "bcd"},
		{"a{% generation %}{% endgeneration %}b", ""},
		{"a{% if true %}{% for x in [1, 2] %}-{% generation %}{{ x }}{% endgeneration %}{% endfor %}{% endif %}", "1/2"},
		{"no block", ""},
		{"{% macro m() %}{% generation %}x{% endgeneration %}{% endmacro %}{{ m() }}", "error"},
		{"{% set x %}{% generation %}x{% endgeneration %}{% endset %}{{ x }}", "error"},
	} {
		tmpl, err := Parse(c.source, "odd")
		if err != nil {
			t.Fatal(err)
		}
		text, spans, err := tmpl.RenderSpans(Input{})
		var e *Error
		if c.want == "error" {
			if !errors.As(err, &e) || e.Kind != Runtime || e.Template != "odd" {
				t.Errorf("%s: error %v", c.source, err)
			}
			if _, err := tmpl.Render(Input{}); err != nil {
				t.Errorf("%s: Render: %v", c.source, err)
			}
			continue
		}
		var got []string
		for _, s := range spans {
			got = append(got, text[s[0]:s[1]])
		}
		if err != nil || strings.Join(got, "/") != c.want {
			t.Errorf("%s: %q (%v), want %s", c.source, got, err, c.want)
		}
	}
}
