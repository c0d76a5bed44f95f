package main

import (
	"cmp"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/bench"
)

func benchMemCommand() *cobra.Command {
	var threads int
	var asJSON bool
	cmd := describe(&cobra.Command{Use: "mem", Args: arguments(0)}, "mem")
	addThreads(cmd, &threads)
	addFlag(cmd, "output", func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, say("flag.mem_json")) })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := interruptible(cmd)
		defer stop()
		result, err := bench.Memory(ctx, cmp.Or(threads, wenmo.DefaultThreads()), repeats)
		if err != nil {
			return unlessInterrupted(ctx, err, "")
		}
		if asJSON {
			return emitJSON(cmd, result)
		}
		return emit(cmd, table([][]string{
			{say("bench.gb_per_s"), runsText(*result.GBS)},
			{say("bench.kernel"), say("bench.kernel_value", result.Kernel, result.Threads)},
		}))
	}
	return cmd
}
