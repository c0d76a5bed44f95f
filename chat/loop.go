package chat

// loopContext is the variable loop inside a for.
type loopContext struct {
	ip       *interp
	iterable Value
	next     func() (Value, error)
	size     int // -1: not known yet
	index0   int
	ahead    Value // looked at before its turn; missing if not
	current  Value
	before   Value
	changed  Value // last arguments of changed()
	depth0   int

	loop *forStmt // of a recursive loop, to call it again
	env  *activation
}

func (ip *interp) forLoop(n *forStmt, a *activation) (control, error) {
	iterable, err := ip.eval(n.iter, a)
	if err != nil {
		return goOn, err
	}
	if n.recursive {
		v, err := ip.recurse(n, a, iterable, 0)
		if err != nil {
			return goOn, err
		}
		return goOn, ip.writeText(v)
	}
	return ip.loop(n, a, a, iterable, 0)
}

// recurse runs a recursive loop in an activation of its own.
func (ip *interp) recurse(n *forStmt, env *activation, iterable Value, depth int) (Value, error) {
	if err := ip.enter(); err != nil {
		return nil, err
	}
	defer ip.leave()
	a := newActivation(n.slots, env)
	s, err := ip.capture(func() error {
		_, err := ip.loop(n, a, env, iterable, depth)
		return err
	})
	if ip.escaping(n.escape) {
		return markup(s), err
	}
	return s, err
}

// loop runs the body in a for every item; env is where the loop stands.
func (ip *interp) loop(n *forStmt, a, env *activation, iterable Value, depth int) (control, error) {
	if n.test != nil {
		g, err := ip.filterItems(n, env, iterable)
		if err != nil {
			return goOn, err
		}
		iterable = g
	}
	next, err := ip.iterate(iterable)
	if err != nil {
		return goOn, err
	}
	var lc *loopContext
	if n.loopVar != nil {
		lc = &loopContext{ip: ip, iterable: iterable, next: next, size: -1, index0: -1, ahead: missing,
			current: missing, before: missing, changed: missing, depth0: depth, env: env}
		if n.recursive {
			lc.loop = n
		}
		next = lc.advance
	}
	completed := false // a run of the body up to its end, without break or continue
	for {
		v, err := next()
		if err != nil {
			return goOn, err
		}
		if isMissing(v) {
			break
		}
		if err := ip.assign(n.target, v, a); err != nil {
			return goOn, err
		}
		if lc != nil {
			*a.at(*n.loopVar) = lc
		}
		ip.enterScope(n.bodyScope, a)
		c, err := ip.run(n.body, a)
		if err != nil {
			return goOn, err
		}
		if c == doBreak {
			break
		}
		completed = completed || c == goOn
	}
	ip.leaveScope(n.bodyScope, a)
	if completed || n.els == nil {
		return goOn, nil
	}
	ip.enterScope(n.elScope, a)
	c, err := ip.run(n.els, a)
	ip.leaveScope(n.elScope, a)
	return c, err
}

// filterItems yields the items that pass the condition of a for, one at a time
// between the runs of the body.
func (ip *interp) filterItems(n *forStmt, env *activation, iterable Value) (*generator, error) {
	next, err := ip.iterate(iterable)
	if err != nil {
		return nil, err
	}
	a := newActivation(n.testSlots, env)
	ip.enterScope(n.testScope, a)
	return generate(func() (Value, error) {
		for {
			v, err := next()
			if err != nil || isMissing(v) {
				return v, err
			}
			if err := ip.assign(n.testTarget, v, a); err != nil {
				return nil, err
			}
			ok, err := ip.eval(n.test, a)
			if err != nil {
				return nil, err
			}
			if truth(ok) {
				return v, nil
			}
		}
	}), nil
}

func (lc *loopContext) advance() (Value, error) {
	v := lc.ahead
	lc.ahead = missing
	if isMissing(v) {
		var err error
		if v, err = lc.next(); err != nil || isMissing(v) {
			return v, err
		}
	}
	lc.index0++
	lc.before, lc.current = lc.current, v
	return v, nil
}

func (lc *loopContext) peek() (Value, error) {
	var err error
	if isMissing(lc.ahead) {
		lc.ahead, err = lc.next()
		if err != nil {
			lc.ahead = missing
		}
	}
	return lc.ahead, err
}

func (lc *loopContext) length() (int, error) {
	if lc.size >= 0 {
		return lc.size, nil
	}
	if n, ok := length(lc.iterable); ok {
		lc.size = n
		return n, nil
	}
	rest, err := lc.ip.collect(generate(lc.next))
	if err != nil {
		return 0, err
	}
	lc.next = lc.ip.iterateItems(rest)
	lc.size = len(rest) + lc.index0 + 1
	if !isMissing(lc.ahead) {
		lc.size++
	}
	return lc.size, nil
}

// attribute returns loop.name, missing if there is none.
func (lc *loopContext) attribute(name string) (Value, error) {
	switch name {
	case "index":
		return int64(lc.index0 + 1), nil
	case "index0":
		return int64(lc.index0), nil
	case "first":
		return lc.index0 == 0, nil
	case "depth":
		return int64(lc.depth0 + 1), nil
	case "depth0":
		return int64(lc.depth0), nil
	case "length", "revindex", "revindex0":
		n, err := lc.length()
		switch name {
		case "revindex":
			n -= lc.index0
		case "revindex0":
			n -= lc.index0 + 1
		}
		return int64(n), err
	case "last":
		v, err := lc.peek()
		return isMissing(v), err
	case "nextitem":
		v, err := lc.peek()
		if err == nil && isMissing(v) {
			v = undefinedHint("there is no next item")
		}
		return v, err
	case "previtem":
		if lc.index0 == 0 {
			return undefinedHint("there is no previous item"), nil
		}
		return lc.before, nil
	case "cycle", "changed":
		return &boundMethod{lc, lc.ip.lib.methods["LoopContext"][name]}, nil
	}
	return missing, nil
}

func loopCycle(ip *interp, args arguments) (Value, error) {
	lc := args.pos[0].(*loopContext)
	items := args.pos[1:]
	if len(items) == 0 {
		return nil, typeErrorf("no items for cycling given")
	}
	return items[lc.index0%len(items)], nil
}

func loopChanged(ip *interp, args arguments) (Value, error) {
	lc := args.pos[0].(*loopContext)
	now := newTuple(args.pos[1:]...)
	same, err := ip.equal(lc.changed, now)
	if err != nil || same {
		return false, err
	}
	lc.changed = now
	return true, nil
}
