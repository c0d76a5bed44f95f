package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/internal/progress"
	"wenmo/internal/readfile"
)

func showCommand() *cobra.Command {
	var tensors, asJSON bool
	cmd := describe(&cobra.Command{Use: "show MODEL", Args: arguments(0, "MODEL")}, "show")
	cmd.ValidArgsFunction = completeModels
	addFlag(cmd, "output", func(f *pflag.FlagSet) {
		f.BoolVar(&tensors, "tensors", false, say("flag.tensors"))
		f.BoolVar(&asJSON, "json", false, say("flag.show_json"))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		report, err := wenmo.Check(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		config, err := configOf(report)
		if err != nil {
			return err
		}
		if asJSON {
			return showJSON(cmd, report, config)
		}
		parts := []string{showFiles(report)}
		if len(config) > 0 {
			parts = append(parts, say("show.config")+"\n"+indent(table(config)))
		}
		parts = append(parts, showTypes(report))
		if tensors {
			parts = append(parts, showTensors(report))
		}
		return emit(cmd, strings.Join(parts, "\n\n"))
	}
	return cmd
}

func showFiles(r wenmo.Report) string {
	rows := [][]string{
		{say("show.path"), r.Path},
		{say("show.format"), r.Format},
		{say("show.size"), bytesText(int64(r.Bytes))},
		{say("show.parameters"), countText(int64(r.Parameters))},
	}
	if len(r.Files) > 1 {
		rows = append(rows, []string{say("show.files"), fmt.Sprint(len(r.Files))})
	}
	return table(rows)
}

// showTypes sums up the tensors by type: after quantizing, the types that a
// row's length forced show here.
func showTypes(r wenmo.Report) string {
	rows := [][]string{{say("show.type"), ">" + say("show.tensors"), ">" + say("show.parameters"), ">" + say("show.size")}}
	for _, t := range r.ByDType {
		rows = append(rows, []string{t.DType.String(), fmt.Sprint(t.Tensors), countText(int64(t.Parameters)), bytesText(int64(t.Bytes))})
	}
	return table(rows)
}

func showTensors(r wenmo.Report) string {
	rows := [][]string{{say("show.tensor"), say("show.type"), say("show.shape"), ">" + say("show.size")}}
	for _, t := range r.Tensors {
		rows = append(rows, []string{progress.Tame(t.Name), t.DType.String(), fmt.Sprint(t.Shape), bytesText(int64(t.Bytes))})
	}
	return table(rows)
}

// configOf returns the plain values of config.json or of a GGUF file's
// metadata, as rows of two. Nothing requires a config to be there.
func configOf(r wenmo.Report) ([][]string, error) {
	var rows [][]string
	if r.Format == "gguf" {
		for _, kv := range r.Metadata {
			rows = append(rows, []string{progress.Tame(kv.Key), plainValue(kv.Value)})
		}
		return rows, nil
	}
	name := filepath.Join(folderOf(r), "config.json")
	data, err := readfile.Regular(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for key, value := range config {
		if value != nil {
			rows = append(rows, []string{progress.Tame(key), plainValue(value)})
		}
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return rows, nil
}

// folderOf returns the directory that a checkpoint lies in.
func folderOf(r wenmo.Report) string {
	if info, err := os.Stat(r.Path); err == nil && !info.IsDir() {
		return filepath.Dir(r.Path)
	}
	return r.Path
}

// plainValue writes a value of a config on one line; long ones are cut short.
func plainValue(v any) string {
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice && list.Len() > 8 {
		return say("show.values", list.Len())
	}
	text := fmt.Sprint(v)
	if list, ok := v.([]any); ok && len(list) == 1 {
		text = fmt.Sprint(list[0])
	}
	if f, ok := v.(float64); ok {
		text = fmt.Sprint(json.Number(fmt.Sprintf("%g", f)))
		if f == float64(int64(f)) {
			text = fmt.Sprint(int64(f))
		}
	}
	text = progress.Tame(strings.Join(strings.Fields(text), " "))
	if r := []rune(text); len(r) > 80 {
		text = string(r[:79]) + "…"
	}
	return text
}

// showJSON prints the report of show --json.
func showJSON(cmd *cobra.Command, r wenmo.Report, config [][]string) error {
	type tensor struct {
		Name  string `json:"name"`
		DType string `json:"dtype"`
		Shape []int  `json:"shape"`
		Bytes int    `json:"bytes"`
	}
	out := struct {
		Path       string            `json:"path"`
		Format     string            `json:"format"`
		Files      []string          `json:"files"`
		Bytes      int               `json:"bytes"`
		Parameters int               `json:"parameters"`
		Config     map[string]string `json:"config"`
		Tensors    []tensor          `json:"tensors"`
	}{Path: r.Path, Format: r.Format, Files: r.Files, Bytes: r.Bytes, Parameters: r.Parameters, Config: map[string]string{}}
	for _, row := range config {
		out.Config[row[0]] = row[1]
	}
	for _, t := range r.Tensors {
		out.Tensors = append(out.Tensors, tensor{t.Name, t.DType.String(), append([]int{}, t.Shape...), t.Bytes})
	}
	return emitJSON(cmd, out)
}
