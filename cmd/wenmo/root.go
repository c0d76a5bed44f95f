package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRoot builds the command with all its subcommands, in the language chosen.
func newRoot() *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:  "wenmo",
		Args: subcommandOnly,
		RunE: chatAlone,
	}
	describe(root, "root")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.Version = version()
	root.SetVersionTemplate("wenmo {{.Version}}\n")
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { // of --help, after which nothing runs
		if err := printHelp(cmd); err != nil {
			os.Exit(report(cmd, err))
		}
	})
	root.SetUsageFunc(printHelp)
	root.SetFlagErrorFunc(flagError)
	help := helpCommand()
	finish(help) // the one command that cobra adds, later
	root.SetHelpCommand(help)
	for _, group := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{"text", []*cobra.Command{runCommand(), chatCommand(), explainCommand(), logitsCommand(), tokenizerCommand()}},
		{"tasks", []*cobra.Command{classifyCommand(), answerCommand(), tokensCommand(), fillMaskCommand()}},
		{"models", []*cobra.Command{pullCommand(), listCommand(), showCommand(), rmCommand(), createCommand(), convertCommand(), quantizeCommand()}},
		{"training", []*cobra.Command{pretrainCommand(), finetuneCommand()}},
		{"measure", []*cobra.Command{evalCommand(), benchCommand()}},
		{"other", []*cobra.Command{completionCommand(), versionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: group.id, Title: say("group." + group.id)})
		for _, c := range group.commands {
			c.GroupID = group.id
		}
		root.AddCommand(group.commands...)
	}
	finish(root)
	return root
}

// describe gives a command its texts: key.short, key.long and key.example.
func describe(cmd *cobra.Command, key string) *cobra.Command {
	cmd.Short, cmd.Long, cmd.Example = say(key+".short"), say(key+".long"), say(key+".example")
	cmd.DisableFlagsInUseLine = true
	return cmd
}

// finish puts the text of --help and of --version in the user's language, and
// leaves flags in the order of their making.
func finish(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	addFlag(cmd, "other", func(f *pflag.FlagSet) { f.BoolP("help", "h", false, say("flag.help")) })
	if cmd.Version != "" {
		addFlag(cmd, "other", func(f *pflag.FlagSet) { f.Bool("version", false, say("flag.version")) })
	}
	for _, c := range cmd.Commands() {
		finish(c)
	}
}

// parent makes a command that only has subcommands: alone it prints its help.
func parent(name string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:  name,
		Args: subcommandOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return printHelp(cmd) },
	}
	cmd.AddCommand(commands...)
	return describe(cmd, name)
}

// subcommandOnly is the check of a command that takes no arguments of its own:
// one would be a misspelt subcommand.
func subcommandOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := say("error.unknown_command", args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += "\n" + say("error.did_you_mean", strings.Join(near, say("list.or")))
	}
	return &usageError{text}
}

// arguments checks that as many are given as names, of which the last
// optional ones may be missing.
func arguments(optional int, names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names)-optional {
			return usagef("error.missing", names[len(args)])
		}
		if len(args) > len(names) {
			return usagef("error.too_many", fmt.Sprintf("%q", args[len(names)]))
		}
		return nil
	}
}

func helpCommand() *cobra.Command {
	return describe(&cobra.Command{
		Use: "help [COMMAND]",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || found == nil {
				return usagef("error.unknown_command", strings.Join(args, " "))
			}
			if len(rest) > 0 {
				return subcommandOnly(found, rest)
			}
			return printHelp(found)
		},
	}, "help")
}
