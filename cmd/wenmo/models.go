package main

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/internal/progress"
)

func pullCommand() *cobra.Command {
	cmd := describe(&cobra.Command{Use: "pull NAME", Args: arguments(0, "NAME")}, "pull")
	cmd.ValidArgsFunction = completeModels
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := interruptible(cmd)
		defer stop()
		line := progressLine(cmd, say("progress.pull", args[0]), progress.Bytes)
		path, err := wenmo.Pull(ctx, args[0], pullProgress(line))
		line.End()
		if err != nil {
			return unlessInterrupted(ctx, err, say("interrupted.pull"))
		}
		return emit(cmd, path)
	}
	return cmd
}

// listedModel is a model in the output of list --json.
type listedModel struct {
	Name      string     `json:"name"`
	Builtin   bool       `json:"builtin"`
	Commit    string     `json:"commit,omitempty"`
	Revisions []string   `json:"revisions"`
	Path      string     `json:"path,omitempty"`
	Bytes     int64      `json:"bytes"`
	Modified  *time.Time `json:"modified,omitempty"`
	Complete  bool       `json:"complete"`
}

func listCommand() *cobra.Command {
	var asJSON bool
	cmd := describe(&cobra.Command{Use: "list", Args: arguments(0)}, "list")
	addFlag(cmd, "output", func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, say("flag.list_json")) })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		models, broken := wenmo.CachedModels()
		if asJSON {
			return errors.Join(listJSON(cmd, models), broken)
		}
		rows := [][]string{{say("list.name"), say("list.revision"), ">" + say("list.size"), say("list.modified"), ""}}
		for _, b := range wenmo.Builtins() {
			rows = append(rows, []string{b.Name, "", bytesText(int64(len(b.Data))), "", say("list.builtin")})
		}
		for _, m := range models {
			revision := strings.Join(m.Revisions, " ")
			if revision == "" {
				revision = m.Commit[:min(len(m.Commit), 12)]
			}
			state := ""
			if !m.Whole {
				state = say("list.incomplete")
			}
			rows = append(rows, []string{m.Name, revision, bytesText(m.Size), m.Modified.Format("2006-01-02 15:04"), state})
		}
		text := table(rows)
		if len(models) == 0 && broken == nil {
			text += "\n" + say("list.none")
		}
		return errors.Join(emit(cmd, text), broken)
	}
	return cmd
}

func listJSON(cmd *cobra.Command, models []wenmo.CachedModel) error {
	out := []listedModel{}
	for _, b := range wenmo.Builtins() {
		out = append(out, listedModel{Name: b.Name, Builtin: true, Revisions: []string{}, Bytes: int64(len(b.Data)), Complete: true})
	}
	for _, m := range models {
		out = append(out, listedModel{m.Name, false, m.Commit, append([]string{}, m.Revisions...), m.Path, m.Size, &m.Modified, m.Whole})
	}
	return emitJSON(cmd, out)
}

func rmCommand() *cobra.Command {
	cmd := describe(&cobra.Command{Use: "rm NAME", Args: arguments(0, "NAME")}, "rm")
	cmd.ValidArgsFunction = completeModels
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := wenmo.RemoveModel(args[0]); err != nil {
			return err
		}
		return emit(cmd, say("rm.done", args[0]))
	}
	return cmd
}
