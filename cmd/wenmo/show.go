package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
			rows := make([][]string, len(config))
			for i, v := range config {
				rows[i] = []string{progress.Tame(v.key), plainValue(v.value)}
			}
			parts = append(parts, say("show.config")+"\n"+indent(table(rows)))
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

// configValue is a value of a config.
type configValue struct {
	key   string
	value any
}

// configOf returns the values of config.json or of a GGUF file's metadata; of a
// packed one those of the config that it keeps. Nothing requires a config to be
// there.
func configOf(r wenmo.Report) ([]configValue, error) {
	var rows []configValue
	if r.Format == "gguf" {
		settings, err := r.Settings()
		if err != nil {
			return nil, err
		}
		for _, kv := range settings {
			if kv.Value != nil {
				rows = append(rows, configValue{kv.Key, kv.Value})
			}
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
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if config[key] != nil {
			rows = append(rows, configValue{key, config[key]})
		}
	}
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

// longList is the length of what is no setting any more, but a vocabulary.
const longList = 1000

// showJSON prints the report of show --json, without vocabularies.
func showJSON(cmd *cobra.Command, r wenmo.Report, config []configValue) error {
	type tensor struct {
		Name  string `json:"name"`
		DType string `json:"dtype"`
		Shape []int  `json:"shape"`
		Bytes int    `json:"bytes"`
	}
	out := struct {
		Path       string         `json:"path"`
		Format     string         `json:"format"`
		Files      []string       `json:"files"`
		Bytes      int            `json:"bytes"`
		Parameters int            `json:"parameters"`
		Config     map[string]any `json:"config"`
		Tensors    []tensor       `json:"tensors"`
	}{Path: r.Path, Format: r.Format, Files: r.Files, Bytes: r.Bytes, Parameters: r.Parameters, Config: map[string]any{}}
	for _, v := range config {
		if list := reflect.ValueOf(v.value); list.Kind() != reflect.Slice || list.Len() < longList {
			out.Config[v.key] = v.value
		}
	}
	for _, t := range r.Tensors {
		out.Tensors = append(out.Tensors, tensor{t.Name, t.DType.String(), append([]int{}, t.Shape...), t.Bytes})
	}
	return emitJSON(cmd, out)
}
