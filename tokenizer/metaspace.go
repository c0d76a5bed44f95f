package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// metaspace is a pre-tokenizer and a decoder: SentencePiece's ▁ for spaces.
type metaspace struct {
	Replacement   string `json:"replacement"`
	PrependScheme string `json:"prepend_scheme"` // "always", "first" or "never"
	Split         bool   `json:"split"`
}

func (metaspace) typeName() string { return "Metaspace" }

// UnmarshalJSON reads files from before prepend_scheme, too.
func (p *metaspace) UnmarshalJSON(b []byte) error {
	v := struct {
		Replacement    *string `json:"replacement"`
		PrependScheme  *string `json:"prepend_scheme"`
		Split          *bool   `json:"split"`
		AddPrefixSpace *bool   `json:"add_prefix_space"`
	}{&p.Replacement, nil, &p.Split, nil}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	without := v.AddPrefixSpace != nil && !*v.AddPrefixSpace
	switch {
	case v.PrependScheme == nil && without:
		p.PrependScheme = "never"
	case v.PrependScheme != nil && without && *v.PrependScheme != "never":
		return fmt.Errorf("add_prefix_space false does not go with prepend_scheme %q", *v.PrependScheme)
	case v.PrependScheme != nil:
		p.PrependScheme = *v.PrependScheme
	}
	return nil
}

func (p metaspace) check() error {
	switch p.PrependScheme {
	case "always", "first", "never":
	default:
		return fmt.Errorf("prepend_scheme %q is not one of always, first, never", p.PrependScheme)
	}
	return checkRune("replacement", p.Replacement)
}

func (p metaspace) preTokenize(w *work) {
	w.rewrite(func(n *normalized) {
		replace{Pattern: literalPattern(" "), Content: p.Replacement}.normalize(n)
		wanted := p.PrependScheme == "always" || p.PrependScheme == "first" && n.origin() == 0
		if wanted && !strings.HasPrefix(n.s, p.Replacement) {
			n.prefix(p.Replacement)
		}
	})
	if p.Split {
		w.split(literalPattern(p.Replacement).eachMatch, "MergedWithNext", false)
	}
}

// decode turns the replacement into spaces, and leaves out those of the first
// token unless none was prepended.
func (p metaspace) decode(tokens []string) []string {
	for i, t := range tokens {
		space := " "
		if i == 0 && p.PrependScheme != "never" {
			space = ""
		}
		tokens[i] = strings.ReplaceAll(t, p.Replacement, space)
	}
	return tokens
}
