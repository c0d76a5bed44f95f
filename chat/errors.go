package chat

import "fmt"

// ErrorKind says why a template failed.
type ErrorKind int

const (
	// Runtime is an operation that its operands do not support.
	Runtime ErrorKind = iota
	// Syntax is a template that cannot be parsed.
	Syntax
	// Raised is a call of raise_exception: Message is the template's own text,
	// usually about the conversation it was given.
	Raised
	// Undefined is the use of a variable, key or attribute that is not there.
	Undefined
	// Security is access to what the sandbox closes off.
	Security
	// Limit is a template that asks for more steps, depth, memory or output
	// than a chat template may have.
	Limit
)

// Error is a template that could not be parsed or rendered.
type Error struct {
	Template string // name given to Parse
	Line     int    // 1-based; 0 if unknown
	Kind     ErrorKind
	Message  string
}

func (e *Error) Error() string {
	name := e.Template
	if name == "" {
		name = "chat template"
	}
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", name, e.Message)
	}
	return fmt.Sprintf("%s:%d: %s", name, e.Line, e.Message)
}

func errorf(kind ErrorKind, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

func typeErrorf(format string, args ...any) error { return errorf(Runtime, format, args...) }

// at gives err the line where it happened, unless an inner node did already.
func at(err error, line int) error {
	if e, ok := err.(*Error); ok && e.Line == 0 {
		e.Line = line
	}
	return err
}

// limits bound what one rendering may use, so that a hostile template ends in
// an error. Real templates stay below a thousandth of each.
type limits struct {
	steps  int64 // nodes evaluated, plus one for each 64 bytes or 16 items handled
	memory int64 // bytes of all values made, freed or not
	output int64 // bytes written, captured text included
	depth  int   // macro calls, recursive loops, lazy filters and values, nested
}

var defaultLimits = limits{steps: 10_000_000, memory: 256 << 20, output: 16 << 20, depth: 200}

const (
	maxTemplate  = 1 << 20 // bytes of source; real ones have up to 30,000
	maxTreeDepth = 500     // nested nodes of the syntax tree
	maxNest      = 150     // nested blocks or parentheses while parsing
	maxRange     = 100_000 // items of range(), as Jinja's sandbox
	maxIntBits   = 1 << 16
	maxValueDeep = 500 // nested lists and dicts of one value
)
