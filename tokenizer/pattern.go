package tokenizer

import (
	"encoding/json"
	"errors"
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

func literalPattern(s string) *pattern { return &pattern{literal: s} }

func regexPattern(s string) *pattern { return &pattern{isRegex: true, regex: s} }

// compile makes the pattern ready for use.
func (p *pattern) compile() error {
	if p == nil {
		return errors.New("pattern is missing")
	}
	if !p.isRegex {
		if p.literal == "" {
			return errors.New("pattern is empty")
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
		u := loadUnicode()
		for at := 0; at < len(s); {
			end := p.scan(u, s, at)
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

// MarshalJSON writes the form of a tokenizer.json.
func (p *pattern) MarshalJSON() ([]byte, error) {
	if p.isRegex {
		return json.Marshal(map[string]string{"Regex": p.regex})
	}
	return json.Marshal(map[string]string{"String": p.literal})
}

// UnmarshalJSON reads the form of a tokenizer.json.
func (p *pattern) UnmarshalJSON(b []byte) error {
	var v struct{ String, Regex *string }
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch {
	case v.String != nil && v.Regex == nil:
		*p = *literalPattern(*v.String)
	case v.Regex != nil && v.String == nil:
		*p = *regexPattern(*v.Regex)
	default:
		return errors.New("pattern is neither String nor Regex")
	}
	return nil
}
