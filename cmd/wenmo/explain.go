package main

import (
	"bufio"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo/embedded"
	"wenmo/explain"
	"wenmo/internal/atomicfile"
)

// explainFlags are the flags of explain.
type explainFlags struct {
	modelFlags
	layer, head, topK int
	html              string
	json              bool
}

func explainCommand() *cobra.Command {
	f := explainFlags{modelFlags: modelFlags{name: embedded.Chat}, topK: 5}
	cmd := describe(&cobra.Command{Use: "explain [-m MODEL] [TEXT]", Args: arguments(1, "TEXT")}, "explain")
	f.register(cmd, "f32")
	f.options.Pull = true
	addFlag(cmd, "output", func(set *pflag.FlagSet) {
		set.Var(count{&f.topK, 1}, "top-k", say("flag.explain_top_k"))
		set.Var(count{&f.layer, 0}, "layer", say("flag.explain_layer"))
		set.Var(count{&f.head, 0}, "head", say("flag.explain_head"))
		set.StringVar(&f.html, "html", "", say("flag.explain_html"))
		set.BoolVar(&f.json, "json", false, say("flag.explain_json"))
	})
	cmd.RunE = f.run
	return cmd
}

func (f *explainFlags) run(cmd *cobra.Command, args []string) error {
	if f.topK > explain.MaxCandidates {
		return usagef("error.explain_top_k", f.topK, explain.MaxCandidates)
	}
	p := prompt{}
	if err := p.read(cmd, args); err != nil {
		return err
	}
	if p.text == "" {
		return usagef("error.no_text")
	}
	ctx, stop := interruptible(cmd)
	defer stop()
	model, err := f.open(ctx, cmd)
	if err != nil {
		return err
	}
	defer model.Close()
	e, err := explain.Text(ctx, model, f.name, p.text, f.topK)
	if err != nil {
		return unlessInterrupted(ctx, err, "")
	}
	if err := f.choose(cmd, e); err != nil {
		return err
	}
	if f.html != "" {
		err := atomicfile.Write(f.html, func(w io.Writer) error { return e.HTML(w, language(), f.layer, f.head) })
		if err != nil {
			return err
		}
		defer note(cmd, "explain.page", f.html)
	}
	if f.json {
		return explainJSON(cmd.OutOrStdout(), e)
	}
	return emit(cmd, f.text(cmd.OutOrStdout(), e))
}

// choose checks --layer and --head; without them they are the last layer and the
// mean of its heads.
func (f *explainFlags) choose(cmd *cobra.Command, e *explain.Explanation) error {
	last := len(e.Attentions) - 1
	if !cmd.Flags().Changed("layer") {
		f.layer = last
	} else if f.layer > last {
		return usagef("error.explain_layer", f.layer, last)
	}
	if last = len(e.Attentions[f.layer]) - 1; !cmd.Flags().Changed("head") {
		f.head = explain.Mean
	} else if f.head > last {
		return usagef("error.explain_head", f.head, f.layer, last)
	}
	return nil
}

// explainJSON prints the fields of an explanation and its "attentions". It writes
// a head at a time: the text of all would take many times the memory of the
// numbers.
func explainJSON(out io.Writer, e *explain.Explanation) error {
	text, err := lineJSON(e)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	_, _ = w.Write(text[:len(text)-1]) // a failure is Flush's
	_, _ = w.WriteString(`,"attentions":[`)
	for l, heads := range e.Attentions {
		_, _ = w.WriteString([]string{"[", ",["}[min(l, 1)])
		for h, shares := range heads {
			_, _ = w.WriteString([]string{"", ","}[min(h, 1)])
			err = errors.Join(err, writeList(w, shares))
		}
		_ = w.WriteByte(']')
	}
	_, _ = w.WriteString("]}\n")
	return errors.Join(err, w.Flush())
}
