package chat

import (
	"slices"
	"strings"
)

// arguments of a call: positional, then by name.
type arguments struct {
	pos   []Value
	names []string
	vals  []Value
}

// with puts x before the positional arguments.
func (a arguments) with(x Value) arguments {
	pos := make([]Value, 0, len(a.pos)+1)
	a.pos = append(append(pos, x), a.pos...)
	return a
}

// take removes the keyword argument name and returns it, or missing.
func (a *arguments) take(name string) Value {
	i := slices.Index(a.names, name)
	if i < 0 {
		return missing
	}
	v := a.vals[i]
	a.names = slices.Delete(slices.Clone(a.names), i, i+1)
	a.vals = slices.Delete(slices.Clone(a.vals), i, i+1)
	return v
}

// textSize is the length of all strings among the arguments: what a builtin
// may read.
func (a arguments) textSize() int {
	n := 0
	for _, vals := range [][]Value{a.pos, a.vals} {
		for _, v := range vals {
			s, _ := asString(v)
			n += len(s)
		}
	}
	return n
}

func addKeyword(names []string, name string) ([]string, error) {
	if slices.Contains(names, name) {
		return nil, typeErrorf("got multiple values for keyword argument '%s'", name)
	}
	return append(slices.Clip(names), name), nil
}

func (ip *interp) arguments(n *callArgs, a *activation) (arguments, error) {
	var args arguments
	var err error
	if len(n.pos) > 0 {
		if args.pos, err = ip.evalAll(n.pos, a); err != nil {
			return args, err
		}
	}
	if len(n.vals) > 0 {
		args.names = n.names
		if args.vals, err = ip.evalAll(n.vals, a); err != nil {
			return args, err
		}
	}
	if n.star != nil {
		v, err := ip.eval(n.star, a)
		if err != nil {
			return args, err
		}
		more, err := ip.collect(v)
		if err != nil {
			return args, err
		}
		args.pos = slices.Concat(args.pos, more)
	}
	if n.doubleStar != nil {
		return args, ip.spread(&args, n.doubleStar, a)
	}
	return args, nil
}

// spread adds **x to the keyword arguments.
func (ip *interp) spread(args *arguments, n node, a *activation) error {
	v, err := ip.eval(n, a)
	if err != nil {
		return err
	}
	d, ok := v.(*Dict)
	if !ok {
		return typeErrorf("argument after ** must be a mapping, not %s", typeName(v))
	}
	args.vals = slices.Clone(args.vals)
	for i, k := range d.keys {
		name, ok := asString(k)
		if !ok {
			return typeErrorf("keywords must be strings")
		}
		if args.names, err = addKeyword(args.names, name); err != nil {
			return err
		}
		args.vals = append(args.vals, d.vals[i])
	}
	return ip.walk(len(d.keys))
}

// builtin is a filter, test, function or method. fn gets the arguments by
// parameter, missing where one was not given; raw gets them as they were.
type builtin struct {
	name    string
	params  []string
	min     int  // arguments that must be given
	posOnly bool // arguments cannot be given by name
	fn      func(*call) (Value, error)
	raw     func(*interp, arguments) (Value, error)
}

// def makes a builtin from a signature such as "truncate(s, length?, end?)",
// with ? behind what may be left out, and / as in Python: what stands before it
// cannot be given by name.
func def(signature string, fn func(*call) (Value, error)) *builtin {
	name, params, _ := strings.Cut(strings.TrimSuffix(signature, ")"), "(")
	b := &builtin{name: name, fn: fn}
	for _, p := range strings.FieldsFunc(params, func(r rune) bool { return r == ',' || r == ' ' }) {
		if p == "/" {
			b.posOnly = true
			continue
		}
		p, optional := strings.CutSuffix(p, "?")
		b.params = append(b.params, p)
		if !optional {
			b.min++
		}
	}
	return b
}

func rawDef(name string, fn func(*interp, arguments) (Value, error)) *builtin {
	return &builtin{name: name, raw: fn}
}

func table(defs ...*builtin) map[string]*builtin {
	t := make(map[string]*builtin, len(defs))
	for _, b := range defs {
		t[b.name] = b
	}
	return t
}

