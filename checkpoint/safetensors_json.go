package checkpoint

import (
	"encoding/json"
	"fmt"
	"math"
)

// This file holds the JSON primitives of headerParser.

func (p *headerParser) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: header byte %d: %s", p.path, p.pos, fmt.Sprintf(format, args...))
}

func (p *headerParser) skipSpace() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// next skips white space and takes c if it comes next.
func (p *headerParser) next(c byte) bool {
	p.skipSpace()
	if p.pos < len(p.data) && p.data[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

// object reads {"key": value, …}, calling value with the parser at each value.
func (p *headerParser) object(what string, value func(key string) error) error {
	if !p.next('{') {
		return p.errorf("%s: '{' wanted", what)
	}
	if p.next('}') {
		return nil
	}
	for {
		key, err := p.str("key in " + what)
		if err != nil {
			return err
		}
		if !p.next(':') {
			return p.errorf("%s: ':' wanted after %q", what, key)
		}
		if err := value(key); err != nil {
			return err
		}
		if p.next('}') {
			return nil
		}
		if !p.next(',') {
			return p.errorf("%s: ',' or '}' wanted", what)
		}
	}
}

// str reads a string.
func (p *headerParser) str(what string) (string, error) {
	if !p.next('"') {
		return "", p.errorf("%s: string wanted", what)
	}
	start, plain := p.pos, true
	for ; p.pos < len(p.data); p.pos++ {
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			if plain {
				return string(p.data[start : p.pos-1]), nil
			}
			var s string
			if err := json.Unmarshal(p.data[start-1:p.pos], &s); err != nil {
				return "", p.errorf("%s: %v", what, err)
			}
			return s, nil
		case c == '\\':
			plain = false
			p.pos++
		case c < ' ':
			return "", p.errorf("%s: control character in a string", what)
		}
	}
	return "", p.errorf("%s: the string does not end", what)
}

// numbers reads an array of numbers without sign, point or exponent.
func (p *headerParser) numbers(what string) ([]int, error) {
	if !p.next('[') {
		return nil, p.errorf("%s: '[' wanted", what)
	}
	numbers := []int{}
	if p.next(']') {
		return numbers, nil
	}
	for {
		n, err := p.number(what)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
		if p.next(']') {
			return numbers, nil
		}
		if !p.next(',') {
			return nil, p.errorf("%s: ',' or ']' wanted", what)
		}
	}
}

func (p *headerParser) number(what string) (int, error) {
	p.skipSpace()
	start := p.pos
	n := 0
	for ; p.pos < len(p.data) && p.data[p.pos] >= '0' && p.data[p.pos] <= '9'; p.pos++ {
		digit := int(p.data[p.pos] - '0')
		if n > (math.MaxInt-digit)/10 {
			return 0, p.errorf("%s: the number is above %d", what, math.MaxInt)
		}
		n = 10*n + digit
	}
	if p.pos == start {
		return 0, p.errorf("%s: a whole number, not negative, wanted", what)
	}
	return n, nil
}
