package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version that a release's build sets by the linker.
var release string

// version is the release, else the commit that Go noted in the binary.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func versionCommand() *cobra.Command {
	cmd := describe(&cobra.Command{Use: "version", Args: arguments(0)}, "version")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return emit(cmd, "wenmo "+version()+" "+runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)
	}
	return cmd
}

func completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	cmd := describe(&cobra.Command{Use: "completion bash|zsh|fish|powershell", ValidArgs: shells, Args: arguments(0, "SHELL")}, "completion")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root, out := cmd.Root(), cmd.OutOrStdout()
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(out, true)
		case "zsh":
			return root.GenZshCompletion(out)
		case "fish":
			return root.GenFishCompletion(out, true)
		case "powershell":
			return root.GenPowerShellCompletionWithDesc(out)
		}
		return usagef("error.shell", args[0])
	}
	return cmd
}