// alias adds another name for a builtin.
func alias(t map[string]*builtin, names ...string) map[string]*builtin {
	for i := 0; i < len(names); i += 2 {
		t[names[i]] = t[names[i+1]]
	}
	return t
}

// boundMethod is a method taken from a value.
type boundMethod struct {
	recv   Value
	method *builtin
}

// call is what a builtin works on: its arguments by parameter. Reading one of
// the wrong type sets err, which the builtin returns at the end.
type call struct {
	ip   *interp
	name string
	args []Value
	err  error
}

func (ip *interp) invoke(b *builtin, args arguments) (Value, error) {
	if err := ip.work(args.textSize()); err != nil {
		return nil, err
	}
	if b.raw != nil {
		return ip.result(b.raw(ip, args))
	}
	vals, err := b.bind(args)
	if err != nil {
		return nil, err
	}
	c := &call{ip: ip, name: b.name, args: vals}
	v, err := b.fn(c)
	if c.err != nil {
		err = c.err
	}
	return ip.result(v, err)
}

func (b *builtin) bind(args arguments) ([]Value, error) {
	if len(args.pos) > len(b.params) {
		return nil, typeErrorf("%s() takes at most %d arguments (%d given)", b.name, len(b.params), len(args.pos))
	}
	vals := make([]Value, len(b.params))
	n := copy(vals, args.pos)
	for i := n; i < len(vals); i++ {
		vals[i] = missing
	}
	for i, name := range args.names {
		p := slices.Index(b.params, name)
		if p < 0 || b.posOnly {
			return nil, typeErrorf("%s() got an unexpected keyword argument '%s'", b.name, name)
		}
		if !isMissing(vals[p]) {
			return nil, typeErrorf("%s() got multiple values for argument '%s'", b.name, name)
		}
		vals[p] = args.vals[i]
	}
	for i := range b.min {
		if isMissing(vals[i]) {
			return nil, typeErrorf("%s() missing required argument: '%s'", b.name, b.params[i])
		}
	}
	return vals, nil
}

func (c *call) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *call) has(i int) bool { return !isMissing(c.args[i]) }

// given reports whether argument i is there and not None.
func (c *call) given(i int) bool { return c.has(i) && c.args[i] != nil }

// text is Jinja's soft_str of argument i.
func (c *call) text(i int) string {
	if s, ok := asString(c.args[i]); ok {
		return s
	}
	s, err := c.ip.str(c.args[i])
	if err != nil {
		c.fail(err)
	}
	return s
}

// str is argument i, which must be a string.
func (c *call) str(i int) string {
	s, ok := asString(c.args[i])
	if !ok {
		c.wrongType(i, "str")
	}
	return s
}

func (c *call) wrongType(i int, want string) {
	if u, ok := c.args[i].(*undefined); ok {
		c.fail(u.fail())
		return
	}
	c.fail(typeErrorf("%s(): argument %d must be %s, not %s", c.name, i, want, typeName(c.args[i])))
}

// int is argument i as an integer, def if it is not given.
func (c *call) int(i int, def int64) int64 {
	if !c.has(i) {
		return def
	}
	n, ok := integer(c.args[i])
	if !ok {
		c.wrongType(i, "int")
	}
	return n
}

func (c *call) bool(i int, def bool) bool {
	if !c.has(i) {
		return def
	}
	return truth(c.args[i])
}

// items is list(argument i).
func (c *call) items(i int) []Value {
	items, err := c.ip.collect(c.args[i])
	if err != nil {
		c.fail(err)
	}
	return items
}

// call calls any callable value.
func (ip *interp) call(fn Value, args arguments) (Value, error) {
	switch f := fn.(type) {
	case *macro:
		return ip.callMacro(f, args)
	case *boundMethod:
		return ip.invoke(f.method, args.with(f.recv))
	case *builtin:
		return ip.invoke(f, args)
	case *loopContext:
		return ip.callLoop(f, args)
	case *joiner:
		if f.used {
			return f.sep, nil
		}
		f.used = true
		return "", nil
	case *blockRef:
		s, err := ip.capture(func() error { return ip.runBlock(f.block) })
		if ip.autoescape {
			return markup(s), err
		}
		return s, err
	case *undefined:
		return nil, f.fail()
	}
	return nil, typeErrorf("'%s' object is not callable", typeName(fn))
}

