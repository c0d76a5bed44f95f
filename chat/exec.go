package chat

// control says how a statement ended.
type control uint8

const (
	goOn control = iota
	doBreak
	doContinue
)

func (ip *interp) run(body []node, a *activation) (control, error) {
	for _, n := range body {
		if c, err := ip.stmt(n, a); err != nil || c != goOn {
			return c, err
		}
	}
	return goOn, nil
}

func (ip *interp) stmt(n node, a *activation) (control, error) {
	if err := ip.step(); err != nil {
		return goOn, at(err, lineOf(n))
	}
	switch n := n.(type) {
	case *outputStmt:
		return goOn, ip.output(n, a)
	case *ifStmt:
		return ip.ifElse(n, a)
	case *forStmt:
		c, err := ip.forLoop(n, a)
		return c, at(err, n.line)
	case *setStmt:
		return goOn, at(ip.set(n, a), n.line)
	case *setBlockStmt:
		return ip.setBlock(n, a)
	case *macroStmt:
		m := &macro{def: n.def, env: a, autoescape: ip.autoescape}
		*a.at(n.name.ref) = m
		if ip.exported != nil {
			ip.exported[n.def.name] = m
		}
	case *callStmt:
		return goOn, at(ip.callBlock(n, a), n.line)
	case *filterStmt:
		return ip.filterBlock(n, a)
	case *withStmt:
		return ip.with(n, a)
	case *blockStmt:
		return goOn, at(ip.block(n, a), n.line)
	case *autoescapeStmt:
		return ip.autoescapeBlock(n, a)
	case *breakStmt:
		return doBreak, nil
	case *continueStmt:
		return doContinue, nil
	}
	return goOn, nil
}

func (ip *interp) enterScope(sc scope, a *activation) {
	for _, l := range sc {
		switch l.kind {
		case loadContext:
			a.vars[l.slot] = ip.resolve(l.name)
		case loadAlias:
			a.vars[l.slot] = *a.at(l.from)
		case loadUnset:
			a.vars[l.slot] = missing
		}
	}
}

func (ip *interp) leaveScope(sc scope, a *activation) {
	for _, l := range sc {
		a.vars[l.slot] = missing
	}
}

// resolve looks a name up in what the top level exported, what the caller gave,
// and the globals.
func (ip *interp) resolve(name string) Value {
	if v, ok := ip.exported[name]; ok {
		return v
	}
	if v, ok := ip.vars[name]; ok {
		return v
	}
	if v, ok := ip.lib.globals[name]; ok {
		return v
	}
	return missing
}

func (ip *interp) output(n *outputStmt, a *activation) error {
	for i, item := range n.items {
		if d, ok := item.(*dataExpr); ok {
			if err := ip.write(d.text); err != nil {
				return at(err, n.lines[i])
			}
			continue
		}
		v, err := ip.eval(item, a)
		if err == nil {
			err = ip.print(v, n.escape)
		}
		if err != nil {
			return at(err, n.lines[i])
		}
	}
	return nil
}

func (ip *interp) print(v Value, mode escapeMode) error {
	if ip.escaping(mode) {
		m, err := ip.escape(v)
		if err != nil {
			return err
		}
		return ip.write(string(m))
	}
	s, err := ip.str(v)
	if err != nil {
		return err
	}
	return ip.write(s)
}

func (ip *interp) escaping(mode escapeMode) bool {
	return mode == escapeOn || mode == escapeDynamic && ip.autoescape
}

func (ip *interp) ifElse(n *ifStmt, a *activation) (control, error) {
	v, err := ip.eval(n.test, a)
	if err != nil {
		return goOn, at(err, n.line)
	}
	if truth(v) {
		return ip.run(n.body, a)
	}
	for _, e := range n.elif {
		v, err := ip.eval(e.test, a)
		if err != nil {
			return goOn, at(err, e.line)
		}
		if truth(v) {
			return ip.run(e.body, a)
		}
	}
	return ip.run(n.els, a)
}

