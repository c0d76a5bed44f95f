package chat

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
	"time"
)

var referenceNow = time.Date(2026, 2, 3, 14, 5, 6, 0, time.UTC)

// referenceVars are the variables of testdata/reference.py.
func referenceVars(t testing.TB) *Dict {
	t.Helper()
	v, err := ParseJSON([]byte(`{"n": 1, "d": {"a": 1, "b": [1, "x"]}, "inf": "inf",
		"tree": [{"n": "a", "c": [{"n": "b", "c": []}, {"n": "c", "c": [{"n": "d"}]}]}, {"n": "e"}],
		"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "你好"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return v.(*Dict)
}

type referenceCase struct {
	Template string
	Text     *string
	Error    string
}

func referenceCases(t testing.TB) []referenceCase {
	t.Helper()
	f, err := os.Open("testdata/reference.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []referenceCase
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var c referenceCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

func renderReference(t testing.TB, source string) (string, error) {
	t.Helper()
	tmpl, err := Parse(source, "case")
	if err != nil {
		return "", err
	}
	return tmpl.RenderValues(referenceVars(t), referenceNow)
}

// TestReference compares with what Jinja2 itself makes of a thousand templates
// (testdata/reference.py).
func TestReference(t *testing.T) {
	for _, c := range referenceCases(t) {
		got, err := renderReference(t, c.Template)
		switch {
		case c.Text == nil && err == nil:
			t.Errorf("%s\ngot  %q\nwant an error: %s", c.Template, got, c.Error)
		case c.Text != nil && err != nil:
			t.Errorf("%s\ngot error %v\nwant %q", c.Template, err, *c.Text)
		case c.Text != nil && got != *c.Text:
			t.Errorf("%s\ngot  %q\nwant %q", c.Template, got, *c.Text)
		}
	}
}

// TestDifferences names where the interpreter means to differ from Jinja2.
func TestDifferences(t *testing.T) {
	for _, c := range []struct{ name, template, want string }{
		{"complex numbers are an error", "{{ (-2) ** 0.5 }}", "error"},
		{"no names of Unicode characters", `{{ "\N{BULLET}" }}`, "error"},
		{"no bytes", "{{ 'a'.encode('utf-8') }}", "error"},
		{"equal numbers and strings are one object", "{{ 2.5 is sameas 2.5 }}{{ 'abc' is sameas 'abc' }}", "TrueTrue"},
		{"a variable out of its scope is undefined, where Jinja prints the word missing",
			"{% set ns = namespace() %}{% with x = 1 %}{% macro m() %}[{{ x }}]{% endmacro %}{% set ns.m = m %}{% endwith %}{{ ns.m() }}", "[]"},
		{"marked-up text stays so in constant expressions", "{% autoescape true %}{{ '<a>' ~ '<b>'|safe }}{% endautoescape %}", "&lt;a&gt;<b>"},
		{"1e400 is infinite, where Jinja's own code does not compile", "{{ '%s' % 1e400 }}", "inf"},
		{"methods print without an address", "{{ 'a'.upper }}", "<built-in method upper of str object>"},
	} {
		got, err := renderReference(t, c.template)
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s: %s\ngot %q (%v), want %q", c.name, c.template, got, err, c.want)
		}
	}
}
