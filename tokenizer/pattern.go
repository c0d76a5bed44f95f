package tokenizer

import (
	"fmt"
	"strings"
)

// pattern is a string to be taken literally, or a regular expression.
type pattern struct {
	literal string
	isRegex bool
	regex   string

	scan scanner // a known regular expression
	re   *regex  // any other
}

func literalPattern(s string) pattern { return pattern{literal: s} }

func regexPattern(s string) pattern { return pattern{isRegex: true, regex: s} }

// compile makes the pattern ready for use.
func (p *pattern) compile() error {
	if !p.isRegex {
		if p.literal == "" {
			return fmt.Errorf("an empty pattern")
		}
		return nil
	}
	if p.scan = knownScanner(p.regex); p.scan != nil {
		return nil
	}
	var err error
	p.re, err = compileRegex(p.regex)
	return err
}

// eachMatch calls f for every match in s, from left to right.
func (p *pattern) eachMatch(s string, f func(start, end int)) {
	switch {
	case !p.isRegex:
		for at := 0; ; {
			i := strings.Index(s[at:], p.literal)
			if i < 0 {
				return
			}
			f(at+i, at+i+len(p.literal))
			at += i + len(p.literal)
		}
	case p.scan != nil:
		for at := 0; at < len(s); {
			end := p.scan(s, at)
			f(at, end)
			at = end
		}
	default:
		p.re.eachMatch(s, f)
	}
}

// eachMatch passes over an empty match at the end of the match before.
func (re *regex) eachMatch(s string, f func(start, end int)) {
	m := re.matcher(s)
	last := -1
	for at := 0; at <= len(s); {
		start, end := m.find(at)
		if start < 0 {
			return
		}
		if start == end && end == last {
			if at == len(s) {
				return
			}
			_, size := decodeRune(s[at:])
			at += size
			continue
		}
		f(start, end)
		at, last = end, end
	}
}
