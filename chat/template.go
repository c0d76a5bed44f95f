// Package chat turns conversations into prompts: messages and tools, the chat
// templates that come with models, and the reading of what a model answers
// (reasoning and tool calls).
//
// Chat templates are written in Jinja. The interpreter here is one for them
// alone: Jinja 3.1 as transformers sets it up (immutable sandbox, trim_blocks,
// lstrip_blocks, break and continue, the generation block, tojson as plain
// JSON), with Python's values, and with bounds on the steps, depth, memory and
// output of a template.
package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Template is a parsed chat template. It does not change and may be used by
// many goroutines.
type Template struct {
	name   string
	body   []node
	blocks map[string]*blockStmt
	scope  scope
	slots  int
	self   *ref
	format Format
	limits limits
	marked bool // there is a generation block
}

// Parse reads a chat template. The name is for error messages. Errors are
// *Error.
func Parse(source, name string) (*Template, error) {
	t := &Template{name: name, format: detectFormat(source), limits: defaultLimits}
	err := t.parse(source)
	if err != nil {
		return nil, t.named(err)
	}
	return t, nil
}

// Format returns how answers to this template's prompts are to be read.
func (t *Template) Format() Format { return t.format }

func (t *Template) parse(source string) error {
	if len(source) > maxTemplate {
		return errorf(Limit, "the template has %d bytes, more than %d", len(source), maxTemplate)
	}
	body, p, err := parse(source)
	if err != nil {
		return err
	}
	t.body, t.blocks, t.marked = body, p.blocks, p.generation
	t.scope, t.slots, t.self, err = resolveTemplate(body, p.order)
	return err
}

func (t *Template) named(err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.Template = t.name
	}
	return err
}

// Input is what a template is rendered with.
type Input struct {
	Messages            []Message
	Tools               []*Dict // definitions as the API has them; nil: none
	Documents           []*Dict // for retrieval; nil: none
	AddGenerationPrompt bool
	BOS, EOS            string // texts of these tokens; "" leaves them undefined
	// Kwargs are further variables, such as enable_thinking. Values are what
	// ToValue takes.
	Kwargs map[string]any
	Now    time.Time // for strftime_now
}

// Render returns the prompt. Errors of the template are *Error; one of kind
// Raised is the template's own complaint about the conversation.
func (t *Template) Render(in Input) (string, error) {
	vars, err := t.variables(in)
	if err != nil {
		return "", err
	}
	return t.RenderValues(vars, in.Now)
}

// MarksAnswers reports whether the template marks the assistant's own text,
// by {% generation %} blocks.
func (t *Template) MarksAnswers() bool { return t.marked }

// RenderSpans renders as Render does and returns in spans, as [start, end) in
// bytes of the text, what the template's generation blocks wrote: the
// assistant's own text. It is what transformers' return_assistant_tokens_mask
// goes by. A block that does not write to the text itself (inside a macro, say)
// is an error: its place is not known.
func (t *Template) RenderSpans(in Input) (text string, spans [][2]int, err error) {
	vars, err := t.variables(in)
	if err != nil {
		return "", nil, err
	}
	ip := t.interp(vars, in.Now)
	ip.marks = &marks{text: ip.out}
	if text, err = t.execute(ip); err != nil {
		return "", nil, err
	}
	return text, ip.marks.spans, nil
}

// variables returns what a template is given.
func (t *Template) variables(in Input) (*Dict, error) {
	vars := &Dict{}
	messages := &List{Items: make([]Value, len(in.Messages))}
	for i, m := range in.Messages {
		messages.Items[i] = m.Dict()
	}
	vars.Set("messages", messages)
	vars.Set("tools", dictList(in.Tools))
	vars.Set("documents", dictList(in.Documents))
	vars.Set("add_generation_prompt", in.AddGenerationPrompt)
	for _, tok := range []struct{ name, text string }{{"bos_token", in.BOS}, {"eos_token", in.EOS}} {
		if tok.text != "" {
			vars.Set(tok.name, tok.text)
		}
	}
	for name, x := range in.Kwargs {
		v, err := ToValue(x)
		if err != nil {
			return nil, fmt.Errorf("%s: variable %s: %w", t.name, name, err)
		}
		vars.Set(name, v)
	}
	return vars, nil
}

func dictList(dicts []*Dict) Value {
	if dicts == nil {
		return nil
	}
	l := &List{Items: make([]Value, len(dicts))}
	for i, d := range dicts {
		l.Items[i] = d
	}
	return l
}

// RenderValues renders with exactly the variables of vars, whose values are
// those of ParseJSON.
func (t *Template) RenderValues(vars *Dict, now time.Time) (string, error) {
	return t.execute(t.interp(vars, now))
}

func (t *Template) interp(vars *Dict, now time.Time) *interp {
	ip := &interp{tmpl: t, lib: std, vars: make(map[string]Value, vars.Len()), out: &strings.Builder{}, now: now, limits: t.limits}
	for name, v := range vars.All() {
		ip.vars[name] = v
	}
	ip.out.Grow(4 << 10) // a few turns
	if len(t.blocks) > 0 {
		ip.exported = map[string]Value{}
	}
	return ip
}

func (t *Template) execute(ip *interp) (string, error) {
	a := newActivation(t.slots, nil)
	if t.self != nil {
		*a.at(*t.self) = &selfValue{}
	}
	ip.enterScope(t.scope, a)
	if _, err := ip.run(t.body, a); err != nil {
		return "", t.named(err)
	}
	return ip.out.String(), nil
}

// ToValue converts Go data: nil, bool, integers, floats, strings, Values, and
// slices and string-keyed maps of such, a map in the order of its keys.
func ToValue(x any) (Value, error) { return toValue(x, 0) }

func toValue(x any, depth int) (Value, error) {
	if depth > maxValueDeep {
		return nil, fmt.Errorf("nested more than %d deep", maxValueDeep)
	}
	switch x := x.(type) {
	case nil, bool, int64, float64, string, *List, *Dict:
		return x, nil
	case int:
		return int64(x), nil
	case int32:
		return int64(x), nil
	case float32:
		return float64(x), nil
	case []string:
		l := &List{}
		for _, s := range x {
			l.Items = append(l.Items, s)
		}
		return l, nil
	case []any:
		l := &List{}
		for _, item := range x {
			v, err := toValue(item, depth+1)
			if err != nil {
				return nil, err
			}
			l.Items = append(l.Items, v)
		}
		return l, nil
	case map[string]any:
		d := &Dict{}
		for _, k := range sortedKeys(x) {
			v, err := toValue(x[k], depth+1)
			if err != nil {
				return nil, err
			}
			d.Set(k, v)
		}
		return d, nil
	}
	return nil, fmt.Errorf("a %T cannot be given to a template", x)
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
