package dataset

import (
	"fmt"
	"slices"
	"strings"
)

// allAnswers renders a conversation and finds the assistant's turns in it.
func (s *Chat) allAnswers(c conversation) (text string, spans [][2]int, err error) {
	if s.template.MarksAnswers() {
		return s.template.RenderSpans(s.input(c, false))
	}
	if text, err = s.render(c, false); err != nil {
		return "", nil, err
	}
	for i, m := range c.messages {
		if !isAnswer(m) {
			continue
		}
		upTo := text
		if i+1 < len(c.messages) {
			if upTo, err = s.render(conversation{c.messages[:i+1], c.tools}, false); err != nil {
				return "", nil, fmt.Errorf("the conversation up to message %d: %w", i, err)
			}
		}
		if !strings.HasPrefix(text, upTo) {
			return "", nil, fmt.Errorf("%w; split_turns makes a sequence of each turn", rewritten(i+1, upTo, text))
		}
		span, err := s.answerSpan(conversation{c.messages[:i], c.tools}, upTo)
		if err != nil {
			return "", nil, err
		}
		spans = append(spans, span)
	}
	return text, spans, nil
}

// lastAnswer renders a conversation that ends in a turn of the assistant, and
// finds that turn.
func (s *Chat) lastAnswer(c conversation) (string, [][2]int, error) {
	text, err := s.render(c, false)
	if err != nil {
		return "", nil, err
	}
	span, err := s.answerSpan(conversation{c.messages[:len(c.messages)-1], c.tools}, text)
	return text, [][2]int{span}, err
}

// answerSpan returns where the turn that text ends with stands, of which before
// is what comes first.
func (s *Chat) answerSpan(before conversation, text string) ([2]int, error) {
	i := len(before.messages)
	prompt, err := s.render(before, true)
	if err != nil {
		return [2]int{}, fmt.Errorf("the prompt of message %d: %w", i, err)
	}
	start := len(prompt)
	if !strings.HasPrefix(text, prompt) {
		if start, err = s.sharedPrompt(before, prompt, text); err != nil {
			return [2]int{}, err
		}
	}
	end := len(text)
	trimmed := strings.TrimRight(text, " \t\r\n")
	if len(trimmed) > start && slices.ContainsFunc(s.ends, func(e string) bool { return strings.HasSuffix(trimmed, e) }) {
		end = len(trimmed)
	}
	return [2]int{start, end}, nil
}

// sharedPrompt returns how much of a prompt begins a turn whose generation
// prompt is not as the template writes the turn itself (one may open a
// reasoning that the other lacks): up to the last added token or line end
// that both have.
func (s *Chat) sharedPrompt(before conversation, prompt, text string) (int, error) {
	i := len(before.messages)
	plain, err := s.render(before, false)
	if err != nil {
		return 0, fmt.Errorf("the conversation before message %d: %w", i, err)
	}
	if !strings.HasPrefix(text, plain) || !strings.HasPrefix(prompt, plain) {
		return 0, rewritten(i, plain, text)
	}
	n := commonPrefix(prompt, text)
	shared, start := prompt[len(plain):n], 0
	for _, end := range append([]string{"\n"}, s.ends...) {
		if at := strings.LastIndex(shared, end); at >= 0 {
			start = max(start, at+len(end))
		}
	}
	if start == 0 {
		return 0, fmt.Errorf("the generation prompt of message %d (%q) does not begin its turn (%q)",
			i, excerpt(prompt[len(plain):]), excerpt(text[len(plain):]))
	}
	return len(plain) + start, nil
}

// rewritten is the error of a template that writes what is before message i
// otherwise when more follows.
func rewritten(i int, alone, text string) error {
	n := commonPrefix(alone, text)
	return fmt.Errorf("the chat template rewrites earlier turns: where message %d is yet to come it writes %q, then %q",
		i, excerpt(alone[n:]), excerpt(text[n:]))
}

func commonPrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// excerpt returns the beginning of a text for an error.
func excerpt(s string) string {
	const most = 40
	for i := range s {
		if i >= most {
			return s[:i] + "…"
		}
	}
	return s
}