// assign stores v in a name, a namespace's attribute, or a tuple of them.
func (ip *interp) assign(target node, v Value, a *activation) error {
	switch t := target.(type) {
	case *nameExpr:
		*a.at(t.ref) = v
	case *nsRef:
		ns, ok := (*a.at(t.ref)).(*namespace)
		if !ok {
			return at(errorf(Runtime, "cannot assign attribute on non-namespace object"), t.line)
		}
		ns.attrs.Set(t.attr, v)
		return ip.made(48)
	case *tupleExpr:
		return ip.unpack(t, v, a)
	}
	return nil
}

func (ip *interp) unpack(t *tupleExpr, v Value, a *activation) error {
	items, ok := sequence(v)
	if !ok {
		next, err := ip.iterate(v)
		if err != nil {
			return typeErrorf("cannot unpack non-iterable %s object", typeName(v))
		}
		for len(items) <= len(t.items) {
			item, err := next()
			if err != nil {
				return err
			}
			if isMissing(item) {
				break
			}
			items = append(items, item)
		}
	}
	if len(items) > len(t.items) {
		return typeErrorf("too many values to unpack (expected %d)", len(t.items))
	}
	if len(items) < len(t.items) {
		return typeErrorf("not enough values to unpack (expected %d, got %d)", len(t.items), len(items))
	}
	for i, target := range t.items {
		if err := ip.assign(target, items[i], a); err != nil {
			return err
		}
	}
	return nil
}

