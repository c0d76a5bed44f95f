package chat

import (
	"slices"
	"strings"
)

func (ip *interp) eval(n node, a *activation) (Value, error) {
	if err := ip.step(); err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case *constExpr:
		return n.value, nil
	case *nameExpr:
		v := *a.at(n.ref)
		if isMissing(v) {
			return undefinedName(n.name), nil
		}
		return v, nil
	case *attrExpr:
		x, err := ip.eval(n.x, a)
		if err != nil {
			return nil, err
		}
		v, err := ip.getattr(x, n.name)
		return v, at(err, n.line)
	case *itemExpr:
		v, err := ip.item(n, a)
		return v, at(err, n.line)
	case *callExpr:
		fn, err := ip.eval(n.fn, a)
		if err != nil {
			return nil, err
		}
		args, err := ip.arguments(&n.args, a)
		if err == nil {
			var v Value
			if v, err = ip.call(fn, args); err == nil {
				return v, nil
			}
		}
		return nil, at(err, n.line)
	case *filterExpr:
		x, err := ip.eval(n.x, a)
		if err != nil {
			return nil, err
		}
		v, err := ip.filter(n, x, a)
		return v, at(err, n.line)
	case *testExpr:
		v, err := ip.test(n, a)
		return v, at(err, n.line)
	case *binaryExpr:
		v, err := ip.binary(n, a)
		return v, at(err, n.line)
	case *compareExpr:
		v, err := ip.comparison(n, a)
		return v, at(err, n.line)
	case *unaryExpr:
		v, err := ip.unary(n, a)
		return v, at(err, n.line)
	case *condExpr:
		return ip.conditional(n, a)
	case *concatExpr:
		return ip.concat(n, a)
	case *listExpr:
		items, err := ip.evalAll(n.items, a)
		return newList(items), err
	case *tupleExpr:
		items, err := ip.evalAll(n.items, a)
		return newTuple(items...), err
	case *dictExpr:
		return ip.dict(n, a)
	}
	return nil, errorf(Runtime, "a slice stands where a value is wanted")
}

func (ip *interp) evalAll(nodes []node, a *activation) ([]Value, error) {
	if err := ip.made(16 * len(nodes)); err != nil {
		return nil, err
	}
	items := make([]Value, len(nodes))
	for i, n := range nodes {
		v, err := ip.eval(n, a)
		if err != nil {
			return nil, err
		}
		items[i] = v
	}
	return items, nil
}

