package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/bench"
	"wenmo/embedded"
	"wenmo/internal/progress"
)

// repeats is how often a measurement is made.
const repeats = 5

func benchCommand() *cobra.Command {
	m := modelFlags{name: embedded.Chat}
	opt := bench.ModelOptions{Prompt: 512, Generate: 128, Streams: 1, Repeat: repeats}
	var asJSON bool
	cmd := describe(&cobra.Command{Use: "bench [-m MODEL]", Args: subcommandOnly}, "bench")
	m.register(cmd, "auto")
	addFlag(cmd, "input", func(f *pflag.FlagSet) {
		f.VarP(count{&opt.Prompt, 0}, "prompt-tokens", "p", say("flag.bench_prompt"))
		f.VarP(count{&opt.Generate, 0}, "new-tokens", "n", say("flag.bench_new"))
		f.VarP(count{&opt.Depth, 0}, "depth", "d", say("flag.bench_depth"))
		f.VarP(count{&opt.Streams, 1}, "streams", "b", say("flag.bench_streams"))
		f.Var(count{&opt.Repeat, 1}, "repeat", say("flag.repeat"))
	})
	addFlag(cmd, "output", func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, say("flag.bench_json")) })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if opt.Prompt == 0 && opt.Generate == 0 {
			return usagef("error.bench_nothing")
		}
		ctx, stop := interruptible(cmd)
		defer stop()
		opt.Path, opt.Open = m.name, m.options
		opt.Fit = !cmd.Flags().Changed("prompt-tokens") && !cmd.Flags().Changed("new-tokens")
		line := progressLine(cmd, say("progress.bench"), progress.Items)
		result, err := bench.Model(ctx, opt, func(done, total int) { line.Set(int64(done), int64(total)) })
		line.End()
		if err != nil {
			return unlessInterrupted(ctx, err, "")
		}
		if result.Prompt != opt.Prompt {
			note(cmd, "bench.fitted", result.Prompt, result.Generate)
		}
		if asJSON {
			return emitJSON(cmd, result)
		}
		return emit(cmd, benchTable(result))
	}
	cmd.AddCommand(benchGEMMCommand(), benchMemCommand(), benchTrainCommand())
	return cmd
}

func benchTable(r bench.ModelResult) string {
	var rows [][]string
	if r.Prefill != nil {
		rows = append(rows, []string{say("bench.prefill"), runsText(*r.Prefill)})
	}
	if r.Decode != nil {
		rows = append(rows, []string{say("bench.decode"), runsText(*r.Decode)})
	}
	return table(append(rows,
		[]string{say("bench.first"), fmt.Sprintf("%.1f ms", r.FirstTokenMS)},
		[]string{say("bench.load"), fmt.Sprintf("%.0f ms", r.LoadMS)},
		[]string{say("bench.memory"), bytesText(r.PeakRSS)},
		[]string{say("bench.kernel"), say("bench.kernel_value", r.Kernel, r.Threads)}))
}

// runsText writes the median and the range of the runs.
func runsText(r bench.Runs) string {
	low, high := r.Median, r.Median
	for _, v := range r.Runs {
		low, high = min(low, v), max(high, v)
	}
	return fmt.Sprintf("%.1f  (%.1f–%.1f)", r.Median, low, high)
}

func benchGEMMCommand() *cobra.Command {
	dtype, size := "f32", ""
	var threads int
	var asJSON bool
	cmd := describe(&cobra.Command{Use: "gemm --size M,K,N", Args: arguments(0)}, "gemm")
	addChoice(cmd, "model", choice{&dtype, []string{"f32", "bf16", "q8_0", "q4_0", "q4_k", "q6_k"}}, "dtype", say("flag.gemm_dtype"))
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.StringVar(&size, "size", "", say("flag.size")) })
	addThreads(cmd, &threads)
	addFlag(cmd, "output", func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, say("flag.gemm_json")) })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		m, k, n, err := parseSize(size)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(cmd)
		defer stop()
		result, err := bench.GEMM(ctx, dtype, m, k, n, cmp.Or(threads, wenmo.DefaultThreads()), repeats)
		if err != nil {
			return unlessInterrupted(ctx, err, "")
		}
		if asJSON {
			return emitJSON(cmd, result)
		}
		return emit(cmd, table([][]string{
			{say("bench.gflops"), runsText(*result.GFLOPS)},
			{say("bench.kernel"), say("bench.kernel_value", result.Kernel, result.Threads)},
		}))
	}
	return cmd
}

// parseSize reads M,K,N.
func parseSize(text string) (m, k, n int, err error) {
	const greatest, elements = 1 << 20, 1 << 30 // of a number; of all matrices together
	var size [3]int
	parts := strings.Split(text, ",")
	if len(parts) != len(size) {
		return 0, 0, 0, usagef("error.size", text)
	}
	for i, part := range parts {
		size[i], err = strconv.Atoi(strings.TrimSpace(part))
		if err != nil || size[i] < 1 || size[i] > greatest {
			return 0, 0, 0, usagef("error.size", text)
		}
	}
	m, k, n = size[0], size[1], size[2]
	if m*k+k*n+m*n > elements {
		return 0, 0, 0, usagef("error.size_memory", text)
	}
	return m, k, n, nil
}

func benchTrainCommand() *cobra.Command {
	opt := bench.TrainOptions{Shape: "gpt-12m", DType: "f32", Steps: 8}
	var asJSON bool
	cmd := describe(&cobra.Command{Use: "train --shape SHAPE", Args: arguments(0)}, "bench_train")
	addChoice(cmd, "model", choice{&opt.Shape, bench.TrainShapes()}, "shape", say("flag.bench_train_shape"))
	addChoice(cmd, "model", choice{&opt.DType, []string{"f32", "bf16"}}, "dtype", say("flag.train_dtype"))
	addFlag(cmd, "input", func(f *pflag.FlagSet) {
		f.StringVar(&opt.Init, "init", "", say("flag.bench_train_init"))
		f.StringVar(&opt.Batches, "batches", "", say("flag.bench_train_batches"))
		f.Var(count{&opt.Steps, 1}, "steps", say("flag.bench_train_steps"))
		f.BoolVar(&opt.Recompute, "recompute", false, say("flag.recompute"))
	})
	addThreads(cmd, &opt.Threads)
	addFlag(cmd, "output", func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, say("flag.bench_train_json")) })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := interruptible(cmd)
		defer stop()
		opt.Threads = cmp.Or(opt.Threads, wenmo.DefaultThreads())
		line := progressLine(cmd, say("progress.bench"), progress.Items)
		result, err := bench.Train(ctx, opt, func(done, total int) { line.Set(int64(done), int64(total)) })
		line.End()
		if err != nil {
			return unlessInterrupted(ctx, err, "")
		}
		if asJSON {
			return emitJSON(cmd, result)
		}
		n := len(result.Losses)
		return emit(cmd, table([][]string{
			{say("bench.train"), runsText(result.TokensPerSecond)},
			{say("bench.loss"), fmt.Sprintf("%.4f → %.4f", result.Losses[0], result.Losses[n-1])},
			{say("bench.peak"), fmt.Sprintf("%.0f %%", 100*result.PeakFraction)},
			{say("bench.memory"), bytesText(result.PeakRSS)},
			{say("bench.kernel"), say("bench.kernel_value", result.Kernel, result.Threads)},
		}))
	}
	return cmd
}
