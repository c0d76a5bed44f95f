package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"wenmo/chat"
)

// Pair is a preference: two sequences that begin alike, with labels on the
// answers.
type Pair struct{ Chosen, Rejected Sequence }

// Pair returns the preference of a document {"prompt", "chosen", "rejected"},
// nil if it is dropped. Texts alone are what the model is to read and write, BOS
// before and EOS after them; with messages in prompt or answers the chat
// template makes the text, and an answer that is a text is the assistant's turn.
// Where the answers are whole conversations, or there is no prompt, the prompt is
// what they have in common. A
// prompt that is too long loses its oldest exchanges, a text its beginning.
func (s *Chat) Pair(d *Document) (*Pair, Cut, error) {
	var prompt, chosen, rejected side
	for _, f := range []struct {
		name string
		side *side
	}{{"prompt", &prompt}, {"chosen", &chosen}, {"rejected", &rejected}} {
		there, err := d.Field(f.name, f.side)
		if err != nil {
			return nil, Cut{}, err
		}
		if !there && f.name != "prompt" {
			return nil, Cut{}, d.lacks("no preference", f.name)
		}
	}
	var p *Pair
	var cut Cut
	var err error
	if prompt.messages == nil && chosen.messages == nil && rejected.messages == nil {
		p, cut, err = s.textPair(prompt.text, chosen.text, rejected.text)
	} else {
		p, cut, err = s.talkPair(d, prompt, chosen, rejected)
	}
	return p, cut, wrap(d, err)
}

// side is a text or a list of messages.
type side struct {
	text     string
	messages []chat.Message
}

func (s *side) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &s.text) == nil {
		return nil
	}
	if err := json.Unmarshal(data, &s.messages); err != nil {
		return fmt.Errorf("neither a text nor messages: %w", err)
	}
	if s.messages == nil {
		s.messages = []chat.Message{}
	}
	return nil
}

// as returns a side as messages, a text being one of a role.
func (s *side) as(role string) []chat.Message {
	if s.messages != nil || s.text == "" {
		return s.messages
	}
	return []chat.Message{{Role: role, Content: s.text}}
}

func (s *Chat) talkPair(d *Document, prompt, chosen, rejected side) (*Pair, Cut, error) {
	before := prompt.as("user")
	good, bad := chosen.as("assistant"), rejected.as("assistant")
	if before == nil || len(good) > 1 && len(bad) > 1 { // whole conversations
		n := 0
		for n < min(len(good), len(bad)) && reflect.DeepEqual(good[n], bad[n]) {
			n++
		}
		before, good, bad = good[:n], good[n:], bad[n:]
	}
	for _, answer := range [][]chat.Message{good, bad} {
		if len(answer) != 1 || !isAnswer(answer[0]) {
			return nil, Cut{}, errors.New("an answer is not one turn of the assistant")
		}
	}
	var tools []*chat.Dict
	if _, err := d.Field("tools", &tools); err != nil {
		return nil, Cut{}, err
	}
	with := func(answer []chat.Message) conversation {
		return conversation{slices.Concat(before, answer), tools}
	}
	// The longer of the two says what has to go of both.
	var cut Cut
	for _, answer := range [][]chat.Message{good, bad} {
		c, missed, err := s.fit(with(answer))
		if err != nil || missed.Dropped > 0 {
			return nil, missed, err
		}
		before = c.messages[:len(c.messages)-1]
		cut.Truncated = max(cut.Truncated, missed.Truncated)
	}
	p := &Pair{}
	var err error
	if p.Chosen, err = s.answered(with(good)); err == nil {
		p.Rejected, err = s.answered(with(bad))
	}
	if err != nil {
		return nil, cut, err
	}
	return p, cut, nil
}

// answered makes the sequence of a conversation with labels on its last turn.
func (s *Chat) answered(c conversation) (Sequence, error) {
	text, spans, err := s.lastAnswer(c)
	if err != nil {
		return Sequence{}, err
	}
	return s.label(text, spans)
}

// textPair makes the sequences of texts without a template; prompt and answer
// are encoded apart, so that the prompt is the same for both.
func (s *Chat) textPair(prompt, chosen, rejected string) (*Pair, Cut, error) {
	ids := s.tok.Encode(prompt, false)
	bos, begins := s.tok.ID(s.config.BOS)
	begins = begins && s.config.BOS != ""
	if begins && (len(ids) == 0 || ids[0] != bos) {
		ids = slices.Insert(ids, 0, bos)
	}
	good, bad := s.answerIDs(chosen), s.answerIDs(rejected)
	if len(good) == 0 || len(bad) == 0 {
		return nil, Cut{}, errors.New("an answer has no tokens")
	}
	if len(ids) == 0 {
		return nil, Cut{}, errors.New("the prompt has no tokens")
	}
	var cut Cut
	longer := max(len(good), len(bad))
	if most := s.opt.MaxLength; most > 0 && len(ids)+longer > most {
		switch {
		case s.opt.Overlong == Refuse:
			return nil, cut, fmt.Errorf("prompt and answer have %d tokens, more than the context of %d", len(ids)+longer, most)
		case s.opt.Overlong == Drop || longer >= most:
			return nil, Cut{Dropped: 1}, nil
		}
		ids = ids[len(ids)+longer-most:]
		if begins {
			ids[0] = bos
		}
		cut.Truncated = 1
	}
	return &Pair{answered(ids, good), answered(ids, bad)}, cut, nil
}

func (s *Chat) answerIDs(text string) []int32 {
	ids := s.tok.Encode(text, false)
	eos, ok := s.tok.ID(s.config.EOS)
	if ok && s.config.EOS != "" && (len(ids) == 0 || ids[len(ids)-1] != eos) {
		ids = append(ids, eos)
	}
	return ids
}

// answered returns a prompt and its answer with labels on the answer.
func answered(prompt, answer []int32) Sequence {
	s := Sequence{IDs: slices.Concat(prompt, answer), Labels: make([]int32, 0, len(prompt)+len(answer))}
	for range prompt {
		s.Labels = append(s.Labels, NoLabel)
	}
	s.Labels = append(s.Labels, answer...)
	return s
}
