package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// flagGroups are the headings under which flags stand in a help text.
var flagGroups = []string{"input", "model", "output", "generation", "other"}

// groupKey is the annotation of a flag that names its group.
const groupKey = "group"

// addFlag adds the flags that add defines to a command, in a group of its help.
func addFlag(cmd *cobra.Command, group string, add func(f *pflag.FlagSet)) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.SortFlags = false
	add(set)
	set.VisitAll(func(f *pflag.Flag) {
		f.Annotations = map[string][]string{groupKey: {group}}
		if !slices.Contains([]string{"", "0", "[]", "false"}, f.DefValue) {
			f.Usage += say("help.default", f.DefValue)
			f.DefValue = "" // or it would be told once more, in English
		}
		cmd.Flags().AddFlag(f)
	})
}

// printHelp prints what a command does, how it is used, examples, its
// subcommands and its flags.
func printHelp(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n%s\n", cmd.Long, say("help.usage"), indent(useLines(cmd)))
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\n%s\n%s\n", say("help.examples"), indent(cmd.Example))
	}
	helpCommands(&b, cmd)
	helpFlags(&b, cmd)
	if !cmd.HasParent() {
		fmt.Fprintf(&b, "\n%s\n", say("help.footer"))
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// useLines are the forms of a command: with arguments, with subcommands.
func useLines(cmd *cobra.Command) string {
	var lines []string
	if !cmd.HasAvailableSubCommands() || strings.Contains(cmd.Use, " ") {
		lines = append(lines, cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		lines = append(lines, cmd.CommandPath()+say("help.subcommand"))
	}
	return strings.Join(lines, "\n")
}

func helpCommands(b *strings.Builder, cmd *cobra.Command) {
	width := 0
	for _, c := range cmd.Commands() {
		width = max(width, len(c.Name()))
	}
	list := func(title, group string) {
		fmt.Fprintf(b, "\n%s\n", title)
		for _, c := range cmd.Commands() {
			if c.GroupID == group && c.IsAvailableCommand() {
				fmt.Fprintf(b, "  %-*s  %s\n", width, c.Name(), c.Short)
			}
		}
	}
	for _, g := range cmd.Groups() {
		list(g.Title, g.ID)
	}
	if len(cmd.Groups()) == 0 && cmd.HasAvailableSubCommands() {
		list(say("help.commands"), "")
	}
}

func helpFlags(b *strings.Builder, cmd *cobra.Command) {
	groups := map[string]*pflag.FlagSet{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "other"
		if group := f.Annotations[groupKey]; len(group) > 0 {
			name = group[0]
		}
		if groups[name] == nil {
			groups[name] = pflag.NewFlagSet("", pflag.ContinueOnError)
			groups[name].SortFlags = false
		}
		groups[name].AddFlag(f)
	})
	for _, name := range flagGroups {
		if set := groups[name]; set != nil {
			fmt.Fprintf(b, "\n%s\n%s", say("flags."+name), set.FlagUsagesWrapped(helpWidth()))
		}
	}
}

// helpWidth is the column at which help is wrapped; 0 leaves that to the
// terminal, as Chinese needs, where a line breaks anywhere.
func helpWidth() int {
	if say("help.wrap") == "" {
		return 0
	}
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 100
	}
	return max(60, min(width, 120))
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}
