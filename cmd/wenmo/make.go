package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/internal/progress"
)

// written runs a work that writes dst, with its progress on a line, and tells
// what became of it: the text of done.
func written(cmd *cobra.Command, key, done, dst string, work func(ctx context.Context, progress func(done, total int64)) error) error {
	ctx, stop := interruptible(cmd)
	defer stop()
	line := progressLine(cmd, say("progress."+key, dst), progress.Bytes)
	err := work(ctx, line.Set)
	line.End()
	if err == nil {
		return emit(cmd, say(done, dst))
	}
	return unlessInterrupted(ctx, err, say("interrupted.nothing", dst))
}

func createCommand() *cobra.Command {
	var opt wenmo.CreateOptions
	opt.DType = "f32"
	cmd := describe(&cobra.Command{Use: "create --shape SHAPE DIR", Args: arguments(0, "DIR")}, "create")
	addChoice(cmd, "model", choice{&opt.Shape, wenmo.Shapes()}, "shape", say("flag.shape"))
	addChoice(cmd, "model", choice{&opt.DType, []string{"f32", "bf16"}}, "dtype", say("flag.create_dtype"))
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.Uint64Var(&opt.Seed, "seed", 0, say("flag.create_seed")) })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if opt.Shape == "" {
			return usagef("error.missing_choice", "--shape", strings.Join(wenmo.Shapes(), ", "))
		}
		return written(cmd, "create", createdKey(opt.Shape), args[0], func(ctx context.Context, progress func(done, total int64)) error {
			size := map[string]int64{"f32": 4, "bf16": 2}[opt.DType]
			opt.Progress = func(done, total int64) { progress(size*done, size*total) } // of parameters
			return wenmo.Create(ctx, args[0], opt)
		})
	}
	return cmd
}

// createdKey names the text that tells of a new model: what it is good for.
func createdKey(shape string) string {
	encoder := func(prefix string) bool { return strings.HasPrefix(shape, prefix) }
	if slices.ContainsFunc([]string{"bert", "mlm", "classify"}, encoder) {
		return "create.done_encoder"
	}
	return "create.done"
}

func convertCommand() *cobra.Command {
	opt := wenmo.ConvertOptions{DType: "auto"}
	cmd := describe(&cobra.Command{Use: "convert SRC DST", Args: arguments(0, "SRC", "DST")}, "convert")
	addChoice(cmd, "model", choice{&opt.DType, []string{"auto", "f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_m"}}, "dtype", say("flag.convert_dtype"))
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.StringVar(&opt.Adapter, "adapter", "", say("flag.merge")) })
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.BoolVar(&opt.Packed, "packed", false, say("flag.packed")) })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return written(cmd, "convert", "convert.done", args[1], func(ctx context.Context, progress func(done, total int64)) error {
			opt.Progress, opt.Left = progress, tellLeft(cmd, args[1])
			return wenmo.Convert(ctx, args[0], args[1], opt)
		})
	}
	return cmd
}

// tellLeft tells of the parts of a model that its new form lacks.
func tellLeft(cmd *cobra.Command, dst string) func(parts []string) {
	return func(parts []string) { note(cmd, "convert.left", dst, strings.Join(parts, ", ")) }
}

func quantizeCommand() *cobra.Command {
	var typ string
	types := []string{"q8_0", "q4_0", "q4_k_m"}
	cmd := describe(&cobra.Command{Use: "quantize SRC DST.gguf --type TYPE", Args: arguments(0, "SRC", "DST.gguf")}, "quantize")
	addChoice(cmd, "model", choice{&typ, types}, "type", say("flag.quantize_type"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if typ == "" {
			return usagef("error.missing_choice", "--type", strings.Join(types, ", "))
		}
		return written(cmd, "quantize", "quantize.done", args[1], func(ctx context.Context, progress func(done, total int64)) error {
			opt := wenmo.ConvertOptions{DType: typ, Progress: progress, Left: tellLeft(cmd, args[1])}
			return wenmo.Convert(ctx, args[0], args[1], opt)
		})
	}
	return cmd
}
