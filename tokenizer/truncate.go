package tokenizer

import (
	"errors"
	"fmt"
)

// Truncation cuts encodings to a length.
type Truncation struct {
	// Direction is the side that is cut off: "Right" or "Left".
	Direction string `json:"direction"`
	MaxLength int    `json:"max_length"` // special tokens included
	// Strategy says what is cut of a text and its pair: "LongestFirst",
	// "OnlyFirst" or "OnlySecond".
	Strategy string `json:"strategy"`
	Stride   int    `json:"stride"` // tokens that neighbouring windows share
}

func (t *Truncation) check() error {
	switch {
	case t.Direction != "Right" && t.Direction != "Left":
		return fmt.Errorf("truncation: direction %q is not Right or Left", t.Direction)
	case t.Strategy != "LongestFirst" && t.Strategy != "OnlyFirst" && t.Strategy != "OnlySecond":
		return fmt.Errorf("truncation: strategy %q is not LongestFirst, OnlyFirst or OnlySecond", t.Strategy)
	case t.MaxLength < 0 || t.Stride < 0:
		return fmt.Errorf("truncation: max_length %d or stride %d is negative", t.MaxLength, t.Stride)
	}
	return nil
}

// apply truncates the sequences, one or two, to most tokens together.
func (t *Truncation) apply(parts []Encoding, most int) error {
	if most < 0 {
		return fmt.Errorf("truncation: max_length %d is less than the special tokens take", t.MaxLength)
	}
	total := 0
	for i := range parts {
		total += len(parts[i].IDs)
	}
	if total <= most && most > 0 {
		return nil
	}
	if most == 0 {
		for i := range parts {
			if err := t.cut(&parts[i], 0); err != nil {
				return err
			}
		}
		return nil
	}
	if t.Strategy == "LongestFirst" {
		lengths := longestFirst(parts, most)
		for i := range parts {
			if err := t.cut(&parts[i], lengths[i]); err != nil {
				return err
			}
		}
		return nil
	}
	target := &parts[0]
	if t.Strategy == "OnlySecond" {
		if len(parts) < 2 {
			return errors.New("truncation: strategy OnlySecond, and no second sequence")
		}
		target = &parts[1]
	}
	left := len(target.IDs) - (total - most)
	if left <= 0 {
		return fmt.Errorf("truncation: the sequence to cut (%s) is too short for a max_length of %d", t.Strategy, t.MaxLength)
	}
	return t.cut(target, left)
}

// longestFirst shares most tokens out: the shorter sequence stays whole while
// the longer one can give.
func longestFirst(parts []Encoding, most int) []int {
	if len(parts) == 1 {
		return []int{most}
	}
	n := []int{len(parts[0].IDs), len(parts[1].IDs)}
	short, long := 0, 1
	if n[0] > n[1] {
		short, long = 1, 0
	}
	if n[short] > most {
		n[long] = n[short]
	} else {
		n[long] = max(n[short], most-n[short])
	}
	if n[0]+n[1] > most {
		n[short] = most / 2
		n[long] = n[short] + most%2
	}
	return n
}

// cut makes windows of at most n tokens that share Stride tokens; the first is
// the encoding, the others its overflow. Type ids are given to the first alone:
// the tokens of the others have 0 whatever their sequence, as in the reference
// when it truncates before it post-processes.
func (t *Truncation) cut(e *Encoding, n int) error {
	length := len(e.IDs)
	if n >= length {
		return nil
	}
	if n == 0 {
		whole := *e
		whole.TypeIDs = filled(0, length)
		*e = e.window(0, 0)
		e.Overflow = []Encoding{whole}
		return nil
	}
	if t.Stride >= n {
		return fmt.Errorf("truncation: stride %d is not less than the %d tokens of a window", t.Stride, n)
	}
	var windows []Encoding
	if t.Direction == "Left" {
		for end := length; ; end -= n - t.Stride {
			windows = append(windows, e.window(max(end-n, 0), end))
			if end <= n {
				break
			}
		}
	} else {
		for start := 0; ; start += n - t.Stride {
			windows = append(windows, e.window(start, min(start+n, length)))
			if start+n >= length {
				break
			}
		}
	}
	*e = windows[0]
	e.Overflow = windows[1:]
	for i := range e.Overflow {
		e.Overflow[i].TypeIDs = filled(0, len(e.Overflow[i].IDs))
	}
	return nil
}
