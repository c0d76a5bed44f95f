package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/chat"
)

// prompt is what a model is given: ids, or a text.
type prompt struct {
	ids  []int32 // nil: text
	text string
	raw  bool // the text does not go through the chat template
}

// register adds --prompt and --ids.
func (p *prompt) register(cmd *cobra.Command) {
	addFlag(cmd, "input", func(f *pflag.FlagSet) {
		f.StringVarP(&p.text, "prompt", "p", "", say("flag.prompt"))
		f.Var(idList{&p.ids}, "ids", say("flag.ids"))
	})
}

// read takes the prompt from the one place where it is given: a flag, the
// argument, or standard input where that is no terminal.
func (p *prompt) read(cmd *cobra.Command, args []string) error {
	what, none := "what.prompt", "error.no_prompt"
	if cmd.Flags().Lookup("ids") == nil { // of a command that takes a text alone
		what, none = "what.text", "error.no_text"
	}
	given := 0
	for _, g := range []bool{cmd.Flags().Changed("prompt"), p.ids != nil, len(args) > 0} {
		if g {
			given++
		}
	}
	switch {
	case given > 1:
		return usagef("error.prompts")
	case len(args) > 0:
		p.text = args[0]
	case given == 0 && isTerminal(cmd.InOrStdin()):
		return usagef(none)
	case given == 0:
		data, err := readInput(cmd)
		if err != nil {
			return err
		}
		p.text = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	}
	return checkUTF8(p.text, say(what))
}

// readInput reads standard input, and no more than any context holds.
func readInput(cmd *cobra.Command) ([]byte, error) {
	const most = 256 << 20
	data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), most+1))
	if err == nil && len(data) > most {
		err = errors.New(say("error.stdin", bytesText(most)))
	}
	return data, err
}

// checkUTF8 returns an error that says where a text is not UTF-8.
func checkUTF8(text, what string) error {
	if utf8.ValidString(text) {
		return nil
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return errors.New(say("error.utf8", what, i))
			}
		}
	}
	return nil
}

// encode returns the ids of the prompt. A text goes through the model's chat
// template, where it has one, as a user's message.
func (p *prompt) encode(m *wenmo.Model) (ids []int32, chatting bool, err error) {
	if p.ids != nil {
		return p.ids, false, nil
	}
	if template, err := m.Template(); !p.raw && (template != nil || err != nil) {
		ids, err = m.Prompt([]chat.Message{{Role: "user", Content: p.text}})
		return ids, true, err
	}
	ids, err = m.Encode(p.text)
	if err == nil && len(ids) == 0 {
		err = usagef("error.empty_prompt")
	}
	return ids, false, err
}

// shorten drops the beginning of a prompt that leaves the context no room for a
// new token. What is kept then leaves room for as many as asked for, or a
// quarter of the context, but is at least half of the context. The token that
// begins a text stays.
func shorten(ids []int32, contextLen int, params wenmo.Params) []int32 {
	if len(ids) < contextLen {
		return ids
	}
	room := contextLen / 4
	if params.MaxNewTokens > 0 {
		room = min(params.MaxNewTokens, contextLen/2)
	}
	keep := max(1, contextLen-max(1, room))
	if ids[0] == params.BOSTokenID && keep > 1 {
		return slices.Concat(ids[:1], ids[len(ids)-keep+1:])
	}
	return ids[len(ids)-keep:]
}
