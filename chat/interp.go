package chat

import (
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"
)

// interp renders one template once.
type interp struct {
	tmpl       *Template
	lib        *library
	vars       map[string]Value // what the caller gave
	exported   map[string]Value // what the top level set, for blocks
	out        *strings.Builder
	autoescape bool
	now        time.Time
	random     *rand.Rand
	marks      *marks // nil: not asked for

	limits     limits // what is left
	valueDepth int
}

// marks are the places of generation blocks in the text.
type marks struct {
	text   *strings.Builder // the text itself, not what is captured
	spans  [][2]int
	inside bool // a generation block
}

// activation holds the variables of a running funcScope.
type activation struct {
	vars []Value
	up   *activation
}

func newActivation(slots int, up *activation) *activation {
	a := &activation{vars: make([]Value, slots), up: up}
	for i := range a.vars {
		a.vars[i] = missing
	}
	return a
}

func (a *activation) at(r ref) *Value {
	for range r.up {
		a = a.up
	}
	return &a.vars[r.slot]
}

// step counts one node.
func (ip *interp) step() error {
	ip.limits.steps--
	if ip.limits.steps < 0 {
		return errorf(Limit, "the template takes more than %d steps", ip.tmpl.limits.steps)
	}
	return nil
}

// work counts an operation that handles n bytes.
func (ip *interp) work(n int) error {
	ip.limits.steps -= int64(n / 64)
	return ip.step()
}

// walk counts an operation that handles n items.
func (ip *interp) walk(n int) error { return ip.work(4 * n) }

// room fails if n more bytes would be too much. Operations that multiply ask
// before they start.
func (ip *interp) room(n int) error {
	if int64(n) > ip.limits.memory || n < 0 {
		return errorf(Limit, "the template takes more than %d bytes of memory", ip.tmpl.limits.memory)
	}
	return nil
}

// made counts a new value of n bytes.
func (ip *interp) made(n int) error {
	if err := ip.room(n); err != nil {
		return err
	}
	ip.limits.memory -= int64(n)
	return ip.work(n)
}

// result counts what an operation returned.
func (ip *interp) result(v Value, err error) (Value, error) {
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case string:
		err = ip.made(len(v))
	case markup:
		err = ip.made(len(v))
	case *List:
		err = ip.made(16 * len(v.Items))
	case *tuple:
		err = ip.made(16 * len(v.items))
	case *Dict:
		err = ip.made(48 * v.Len())
	}
	return v, err
}

// enter guards nested calls.
func (ip *interp) enter() error {
	ip.limits.depth--
	if ip.limits.depth < 0 {
		return errorf(Limit, "maximum recursion depth exceeded: calls nest more than %d deep", ip.tmpl.limits.depth)
	}
	return nil
}

func (ip *interp) leave() { ip.limits.depth++ }

// enterValue guards walks into nested values.
func (ip *interp) enterValue() error {
	ip.valueDepth++
	if ip.valueDepth > maxValueDeep {
		return errorf(Limit, "a value is nested more than %d deep", maxValueDeep)
	}
	return ip.step()
}

func (ip *interp) leaveValue() { ip.valueDepth-- }

// write appends to the output or to what is being captured.
func (ip *interp) write(s string) error {
	ip.limits.output -= int64(len(s))
	if ip.limits.output < 0 {
		return errorf(Limit, "the template writes more than %d bytes", ip.tmpl.limits.output)
	}
	ip.out.WriteString(s)
	return ip.work(len(s))
}

// capture runs f and returns what it wrote.
func (ip *interp) capture(f func() error) (string, error) {
	outer := ip.out
	ip.out = &strings.Builder{}
	err := f()
	s := ip.out.String()
	ip.out = outer
	if err == nil {
		err = ip.made(len(s))
	}
	return s, err
}

// iterate returns a function that yields v's items and then missing.
func (ip *interp) iterate(v Value) (func() (Value, error), error) {
	if items, ok := sequence(v); ok {
		return ip.iterateItems(items), nil
	}
	switch v := v.(type) {
	case string:
		return ip.iterateText(v), nil
	case markup:
		return ip.iterateText(string(v)), nil
	case *Dict:
		return ip.iterateItems(v.keys), nil
	case *dictView:
		return ip.iterateView(v), nil
	case *rangeValue:
		i := int64(0)
		return func() (Value, error) {
			if i >= v.n {
				return missing, nil
			}
			i++
			return v.at(i - 1), ip.step()
		}, nil
	case *generator:
		return func() (Value, error) { return ip.advance(v) }, nil
	case *undefined:
		return func() (Value, error) { return missing, nil }, nil
	case *loopContext: // goes on with the loop's own items
		return func() (Value, error) {
			item, err := v.advance()
			if err != nil || isMissing(item) {
				return item, err
			}
			return newTuple(item, v), nil
		}, nil
	}
	return nil, typeErrorf("'%s' object is not iterable", typeName(v))
}

func (ip *interp) iterateItems(items []Value) func() (Value, error) {
	i := 0
	return func() (Value, error) {
		if i >= len(items) {
			return missing, nil
		}
		i++
		return items[i-1], ip.step()
	}
}

func (ip *interp) iterateText(s string) func() (Value, error) {
	return func() (Value, error) {
		if s == "" {
			return missing, nil
		}
		_, n := utf8.DecodeRuneInString(s)
		c := s[:n]
		s = s[n:]
		return c, ip.step()
	}
}

func (ip *interp) iterateView(v *dictView) func() (Value, error) {
	switch v.kind {
	case viewKeys:
		return ip.iterateItems(v.d.keys)
	case viewValues:
		return ip.iterateItems(v.d.vals)
	}
	i := 0
	return func() (Value, error) {
		if i >= v.d.Len() {
			return missing, nil
		}
		i++
		return newTuple(v.d.keys[i-1], v.d.vals[i-1]), ip.made(32)
	}
}

// advance yields a generator's next item. A generator that failed is done.
func (ip *interp) advance(g *generator) (Value, error) {
	if g.done {
		return missing, nil
	}
	if err := ip.enter(); err != nil {
		return nil, err
	}
	defer ip.leave()
	if err := ip.step(); err != nil {
		return nil, err
	}
	v, err := g.next()
	g.done = err != nil || isMissing(v)
	return v, err
}

// collect is Python's list(v).
func (ip *interp) collect(v Value) ([]Value, error) {
	if items, ok := sequence(v); ok {
		return items, ip.walk(len(items))
	}
	next, err := ip.iterate(v)
	if err != nil {
		return nil, err
	}
	var items []Value
	for {
		v, err := next()
		if err != nil {
			return nil, err
		}
		if isMissing(v) {
			return items, nil
		}
		if err := ip.made(16); err != nil {
			return nil, err
		}
		items = append(items, v)
	}
}

// generate makes a generator; the name is that of its Python type.
func generate(next func() (Value, error)) *generator {
	return &generator{next: next, kind: "generator"}
}
