package chat

import "strings"

// ToolFormat is how a model writes the calls it asks for.
type ToolFormat int

const (
	// NoTools leaves all text alone.
	NoTools ToolFormat = iota
	// TaggedTools is <tool_call>{"name": …, "arguments": {…}}</tool_call>
	// (Hermes, Qwen and many more).
	TaggedTools
	// MistralTools is [TOOL_CALLS] and then a list of objects, or name[ARGS]{…}.
	MistralTools
	// BareTools is nothing but {"name": …, "parameters": {…}} (Llama 3), several
	// of them parted by semicolons.
	BareTools
)

// Format is what a model's output is made of besides plain text.
type Format struct {
	ThinkStart, ThinkEnd string // around the reasoning; "" if there is none
	Tools                ToolFormat
}

var thinkTags = [][2]string{
	{"<think>", "</think>"},
	{"[THINK]", "[/THINK]"},
	{"<seed:think>", "</seed:think>"},
	{"<|START_THINKING|>", "<|END_THINKING|>"},
	{"<thinking>", "</thinking>"},
	{"<reasoning>", "</reasoning>"},
}

// detectFormat tells the format from what a template writes into prompts.
func detectFormat(source string) Format {
	var f Format
	for _, tags := range thinkTags {
		if strings.Contains(source, tags[1]) {
			f.ThinkStart, f.ThinkEnd = tags[0], tags[1]
			break
		}
	}
	switch {
	case strings.Contains(source, "[TOOL_CALLS]"):
		f.Tools = MistralTools
	case strings.Contains(source, "<tool_call>") && !strings.Contains(source, "<function="):
		f.Tools = TaggedTools
	case strings.Contains(source, `{"name": function name, "parameters"`):
		f.Tools = BareTools
	}
	return f
}

// Output is a part of a model's answer.
type Output struct {
	Reasoning string
	Text      string
	Calls     []ToolCall // without ids unless the model gave them
}

// OutputParser takes an answer apart as it streams. Text that may turn out to
// belong to a tag or a call is held back until that is clear; nothing is lost:
// what is no valid call comes out as text.
type OutputParser struct {
	format Format
	state  outputState
	held   string // read, not given out yet
	space  string // white space that goes unless a tag follows
	trim   bool   // behind a tag: white space goes
	began  bool   // the current part has given out something
}

type outputState int

const (
	atStart outputState = iota
	inReasoning
	inText
	inTagged // behind <tool_call>
	inRest   // a call to the end of the answer
)

const (
	toolStart    = "<tool_call>"
	toolEnd      = "</tool_call>"
	mistralCalls = "[TOOL_CALLS]"
	pythonTag    = "<|python_tag|>"
)

// NewOutputParser starts on the answer to prompt, whose end may have opened the
// reasoning already.
func NewOutputParser(f Format, prompt string) *OutputParser {
	p := &OutputParser{format: f}
	if f.ThinkStart != "" && strings.HasSuffix(strings.TrimRight(prompt, " \n"), f.ThinkStart) {
		p.state = inReasoning
	}
	return p
}

// ParseOutput takes a whole answer apart.
func ParseOutput(f Format, prompt, answer string) Output {
	p := NewOutputParser(f, prompt)
	out := p.Write(answer)
	rest := p.Close()
	return Output{out.Reasoning + rest.Reasoning, out.Text + rest.Text, append(out.Calls, rest.Calls...)}
}

// Write takes the next piece of the answer and returns what is clear by now.
func (p *OutputParser) Write(s string) Output {
	p.held += s
	var out Output
	for p.advance(&out) {
	}
	return out
}

// Close returns what was held back.
func (p *OutputParser) Close() Output {
	var out Output
	switch p.state {
	case inReasoning:
		p.give(&out.Reasoning, p.held)
	case inTagged:
		if call, ok := parseCall(p.held); ok { // the model left the closing tag out
			out.Calls = []ToolCall{call}
		} else {
			p.give(&out.Text, toolStart+p.held)
		}
	case inRest:
		if out.Calls = p.parseRest(); out.Calls == nil {
			p.give(&out.Text, p.held)
		}
	default:
		p.give(&out.Text, p.held)
	}
	if p.state != inReasoning && len(out.Calls) == 0 && !p.trim {
		out.Text += p.space
	}
	p.held, p.space = "", ""
	return out
}

// advance does one step and reports whether there may be another.
func (p *OutputParser) advance(out *Output) bool {
	switch p.state {
	case atStart:
		return p.start()
	case inReasoning:
		before, after, found := strings.Cut(p.held, p.format.ThinkEnd)
		if found {
			p.give(&out.Reasoning, before)
			p.become(inText, after)
			return true
		}
		p.giveSafe(&out.Reasoning, p.format.ThinkEnd)
	case inText:
		return p.text(out)
	case inTagged:
		return p.tagged(out)
	}
	return false
}

// become goes on to another part of the answer.
func (p *OutputParser) become(s outputState, held string) {
	p.state, p.held, p.space, p.trim, p.began = s, held, "", true, false
}

// start decides what the answer begins with.
func (p *OutputParser) start() bool {
	s := strings.TrimLeft(p.held, " \n")
	if s == "" {
		return false
	}
	if tag := p.format.ThinkStart; tag != "" {
		if rest, ok := strings.CutPrefix(s, tag); ok {
			p.become(inReasoning, rest)
			return true
		}
		if strings.HasPrefix(tag, s) {
			return false
		}
	}
	p.state = inText
	return true
}

