package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Padding fills encodings up to a length.
type Padding struct {
	// Length is the length to pad to; 0: that of the longest in the batch.
	Length          int
	Direction       string // "Right" or "Left"
	PadToMultipleOf int    // 0: none
	PadID           int32
	PadTypeID       int32
	PadToken        string
}

// maxPadding bounds the length that a file may ask for.
const maxPadding = 1 << 24

func (p *Padding) check() error {
	switch {
	case p.Direction != "Right" && p.Direction != "Left":
		return fmt.Errorf("padding: direction %q is not Right or Left", p.Direction)
	case p.Length < 0 || p.Length > maxPadding || p.PadToMultipleOf < 0 || p.PadToMultipleOf > maxPadding:
		return fmt.Errorf("padding: length %d or pad_to_multiple_of %d is not between 0 and %d", p.Length, p.PadToMultipleOf, maxPadding)
	}
	return nil
}

// apply pads all encodings, their overflow too, to one length.
func (p *Padding) apply(all []*Encoding) {
	length := p.Length
	if length == 0 {
		for _, e := range all {
			length = max(length, len(e.IDs))
		}
	}
	if m := p.PadToMultipleOf; m > 0 && length%m > 0 {
		length += m - length%m
	}
	for _, e := range all {
		p.pad(e, length)
	}
}

func (p *Padding) pad(e *Encoding, length int) {
	for i := range e.Overflow {
		p.pad(&e.Overflow[i], length)
	}
	n := length - len(e.IDs)
	if n <= 0 {
		return
	}
	overflow := e.Overflow
	pad := specialEncoding(filled(p.PadID, n), slices.Repeat([]string{p.PadToken}, n), p.PadTypeID)
	pad.AttentionMask = filled(0, n)
	if p.Direction == "Left" {
		*e = pad.join(e)
	} else {
		*e = e.join(&pad)
	}
	e.Overflow = overflow
}

// paddingJSON is Padding as a tokenizer.json writes it.
type paddingJSON struct {
	Strategy        json.RawMessage `json:"strategy"`
	Direction       string          `json:"direction"`
	PadToMultipleOf *int            `json:"pad_to_multiple_of"`
	PadID           int32           `json:"pad_id"`
	PadTypeID       int32           `json:"pad_type_id"`
	PadToken        string          `json:"pad_token"`
}

// MarshalJSON writes the form of a tokenizer.json.
func (p Padding) MarshalJSON() ([]byte, error) {
	v := paddingJSON{
		Strategy: json.RawMessage(`"BatchLongest"`), Direction: p.Direction,
		PadID: p.PadID, PadTypeID: p.PadTypeID, PadToken: p.PadToken,
	}
	if p.Length > 0 {
		v.Strategy = fmt.Appendf(nil, `{"Fixed":%d}`, p.Length)
	}
	if p.PadToMultipleOf > 0 {
		v.PadToMultipleOf = &p.PadToMultipleOf
	}
	return json.Marshal(v)
}

// UnmarshalJSON reads the form of a tokenizer.json.
func (p *Padding) UnmarshalJSON(b []byte) error {
	v := paddingJSON{Direction: "Right", PadToken: "[PAD]"}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*p = Padding{Direction: v.Direction, PadID: v.PadID, PadTypeID: v.PadTypeID, PadToken: v.PadToken}
	if v.PadToMultipleOf != nil {
		p.PadToMultipleOf = *v.PadToMultipleOf
	}
	if string(v.Strategy) == `"BatchLongest"` {
		return nil
	}
	var fixed struct{ Fixed *int }
	if err := json.Unmarshal(v.Strategy, &fixed); err != nil || fixed.Fixed == nil {
		return errors.New(`padding: strategy is neither "BatchLongest" nor {"Fixed":n}`)
	}
	p.Length = *fixed.Fixed
	return nil
}
