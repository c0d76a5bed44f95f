package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
)

// postProcessor puts special tokens to an encoded text and its pair.
type postProcessor interface {
	typeName() string
	// added returns the number of special tokens.
	added(pair bool) int
	// process gets the parts to be put together: at first one or two
	// sequences.
	process(parts []Encoding, addSpecial bool) []Encoding
}

type postProcessorSequence struct {
	Processors []postProcessor `json:"processors"`
}

func (postProcessorSequence) typeName() string { return "Sequence" }

func (q postProcessorSequence) added(pair bool) int {
	n := 0
	for _, p := range q.Processors {
		n += p.added(pair)
	}
	return n
}

func (q postProcessorSequence) process(parts []Encoding, addSpecial bool) []Encoding {
	for _, p := range q.Processors {
		parts = p.process(parts, addSpecial)
	}
	return parts
}

type templateProcessing struct {
	Single  []templatePiece                 `json:"single"`
	Pair    []templatePiece                 `json:"pair"`
	Special map[string]templateSpecialToken `json:"special_tokens"`
}

// templatePiece is a sequence ("A" or "B") or a special token.
type templatePiece struct {
	Sequence, SpecialToken string // one of the two
	TypeID                 int32
}

type templateSpecialToken struct {
	ID     string   `json:"id"`
	IDs    []int32  `json:"ids"`
	Tokens []string `json:"tokens"`
}

type namedPiece struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

func (p templatePiece) MarshalJSON() ([]byte, error) {
	if p.Sequence != "" {
		return json.Marshal(map[string]namedPiece{"Sequence": {p.Sequence, p.TypeID}})
	}
	return json.Marshal(map[string]namedPiece{"SpecialToken": {p.SpecialToken, p.TypeID}})
}

func (p *templatePiece) UnmarshalJSON(b []byte) error {
	var v struct{ Sequence, SpecialToken *namedPiece }
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch {
	case v.Sequence != nil && v.SpecialToken == nil:
		*p = templatePiece{Sequence: v.Sequence.ID, TypeID: v.Sequence.TypeID}
	case v.SpecialToken != nil && v.Sequence == nil:
		*p = templatePiece{SpecialToken: v.SpecialToken.ID, TypeID: v.SpecialToken.TypeID}
	default:
		return errors.New("a piece of a template is neither Sequence nor SpecialToken")
	}
	return nil
}

func (*templateProcessing) typeName() string { return "TemplateProcessing" }

// maxTemplate bounds the sequences and special tokens of a template.
const maxTemplate = 1000

func (t *templateProcessing) check() error {
	for name, list := range map[string][]templatePiece{"single": t.Single, "pair": t.Pair} {
		n := 0
		for _, p := range list {
			n += max(1, len(t.Special[p.SpecialToken].IDs))
		}
		if n > maxTemplate {
			return fmt.Errorf("%s has %d pieces (at most %d)", name, n, maxTemplate)
		}
	}
	for _, p := range append(t.Single[:len(t.Single):len(t.Single)], t.Pair...) {
		switch special, ok := t.Special[p.SpecialToken]; {
		case p.Sequence == "A" || p.Sequence == "B":
		case p.Sequence != "":
			return fmt.Errorf("sequence %q is not A or B", p.Sequence)
		case !ok:
			return fmt.Errorf("special token %q is not in special_tokens", p.SpecialToken)
		case len(special.IDs) != len(special.Tokens):
			return fmt.Errorf("special token %q has %d ids and %d tokens", p.SpecialToken, len(special.IDs), len(special.Tokens))
		}
	}
	for _, p := range t.Single {
		if p.Sequence == "B" {
			return errors.New("the template for one sequence uses the sequence B")
		}
	}
	return nil
}