// text gives out text up to a call.
func (p *OutputParser) text(out *Output) bool {
	switch p.format.Tools {
	case TaggedTools:
		before, after, found := strings.Cut(p.held, toolStart)
		if found {
			p.give(&out.Text, before)
			p.state, p.held = inTagged, after
			return true
		}
		p.giveSafe(&out.Text, toolStart)
	case MistralTools:
		if i := strings.Index(p.held, mistralCalls); i >= 0 {
			p.give(&out.Text, p.held[:i])
			p.state, p.held = inRest, p.held[i:]
			return false
		}
		p.giveSafe(&out.Text, mistralCalls)
	case BareTools:
		s := strings.TrimLeft(p.held, " \n")
		if !p.began && (s == "" || strings.HasPrefix(pythonTag, s)) {
			return false
		}
		if !p.began && (strings.HasPrefix(s, pythonTag) || s[0] == '{') {
			p.state = inRest
			return false
		}
		fallthrough
	default:
		p.give(&out.Text, p.held)
		out.Text += p.space
		p.held, p.space = "", ""
	}
	return false
}

// tagged reads a call up to its closing tag. A tag inside a string of the
// arguments is not the end.
func (p *OutputParser) tagged(out *Output) bool {
	for from := 0; ; {
		i := strings.Index(p.held[from:], toolEnd)
		if i < 0 {
			return false
		}
		from += i
		rest := p.held[from+len(toolEnd):]
		if call, ok := parseCall(p.held[:from]); ok {
			out.Calls = append(out.Calls, call)
			p.become(inText, rest)
			return true
		}
		if strings.Contains(rest, toolStart) || !openString(p.held[:from]) {
			p.give(&out.Text, toolStart+p.held[:from+len(toolEnd)])
			p.state, p.held = inText, rest
			return true
		}
		from += len(toolEnd)
	}
}

// openString reports whether s ends inside a JSON string.
func openString(s string) bool {
	open := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			open = !open
		}
	}
	return open
}

// give appends s to a part, save for the white space at its ends.
func (p *OutputParser) give(part *string, s string) {
	s = p.space + s
	if p.trim {
		s = strings.TrimLeft(s, " \n")
	}
	text := strings.TrimRight(s, " \n")
	p.space = s[len(text):]
	if text != "" {
		p.trim, p.began = false, true
		*part += text
	}
}

// giveSafe gives out what is held, save for an end that may begin tag.
func (p *OutputParser) giveSafe(part *string, tag string) {
	keep := min(len(tag), len(p.held)+1) - 1
	for keep > 0 && !strings.HasSuffix(p.held, tag[:keep]) {
		keep--
	}
	keep = max(keep, 0)
	s := p.held[:len(p.held)-keep]
	p.held = p.held[len(s):]
	p.give(part, s)
}

// parseRest reads the calls that take up the rest of the answer, nil if they
// are none.
func (p *OutputParser) parseRest() []ToolCall {
	s := strings.TrimSpace(p.held)
	if p.format.Tools == MistralTools {
		return parseMistral(s)
	}
	var calls []ToolCall
	for _, part := range strings.Split(strings.TrimPrefix(s, pythonTag), ";") {
		call, ok := parseCall(part)
		if !ok { // perhaps a semicolon inside a string
			if call, ok = parseCall(strings.TrimPrefix(s, pythonTag)); ok {
				return []ToolCall{call}
			}
			return nil
		}
		calls = append(calls, call)
	}
	return calls
}

func parseMistral(s string) []ToolCall {
	var calls []ToolCall
	for _, part := range strings.Split(s, mistralCalls)[1:] {
		name, args, named := strings.Cut(part, "[ARGS]")
		if named {
			call, ok := parseCall(`{"name":"","arguments":` + args + "}")
			if !ok {
				return nil
			}
			call.Name = strings.TrimSpace(name)
			calls = append(calls, call)
			continue
		}
		v, err := ParseJSON([]byte(part))
		l, ok := v.(*List)
		if err != nil || !ok {
			return nil
		}
		for _, item := range l.Items {
			call, ok := callFrom(item)
			if !ok {
				return nil
			}
			calls = append(calls, call)
		}
	}
	return calls
}

func parseCall(s string) (ToolCall, bool) {
	v, err := ParseJSON([]byte(s))
	if err != nil {
		return ToolCall{}, false
	}
	return callFrom(v)
}

func callFrom(v Value) (ToolCall, bool) {
	d, ok := v.(*Dict)
	if !ok {
		return ToolCall{}, false
	}
	name, _ := d.Get("name")
	call := ToolCall{}
	if call.Name, ok = name.(string); !ok {
		return ToolCall{}, false
	}
	id, _ := d.Get("id")
	call.ID = text(id)
	for _, key := range []string{"arguments", "parameters"} {
		if args, ok := d.Get(key); ok {
			call.Arguments = args
			break
		}
	}
	switch call.Arguments.(type) {
	case nil:
		call.Arguments = &Dict{}
	case *Dict, string:
	default:
		return ToolCall{}, false
	}
	return call, true
}

// ArgumentsJSON returns the arguments as JSON text, as OpenAI's API has them.
func (t *ToolCall) ArgumentsJSON() string {
	if s, ok := t.Arguments.(string); ok {
		return s
	}
	b, err := toJSON(t.Arguments)
	if err != nil {
		return "{}"
	}
	return string(b)
}