func callable(v Value) bool {
	switch v.(type) {
	case *macro, *boundMethod, *builtin, *loopContext, *joiner, *blockRef, *undefined:
		return true
	}
	return false
}

func (ip *interp) callLoop(lc *loopContext, args arguments) (Value, error) {
	if lc.loop == nil {
		return nil, typeErrorf("the loop must have the 'recursive' marker to be called recursively")
	}
	if len(args.pos) != 1 || len(args.names) > 0 {
		return nil, typeErrorf("loop() takes one argument")
	}
	return ip.recurse(lc.loop, lc.env, args.pos[0], lc.depth0+1)
}

// macro is a {% macro %} or the body of a {% call %}, with the variables it
// sees.
type macro struct {
	def        *macroDef
	env        *activation
	autoescape bool
}

func (m *macro) attribute(name string) Value {
	switch name {
	case "name":
		if m.def.name == "" {
			return nil
		}
		return m.def.name
	case "arguments":
		t := &tuple{}
		for _, p := range m.def.params {
			t.items = append(t.items, p.name)
		}
		return t
	case "catch_kwargs":
		return m.def.kwargs != nil
	case "catch_varargs":
		return m.def.varargs != nil
	case "caller":
		return m.def.caller != nil
	case "explicit_caller":
		return m.def.explicitCaller
	}
	return missing
}

func (ip *interp) callMacro(m *macro, args arguments) (Value, error) {
	if err := ip.enter(); err != nil {
		return nil, err
	}
	defer ip.leave()
	d := m.def
	a := newActivation(d.slots, m.env)
	ip.enterScope(d.scope, a)
	if err := ip.bindMacro(d, a, args); err != nil {
		return nil, err
	}
	s, err := ip.capture(func() error {
		_, err := ip.run(d.body, a)
		return err
	})
	if err != nil {
		return nil, err
	}
	if ip.autoescape {
		return markup(s), nil
	}
	return s, nil
}

func (ip *interp) bindMacro(d *macroDef, a *activation, args arguments) error {
	n := min(len(args.pos), len(d.params))
	callerGiven := n == len(d.params) && d.explicitCaller
	vals := make([]Value, len(d.params))
	copy(vals, args.pos[:n])
	for i := n; i < len(vals); i++ {
		vals[i] = args.take(d.params[i].name)
		callerGiven = callerGiven || d.params[i].name == "caller"
	}
	if d.caller != nil && !callerGiven {
		v := args.take("caller")
		if isMissing(v) || v == nil {
			v = &undefined{hint: "No caller defined", name: "caller"}
		}
		*a.at(*d.caller) = v
	}
	if d.kwargs != nil {
		kw := &Dict{}
		for i, name := range args.names {
			kw.Set(name, args.vals[i])
		}
		*a.at(*d.kwargs) = kw
	} else if len(args.names) > 0 {
		return typeErrorf("macro '%s' takes no keyword argument '%s'", d.name, args.names[0])
	}
	if d.varargs != nil {
		*a.at(*d.varargs) = newTuple(args.pos[n:]...)
	} else if len(args.pos) > n {
		return typeErrorf("macro '%s' takes not more than %d argument(s)", d.name, len(d.params))
	}
	for i, p := range d.params {
		*a.at(p.ref) = vals[i]
	}
	return ip.macroDefaults(d, a)
}

func (ip *interp) macroDefaults(d *macroDef, a *activation) error {
	first := len(d.params) - len(d.defaults)
	for i, p := range d.params {
		slot := a.at(p.ref)
		if !isMissing(*slot) {
			continue
		}
		if i < first {
			*slot = &undefined{hint: "parameter " + reprString(p.name) + " was not provided", name: p.name}
			continue
		}
		v, err := ip.eval(d.defaults[i-first], a)
		if err != nil {
			return at(err, d.line)
		}
		*slot = v
	}
	return nil
}

type (
	cycler struct {
		items []Value
		pos   int
	}
	joiner struct {
		sep  Value
		used bool
	}
	selfValue struct{} // {{ self }}, from which blocks are called
	blockRef  struct{ block *blockStmt }
)