func (ip *interp) dict(n *dictExpr, a *activation) (Value, error) {
	d := &Dict{}
	if err := ip.made(48 * len(n.keys)); err != nil {
		return nil, err
	}
	for i, key := range n.keys {
		k, err := ip.eval(key, a)
		if err != nil {
			return nil, err
		}
		v, err := ip.eval(n.vals[i], a)
		if err != nil {
			return nil, err
		}
		if err := d.set(k, v); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (ip *interp) conditional(n *condExpr, a *activation) (Value, error) {
	t, err := ip.eval(n.test, a)
	switch {
	case err != nil:
		return nil, at(err, n.line)
	case truth(t):
		return ip.eval(n.then, a)
	case n.els != nil:
		return ip.eval(n.els, a)
	}
	return undefinedHint("the inline if-expression evaluated to false and no else section was defined."), nil
}

// concat is a ~ b ~ c.
func (ip *interp) concat(n *concatExpr, a *activation) (Value, error) {
	if n.escape == escapeOn {
		return ip.markupConcat(n, a)
	}
	parts := make([]string, len(n.items))
	for i, item := range n.items {
		v, err := ip.eval(item, a)
		if err != nil {
			return nil, err
		}
		if parts[i], err = ip.str(v); err != nil {
			return nil, err
		}
	}
	s := strings.Join(parts, "")
	return s, ip.made(len(s))
}

func (ip *interp) markupConcat(n *concatExpr, a *activation) (Value, error) {
	items, err := ip.evalAll(n.items, a)
	if err != nil {
		return nil, err
	}
	marked := slices.ContainsFunc(items, func(v Value) bool { _, ok := v.(markup); return ok })
	var b strings.Builder
	for _, v := range items {
		s := ""
		if marked {
			m, e := ip.escape(v)
			s, err = string(m), e
		} else {
			s, err = ip.str(v)
		}
		if err != nil {
			return nil, err
		}
		b.WriteString(s)
	}
	if marked {
		return markup(b.String()), ip.made(b.Len())
	}
	return b.String(), ip.made(b.Len())
}

func (ip *interp) unary(n *unaryExpr, a *activation) (Value, error) {
	x, err := ip.eval(n.x, a)
	if err != nil {
		return nil, err
	}
	if n.op == "not" {
		return !truth(x), nil
	}
	if u, ok := x.(*undefined); ok {
		return nil, u.fail()
	}
	num, ok := number(x)
	if !ok {
		return nil, typeErrorf("bad operand type for unary %s: '%s'", n.op, typeName(x))
	}
	if n.op == "+" {
		return num, nil
	}
	return negate(num)
}

func (ip *interp) comparison(n *compareExpr, a *activation) (Value, error) {
	l, err := ip.eval(n.x, a)
	if err != nil {
		return nil, err
	}
	for _, op := range n.ops {
		r, err := ip.eval(op.x, a)
		if err != nil {
			return nil, err
		}
		ok := false
		switch op.op {
		case "==":
			ok, err = ip.equal(l, r)
		case "!=":
			ok, err = ip.equal(l, r)
			ok = !ok
		case "in":
			ok, err = ip.contains(r, l)
		case "not in":
			ok, err = ip.contains(r, l)
			ok = !ok
		default:
			ok, err = ip.compare(op.op, l, r)
		}
		if err != nil || !ok {
			return false, err
		}
		l = r
	}
	return true, nil
}

func (ip *interp) binary(n *binaryExpr, a *activation) (Value, error) {
	l, err := ip.eval(n.l, a)
	if err != nil {
		return nil, err
	}
	switch {
	case n.op == "and" && !truth(l), n.op == "or" && truth(l):
		return l, nil
	}
	r, err := ip.eval(n.r, a)
	if err != nil || n.op == "and" || n.op == "or" {
		return r, err
	}
	return ip.operate(n.op, l, r)
}

// operate applies an arithmetic operator.
func (ip *interp) operate(op string, l, r Value) (Value, error) {
	x, okx := number(l)
	y, oky := number(r)
	if okx && oky {
		v, err := arith(op, x, y)
		if n := bigWords(x) + bigWords(y) + bigWords(v); n > 0 && err == nil {
			err = ip.work(n * n / 16)
		}
		return v, err
	}
	for _, v := range []Value{l, r} {
		if u, ok := v.(*undefined); ok {
			if s, isText := asString(l); op == "%" && isText {
				return ip.percentFormat(l, s, r)
			}
			return nil, u.fail()
		}
	}
	switch op {
	case "+":
		return ip.add(l, r)
	case "*":
		if n, ok := integer(r); ok && isSequence(l) {
			return ip.repeat(l, n)
		}
		if n, ok := integer(l); ok && isSequence(r) {
			return ip.repeat(r, n)
		}
	case "%":
		if s, ok := asString(l); ok {
			return ip.percentFormat(l, s, r)
		}
	}
	return nil, typeErrorf("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(l), typeName(r))
}

func isSequence(v Value) bool {
	if _, ok := asString(v); ok {
		return true
	}
	_, ok := sequence(v)
	return ok
}

func (ip *interp) add(l, r Value) (Value, error) {
	s, okl := asString(l)
	t, okr := asString(r)
	if okl && okr {
		_, ml := l.(markup)
		_, mr := r.(markup)
		switch {
		case ml && !mr:
			t = escapeHTML(t)
		case mr && !ml:
			s = escapeHTML(s)
		}
		if err := ip.made(len(s) + len(t)); err != nil {
			return nil, err
		}
		if ml || mr {
			return markup(s + t), nil
		}
		return s + t, nil
	}
	if okl {
		return nil, typeErrorf("can only concatenate str (not \"%s\") to str", typeName(r))
	}
	x, okx := sequence(l)
	y, oky := sequence(r)
	if okx && oky && typeName(l) == typeName(r) {
		if err := ip.made(16 * (len(x) + len(y))); err != nil {
			return nil, err
		}
		return likeSequence(l, slices.Concat(x, y)), nil
	}
	if okx {
		return nil, typeErrorf("can only concatenate %s (not \"%s\") to %s", typeName(l), typeName(r), typeName(l))
	}
	return nil, typeErrorf("unsupported operand type(s) for +: '%s' and '%s'", typeName(l), typeName(r))
}

// likeSequence makes a list or a tuple, as v is.
func likeSequence(v Value, items []Value) Value {
	if _, ok := v.(*List); ok {
		return newList(items)
	}
	return newTuple(items...)
}

func (ip *interp) repeat(v Value, n int64) (Value, error) {
	n = max(n, 0)
	s, isText := asString(v)
	items, _ := sequence(v)
	unit := int64(len(s) + 16*len(items))
	if unit > 0 && n > ip.limits.memory/unit {
		return nil, ip.room(-1)
	}
	if err := ip.made(int(unit * n)); err != nil {
		return nil, err
	}
	if isText {
		return like(v, strings.Repeat(s, int(n*min(unit, 1)))), nil
	}
	if len(items) == 0 {
		n = 0
	}
	return likeSequence(v, slices.Repeat(items, int(n))), nil
}

func (ip *interp) filter(n *filterExpr, x Value, a *activation) (Value, error) {
	if n.fn == nil {
		return nil, errorf(Runtime, "no filter named '%s' found", n.name)
	}
	args, err := ip.arguments(&n.args, a)
	if err != nil {
		return nil, err
	}
	return ip.invoke(n.fn, args.with(x))
}

// filterText applies the chain of filters of a block to what it wrote.
func (ip *interp) filterText(n node, text Value, a *activation) (Value, error) {
	f, ok := n.(*filterExpr)
	if !ok {
		return text, nil
	}
	if f.x != nil {
		var err error
		if text, err = ip.filterText(f.x, text, a); err != nil {
			return nil, err
		}
	}
	v, err := ip.filter(f, text, a)
	return v, at(err, f.line)
}

func (ip *interp) test(n *testExpr, a *activation) (Value, error) {
	x, err := ip.eval(n.x, a)
	if err != nil {
		return nil, err
	}
	if n.fn == nil {
		return nil, errorf(Runtime, "no test named '%s' found", n.name)
	}
	args, err := ip.arguments(&n.args, a)
	if err != nil {
		return nil, err
	}
	return ip.invoke(n.fn, args.with(x))
}
