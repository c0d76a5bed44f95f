package chat

import (
	"errors"
	"strings"
	"testing"
)

// TestLongTextTakesSteps runs each operation once: on a short text it stays
// within the steps, on a long one it does not.
func TestLongTextTakesSteps(t *testing.T) {
	digits, spaces, words := "1", " ", "ab 你好 "
	cases := []struct{ expr, unit string }{
		{"s|float", digits}, {"s|int", digits}, {"s|int(0, 16)", digits}, {"s|int(0, 36)", digits},
		{"s|trim", spaces}, {"s.strip()", spaces}, {"s.isspace()", spaces}, {"s.split()", spaces}, {"s.isdigit()", digits},
		{"s.isalpha()", "你"}, {"s.islower()", "a"}, {"s is lower", "a"}, {"s is upper", "A"},
		{"s|wordcount", words}, {"s|length", words}, {"s|upper", words}, {"s.find('q')", words},
		{"s.count('q')", words}, {"s.startswith('q')", words}, {"s is in ['q']", words}, {"s == s", words}, {"s|first", words},
		{"['q']|map('replace', 'x', s)|list", words}, {"[s]|map('float')|list", digits},
		{"[s]|select('lower')|list", "a"}, {"'q'.join([s, s])", words}, {"'q'.replace(s, '')", words},
	}
	for _, c := range cases {
		tmpl, err := Parse("{% set x = "+c.expr+" %}", "case")
		if err != nil {
			t.Fatal(err)
		}
		tmpl.limits.steps = 1000
		if _, err := tmpl.RenderValues(NewDict("s", strings.Repeat(c.unit, 8)), referenceNow); err != nil {
			t.Errorf("%s of a short text: %v", c.expr, err)
		}
		_, err = tmpl.RenderValues(NewDict("s", strings.Repeat(c.unit, 65000)), referenceNow)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Limit || !strings.Contains(e.Message, "steps") {
			t.Errorf("%s of a long text: got %v, want the limit on steps", c.expr, err)
		}
	}
}

func TestLargeIntegersTakeSteps(t *testing.T) {
	for _, expr := range []string{"3 ** 41000", "(2 ** 30000) * (2 ** 30000)", "(2 ** 60000) // 3 ** 20000", "(2 ** 60000) % 3 ** 20000"} {
		tmpl, err := Parse("{% set x = "+expr+" %}", "case")
		if err != nil {
			t.Fatal(err)
		}
		tmpl.limits.steps = 400
		_, err = tmpl.RenderValues(NewDict(), referenceNow)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Limit || !strings.Contains(e.Message, "steps") {
			t.Errorf("%s: got %v, want the limit on steps", expr, err)
		}
	}
}

func TestIntOfManyDigits(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"{{ ('1' * 4300)|int == 0 }}", "False"},
		{"{{ ('1' * 4301)|int(7) }}", "7"},
		{"{{ ('z' * 4301)|int(7, 36) }}", "7"},
		{"{{ ('f' * 16384)|int(7, 16) > 2 ** 65535 }}", "True"},
		{"{{ ('f' * 20000)|int(7, 16) }}", "7"},
	} {
		if got, err := renderReference(t, c.source); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %s", c.source, got, err, c.want)
		}
	}
}
