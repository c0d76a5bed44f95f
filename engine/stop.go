package engine

import "slices"

// Finish says why a sequence ended.
type Finish string

const (
	FinishEOS    Finish = "eos"    // an end token (eos_token_id)
	FinishStop   Finish = "stop"   // a stop id or a stop string
	FinishLength Finish = "length" // the greatest length
)

// Finish returns why a sequence of length tokens, prompt included, ends with
// the token id, or "" where it goes on. Stop strings are for a StopFinder.
func (p *Params) Finish(id int32, length, maxLen int) Finish {
	switch {
	case slices.Contains(p.EOSTokenID, id):
		return FinishEOS
	case slices.Contains(p.StopTokenIDs, id):
		return FinishStop
	case length >= maxLen:
		return FinishLength
	}
	return ""
}

// StopFinder looks for stop strings in text that arrives in pieces, and holds
// back text that may turn out to be the beginning of one. How the text is cut
// into pieces makes no difference to what it finds.
type StopFinder struct {
	stops []stopString
	held  []byte
	found string
}

type stopString struct {
	text    string
	failure []int // of Knuth, Morris and Pratt: the longest border of text[:i]
	matched int   // how much of text the text so far ends with
}

// NewStopFinder returns a finder of the non-empty ones among texts.
func NewStopFinder(texts []string) *StopFinder {
	f := &StopFinder{}
	for _, text := range texts {
		if text != "" {
			f.stops = append(f.stops, stopString{text: text, failure: borders(text)})
		}
	}
	return f
}

func borders(text string) []int {
	b := make([]int, len(text)+1)
	b[0] = -1
	k := -1
	for i := range len(text) {
		for k >= 0 && text[k] != text[i] {
			k = b[k]
		}
		k++
		b[i+1] = k
	}
	return b
}

// Push takes the next piece and returns the text that is certain to stand
// before any stop string. stopped says that one is complete: the text ends
// before it, and everything after is dropped. The one that ends first counts;
// of those that end together, the longest.
func (f *StopFinder) Push(piece string) (text string, stopped bool) {
	if f.found != "" {
		return "", true
	}
	for i := range len(piece) {
		f.held = append(f.held, piece[i])
		if f.found = f.step(piece[i]); f.found != "" {
			text = string(f.held[:len(f.held)-len(f.found)])
			f.held = nil
			return text, true
		}
	}
	keep := 0
	for _, s := range f.stops {
		keep = max(keep, s.matched)
	}
	free := len(f.held) - keep
	text = string(f.held[:free])
	f.held = append(f.held[:0], f.held[free:]...)
	return text, false
}

// step takes one byte and returns the longest stop string that it completes.
func (f *StopFinder) step(c byte) (found string) {
	for i := range f.stops {
		s := &f.stops[i]
		for s.matched >= 0 && s.text[s.matched] != c {
			s.matched = s.failure[s.matched]
		}
		s.matched++
		if s.matched == len(s.text) && len(s.text) > len(found) {
			found = s.text
		}
	}
	return found
}

// Found returns the stop string that Push has found, or "".
func (f *StopFinder) Found() string { return f.found }

// Flush returns the text that is held back, when no more will come.
func (f *StopFinder) Flush() string {
	text := string(f.held)
	f.held = nil
	return text
}