// checkTemplateIDs refuses templates whose special tokens have ids that all
// does not have.
func checkTemplateIDs(part any, all vocab) error {
	for i, sub := range subParts(part) {
		if err := checkTemplateIDs(sub, all); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	t, ok := part.(*templateProcessing)
	if !ok {
		return nil
	}
	for _, p := range append(t.Single[:len(t.Single):len(t.Single)], t.Pair...) {
		for _, id := range t.Special[p.SpecialToken].IDs {
			if id < 0 || int(id) >= len(all) {
				return fmt.Errorf("TemplateProcessing: special token %q has the id %d, and the vocabulary %d ids",
					p.SpecialToken, id, len(all))
			}
		}
	}
	return nil
}

func (t *templateProcessing) template(pair bool) []templatePiece {
	if pair {
		return t.Pair
	}
	return t.Single
}

func (t *templateProcessing) added(pair bool) int {
	n := 0
	for _, p := range t.template(pair) {
		n += len(t.Special[p.SpecialToken].IDs)
	}
	return n
}

func (t *templateProcessing) process(parts []Encoding, addSpecial bool) []Encoding {
	var out []Encoding
	for _, p := range t.template(len(parts) > 1) {
		switch {
		case p.Sequence != "":
			part := parts[0]
			if p.Sequence == "B" && len(parts) > 1 {
				part = parts[1]
			}
			part.TypeIDs = filled(p.TypeID, len(part.IDs))
			out = append(out, part)
		case addSpecial:
			s := t.Special[p.SpecialToken]
			out = append(out, specialEncoding(s.IDs, s.Tokens, p.TypeID))
		}
	}
	return out
}

// tokenID is a token as bertProcessing and robertaProcessing name it.
type tokenID struct {
	Token string
	ID    int32
}

func (t tokenID) MarshalJSON() ([]byte, error) { return json.Marshal([]any{t.Token, t.ID}) }

func (t *tokenID) UnmarshalJSON(b []byte) error {
	pair := [2]any{&t.Token, &t.ID}
	return json.Unmarshal(b, &pair)
}

func (t tokenID) encoding(typeID int32) Encoding {
	return specialEncoding([]int32{t.ID}, []string{t.Token}, typeID)
}

type bertProcessing struct {
	Sep tokenID `json:"sep"`
	Cls tokenID `json:"cls"`
}

func (bertProcessing) typeName() string { return "BertProcessing" }

func (bertProcessing) added(pair bool) int {
	if pair {
		return 3
	}
	return 2
}

func (p bertProcessing) process(parts []Encoding, addSpecial bool) []Encoding {
	if !addSpecial {
		return parts
	}
	var out []Encoding
	for i, part := range parts {
		if i == 0 {
			out = append(out, p.Cls.encoding(0))
		}
		out = append(out, part, p.Sep.encoding(int32(min(i, 1))))
	}
	return out
}

type robertaProcessing struct {
	Sep            tokenID `json:"sep"`
	Cls            tokenID `json:"cls"`
	TrimOffsets    bool    `json:"trim_offsets"`
	AddPrefixSpace bool    `json:"add_prefix_space"`
}

func (robertaProcessing) typeName() string { return "RobertaProcessing" }

func (robertaProcessing) added(pair bool) int {
	if pair {
		return 4
	}
	return 2
}

func (p robertaProcessing) process(parts []Encoding, addSpecial bool) []Encoding {
	var out []Encoding
	for i, part := range parts {
		if p.TrimOffsets {
			trimOffsets(&part, p.AddPrefixSpace)
		}
		part.TypeIDs = filled(0, len(part.IDs))
		switch {
		case !addSpecial: // then the windows keep theirs
			out = append(out, part)
			continue
		case i == 0:
			out = append(out, p.Cls.encoding(0))
		default:
			out = append(out, p.Sep.encoding(0))
		}
		for j := range part.Overflow {
			part.Overflow[j].TypeIDs = filled(0, len(part.Overflow[j].IDs))
		}
		out = append(out, part, p.Sep.encoding(0))
	}
	return out
}
