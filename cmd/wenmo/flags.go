package main

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// count is a flag that takes whole numbers of at least min.
type count struct {
	value *int
	min   int
}

func (c count) Set(text string) error {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < c.min || n > math.MaxInt32 {
		return errors.New(say("error.count", text, c.min))
	}
	*c.value = n
	return nil
}

func (c count) String() string {
	if c.value == nil {
		return "0"
	}
	return strconv.Itoa(*c.value)
}

func (c count) Type() string { return "N" }

// number is a flag that takes finite numbers.
type number struct{ value *float32 }

func (s number) Set(text string) error {
	x, err := strconv.ParseFloat(strings.TrimSpace(text), 32)
	if err != nil || x-x != 0 {
		return errors.New(say("error.number", text))
	}
	*s.value = float32(x)
	return nil
}

func (s number) String() string {
	if s.value == nil {
		return "0"
	}
	return strconv.FormatFloat(float64(*s.value), 'g', -1, 32)
}

func (s number) Type() string { return "VALUE" }

// choice is a flag that takes one of a few words.
type choice struct {
	value *string
	words []string
}

func (c choice) Set(text string) error {
	if !slices.Contains(c.words, text) {
		return errors.New(say("error.choice", text, strings.Join(c.words, ", ")))
	}
	*c.value = text
	return nil
}

func (c choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c choice) Type() string { return "TYPE" }

// addChoice adds a flag of few words to a set, with the completion of its words.
func addChoice(cmd *cobra.Command, group string, c choice, name, usage string) {
	usage += " (" + strings.Join(c.words, ", ") + ")"
	addFlag(cmd, group, func(f *pflag.FlagSet) { f.Var(c, name, usage) })
	words := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return c.words, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc(name, words); err != nil {
		panic(err) // only when the flag does not exist
	}
}

// idList is a flag that takes ids: 1,2,3.
type idList struct{ ids *[]int32 }

func (l idList) Set(text string) error {
	var ids []int32
	for part := range strings.SplitSeq(text, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
		if err != nil || id < 0 {
			return errors.New(say("error.ids", strings.TrimSpace(part)))
		}
		ids = append(ids, int32(id))
	}
	*l.ids = ids
	return nil
}

func (l idList) String() string {
	if l.ids == nil {
		return ""
	}
	return joinIDs(*l.ids)
}

func (l idList) Type() string { return "IDS" }

func joinIDs(ids []int32) string {
	var b []byte
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return string(b)
}

// flagError puts an error of the flags in the user's language, with the flag
// that may have been meant.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var needs *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return usagef("error.unknown_flag", "-"+unknown.GetSpecifiedName())
		}
		text := say("error.unknown_flag", name)
		if near := nearFlag(cmd, name); near != "" {
			text += "\n" + say("error.did_you_mean", near)
		}
		return &usageError{text}
	case errors.As(err, &needs):
		return usagef("error.needs_value", flagName(needs.GetFlag()))
	case errors.As(err, &invalid):
		cause := invalid.Unwrap()
		if param, ok := invalid.GetFlag().Value.(*paramFlag); ok {
			if rest, ok := strings.CutPrefix(cause.Error(), param.key.Name+" is "); ok {
				return &usageError{flagName(invalid.GetFlag()) + " is " + rest}
			}
		}
		var number *strconv.NumError
		if errors.As(cause, &number) {
			cause = errors.New(say("error.value", number.Num))
		}
		return usagef("error.flag_value", flagName(invalid.GetFlag()), cause)
	}
	return &usageError{err.Error()}
}

func flagName(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand + ", --" + f.Name
	}
	return "--" + f.Name
}

// nearFlag returns the flag of a command whose name is nearest to a wrong one,
// if it is near: underscores for dashes, a letter or two, or the beginning.
func nearFlag(cmd *cobra.Command, name string) string {
	name = strings.ReplaceAll(name, "_", "-")
	best, found := 3, ""
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		known := "--" + f.Name
		d := editDistance(name, known)
		if strings.HasPrefix(known, name) && len(name) > 4 {
			d = min(d, 2)
		}
		if d < best {
			best, found = d, known
		}
	})
	return found
}

// editDistance counts the letters to insert, delete or replace to make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