// checkNamespaces fails early, before the value is computed, as Jinja does.
func checkNamespaces(target node, a *activation) error {
	switch t := target.(type) {
	case *nsRef:
		if _, ok := (*a.at(t.ref)).(*namespace); !ok {
			return errorf(Runtime, "cannot assign attribute on non-namespace object")
		}
	case *tupleExpr:
		for _, item := range t.items {
			if err := checkNamespaces(item, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (ip *interp) set(n *setStmt, a *activation) error {
	if err := checkNamespaces(n.target, a); err != nil {
		return err
	}
	v, err := ip.eval(n.value, a)
	if err != nil {
		return err
	}
	if err := ip.assign(n.target, v, a); err != nil {
		return err
	}
	ip.export(n.export, a)
	return nil
}

func (ip *interp) export(names []exportName, a *activation) {
	for _, e := range names {
		ip.exported[e.name] = *a.at(e.ref)
	}
}

// captured runs a body in its scope and returns what it wrote, marked up where
// autoescape is on. after runs before the scope is left.
func (ip *interp) captured(body []node, sc scope, mode escapeMode, a *activation, after func(Value) error) (control, error) {
	ip.enterScope(sc, a)
	c := goOn
	s, err := ip.capture(func() (err error) {
		c, err = ip.run(body, a)
		return err
	})
	if err != nil || c != goOn {
		return c, err
	}
	var v Value = s
	if ip.escaping(mode) {
		v = markup(s)
	}
	if err := after(v); err != nil {
		return goOn, err
	}
	ip.leaveScope(sc, a)
	return goOn, nil
}

func (ip *interp) setBlock(n *setBlockStmt, a *activation) (control, error) {
	c, err := ip.captured(n.body, n.scope, escapeDynamic, a, func(v Value) error {
		var err error
		if n.filter != nil {
			if v, err = ip.filterText(n.filter, v, a); err != nil {
				return err
			}
		}
		if ip.autoescape {
			s, err := ip.str(v)
			if err != nil {
				return err
			}
			v = markup(s)
		}
		if err := ip.assign(n.target, v, a); err != nil {
			return err
		}
		ip.export(n.export, a)
		return nil
	})
	return c, at(err, n.line)
}

func (ip *interp) filterBlock(n *filterStmt, a *activation) (control, error) {
	c, err := ip.captured(n.body, n.scope, n.escape, a, func(v Value) error {
		v, err := ip.filterText(n.filter, v, a)
		if err != nil {
			return err
		}
		return ip.writeText(v)
	})
	return c, at(err, n.line)
}

// writeText writes the outcome of a filter or call block, which must be text.
func (ip *interp) writeText(v Value) error {
	s, ok := asString(v)
	if !ok {
		return typeErrorf("sequence item: expected str instance, %s found", typeName(v))
	}
	return ip.write(s)
}

func (ip *interp) with(n *withStmt, a *activation) (control, error) {
	ip.enterScope(n.scope, a)
	for i, target := range n.targets {
		v, err := ip.eval(n.values[i], a)
		if err == nil {
			err = ip.assign(target, v, a)
		}
		if err != nil {
			return goOn, at(err, n.line)
		}
	}
	c, err := ip.run(n.body, a)
	ip.leaveScope(n.scope, a)
	return c, err
}

func (ip *interp) autoescapeBlock(n *autoescapeStmt, a *activation) (control, error) {
	ip.enterScope(n.scope, a)
	v, err := ip.eval(n.value, a)
	if err != nil {
		return goOn, at(err, n.line)
	}
	outer := ip.autoescape
	ip.autoescape = truth(v)
	c, err := ip.run(n.body, a)
	ip.autoescape = outer
	ip.leaveScope(n.scope, a)
	return c, err
}

// generation runs a generation block and keeps its place if that is asked for;
// one inside another belongs to it.
func (ip *interp) generation(body *macro) error {
	mark := ip.marks
	if mark != nil && mark.inside {
		mark = nil
	}
	if mark != nil && ip.out != mark.text {
		return errorf(Runtime, "a generation block inside a macro, a call, a filter or a set block has no place in the text")
	}
	if mark != nil {
		mark.inside = true
	}
	v, err := ip.callMacro(body, arguments{})
	if err != nil {
		return err
	}
	start := ip.out.Len()
	if err := ip.writeText(v); err != nil || mark == nil {
		return err
	}
	mark.inside = false
	if end := ip.out.Len(); end > start {
		mark.spans = append(mark.spans, [2]int{start, end})
	}
	return nil
}

func (ip *interp) callBlock(n *callStmt, a *activation) error {
	caller := &macro{def: n.def, env: a, autoescape: ip.autoescape}
	if n.call == nil {
		return ip.generation(caller)
	}
	fn, err := ip.eval(n.call.fn, a)
	if err != nil {
		return err
	}
	args, err := ip.arguments(&n.call.args, a)
	if err != nil {
		return err
	}
	if args.names, err = addKeyword(args.names, "caller"); err != nil {
		return err
	}
	args.vals = append(args.vals, caller)
	v, err := ip.call(fn, args)
	if err != nil {
		return err
	}
	return ip.writeText(v)
}

// block runs a block where it stands. It sees the context, and the variables
// around it if it is scoped.
func (ip *interp) block(n *blockStmt, a *activation) error {
	outer := ip.exported
	if n.scoped {
		ip.exported = map[string]Value{}
		for k, v := range outer {
			ip.exported[k] = v
		}
		for _, l := range n.locals {
			if v := *a.at(l.ref); !isMissing(v) {
				ip.exported[l.name] = v
			}
		}
	}
	err := ip.runBlock(n)
	ip.exported = outer
	return err
}

func (ip *interp) runBlock(n *blockStmt) error {
	if err := ip.enter(); err != nil {
		return err
	}
	defer ip.leave()
	a := newActivation(n.fn.slots, nil)
	if n.fn.selfVar != nil {
		*a.at(*n.fn.selfVar) = &selfValue{}
	}
	if n.fn.super != nil {
		*a.at(*n.fn.super) = &undefined{hint: "there is no parent block called " + reprString(n.name) + "."}
	}
	ip.enterScope(n.fn.scope, a)
	_, err := ip.run(n.fn.body, a)
	return err
}
