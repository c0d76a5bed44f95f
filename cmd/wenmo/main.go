// Command wenmo runs Transformer language models: it continues texts, gets,
// makes, converts and measures models. It turns flags into calls of package
// wenmo and prints what comes back.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"wenmo/internal/progress"
)

// The exit codes.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() { os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// execute runs the command line and returns the exit code.
func execute(args []string, in io.Reader, out, errOut io.Writer) int {
	tongue = chooseTongue(os.Getenv)
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(context.Background())
	return report(cmd, err)
}

// report tells of an error in the user's language and returns the exit code.
func report(cmd *cobra.Command, err error) int {
	w := cmd.ErrOrStderr()
	var usage *usageError
	var interrupted *interruptedError
	switch {
	case err == nil || closedPipe(err):
		return exitOK
	case errors.As(err, &interrupted):
		if interrupted.note != "" {
			fmt.Fprintln(w, interrupted.note)
		}
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintln(w, say("error.frame", cmd.CommandPath(), legible(usage.text)))
		if cmd.Name() == "help" {
			cmd = cmd.Root()
		}
		fmt.Fprintln(w, say("error.see_help", cmd.CommandPath()))
		return exitUsage
	}
	fmt.Fprintln(w, say("error.frame", cmd.CommandPath(), legible(err.Error())))
	return exitError
}

// legible makes the text of an error fit for a terminal: names in foreign files
// may have megabytes, and control characters. The middle of a long text goes.
func legible(text string) string {
	const head, tail = 3000, 1000
	if len(text) > head+tail {
		text = strings.ToValidUTF8(text[:head], "") + " … " + strings.ToValidUTF8(text[len(text)-tail:], "")
	}
	return progress.Tame(text)
}

// usageError is a command line that cannot be meant; the text is in the user's
// language.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(key string, args ...any) error { return &usageError{say(key, args...)} }

// interruptedError is the end by Ctrl-C, with a note on how to go on.
type interruptedError struct{ note string }

func (e *interruptedError) Error() string { return e.note }

// interruptible returns a context that Ctrl-C ends. A second Ctrl-C ends the
// program at once.
func interruptible(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// unlessInterrupted replaces the error of a work that Ctrl-C ended by the note
// of how to go on.
func unlessInterrupted(ctx context.Context, err error, note string) error {
	if err != nil && ctx.Err() != nil {
		return &interruptedError{note}
	}
	return err
}
