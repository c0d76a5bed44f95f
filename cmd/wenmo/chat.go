package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/embedded"
	"wenmo/internal/terminalchat"
)

// chatting is the command that talks with a model.
type chatting struct {
	modelFlags
	params wenmo.Params
	system string
}

func chatCommand() *cobra.Command {
	c := &chatting{modelFlags: modelFlags{name: embedded.Chat}}
	cmd := describe(&cobra.Command{Use: "chat [-m MODEL]", Args: arguments(0)}, "chat")
	addFlag(cmd, "input", func(f *pflag.FlagSet) { f.StringVar(&c.system, "system", "", say("flag.system")) })
	c.modelFlags.register(cmd, "auto")
	c.options.Pull = true
	paramFlags(cmd, &c.params)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.run(cmd) }
	return cmd
}

// chatAlone is what the program does without a command. Where nobody types and
// nothing is piped in, it says what could be done.
func chatAlone(cmd *cobra.Command, _ []string) error {
	if in := cmd.InOrStdin(); !isTerminal(in) {
		piped := bufio.NewReader(in)
		if _, err := piped.Peek(1); err == io.EOF {
			return emit(cmd, say("welcome"))
		}
		cmd.SetIn(piped)
	}
	c := &chatting{modelFlags: modelFlags{name: embedded.Chat}, params: wenmo.DefaultParams()}
	c.options.Pull = true
	return c.run(cmd)
}

func (c *chatting) run(cmd *cobra.Command) error {
	if err := checkUTF8(c.system, "--system"); err != nil {
		return err
	}
	ctx, stop := interruptible(cmd)
	defer stop()
	opened, err := c.open(ctx, cmd)
	if err != nil {
		return err
	}
	model, err := chatModel(opened, c.name)
	if err != nil {
		return err
	}
	session := &terminalchat.Session{
		Model: model, System: c.system, Params: c.params, Open: c.another, Hello: hello(c.name),
		Say: func(key string, args ...any) string { return say("chat."+key, args...) },
	}
	defer func() { session.Model.Close() }()
	in, out := cmd.InOrStdin(), cmd.OutOrStdout()
	switch {
	case !isTerminal(in) || !isTerminal(out):
		err = terminalchat.Lines(ctx, session, in, out, cmd.ErrOrStderr(), "")
	case os.Getenv("TERM") == "dumb":
		err = terminalchat.Lines(ctx, session, in, out, cmd.ErrOrStderr(), "> ")
	default:
		err = terminalchat.Screen(ctx, session, in, out)
	}
	return unlessInterrupted(ctx, err, "")
}

// hello is what the first screen says of a model, a small one above all.
func hello(name string) string {
	if name != embedded.Chat {
		return ""
	}
	return say("hello.embedded", name)
}

// another opens the model that takes the place of the first.
func (c *chatting) another(ctx context.Context, name string, progress func(done, total int64)) (*terminalchat.Model, error) {
	options := c.options
	options.Adapter = "" // of the first
	options.Progress = func(p wenmo.PullProgress) { progress(p.Done, p.Total) }
	model, err := wenmo.Open(ctx, name, options)
	if err != nil {
		return nil, err
	}
	return chatModel(model, name)
}

// chatModel returns a model to talk with, or says what else it is good for.
func chatModel(m *wenmo.Model, name string) (*terminalchat.Model, error) {
	err := checkTask(m, name, wenmo.TextGeneration)
	if template, broken := m.Template(); err == nil && template == nil && broken == nil {
		err = usagef("error.no_template", name)
	}
	var model *terminalchat.Model
	if err == nil {
		model, err = terminalchat.NewModel(m, name)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return model, nil
}
