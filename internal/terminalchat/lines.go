package terminalchat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"wenmo/chat"
)

// Lines answers messages that come one a line, in plain text, notes apart from
// answers. With a prompt it is for somebody who types: errors are told, and do
// not end it, and the answers are fit for a terminal.
func Lines(ctx context.Context, s *Session, in io.Reader, out, notes io.Writer, prompt string) error {
	if err := s.begin(); err != nil {
		return err
	}
	if prompt != "" && s.Hello != "" {
		fmt.Fprintln(notes, s.Hello)
	}
	reader := bufio.NewReader(in)
	for n := 1; ; n++ {
		if _, err := io.WriteString(out, prompt); err != nil {
			return err
		}
		line, end := reader.ReadString('\n')
		if end != nil && end != io.EOF {
			return end
		}
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) != "" {
			leave, err := s.line(ctx, line, out, notes, prompt != "")
			switch {
			case leave || ctx.Err() != nil:
				return err
			case err != nil && prompt == "":
				return fmt.Errorf("%s: %w", s.Say("line", n), err)
			case err != nil:
				fmt.Fprintln(notes, clean(err.Error()))
			}
		}
		if end == io.EOF {
			return nil
		}
	}
}

// line does what a line asks for.
func (s *Session) line(ctx context.Context, line string, out, notes io.Writer, terminal bool) (leave bool, err error) {
	if !utf8.ValidString(line) {
		return false, errors.New(s.Say("not_utf8"))
	}
	before := s.clone()
	o, err := s.take(line)
	if err != nil {
		return false, err
	}
	if o.note != "" {
		fmt.Fprintln(notes, clean(o.note))
	}
	switch o.wish {
	case toLeave:
		return true, nil
	case toOpen:
		m, err := s.Open(ctx, o.name, func(int64, int64) {})
		if err != nil {
			return false, err
		}
		fmt.Fprintln(notes, clean(s.change(m)))
	case toAnswer:
		if err := s.print(ctx, out, notes, terminal); err != nil {
			s.conversation = before
			return false, err
		}
	}
	return false, nil
}

// print prints an answer as it comes.
func (s *Session) print(ctx context.Context, out, notes io.Writer, terminal bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pieces, err := s.start(ctx)
	if err != nil {
		return err
	}
	var whole chat.Output
	var last piece
	for p := range pieces {
		text := p.Text
		if terminal {
			text = clean(text)
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
		if note := s.forget(p.first); note != "" {
			fmt.Fprintln(notes, note)
		}
		whole.Text += p.Text
		whole.Reasoning += p.Reasoning
		if p.err != nil {
			return errors.New(s.explain(p.err))
		}
		if p.finish != "" {
			last = p
		}
	}
	if _, err := io.WriteString(out, "\n"); err != nil {
		return err
	}
	if note := s.ended(last); note != "" {
		fmt.Fprintln(notes, note)
	}
	s.reply(whole)
	return ctx.Err()
}
