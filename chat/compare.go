package chat

import (
	"cmp"
	"math/big"
	"strings"
)

// equal is Python's a == b.
func (ip *interp) equal(a, b Value) (bool, error) {
	if err := ip.enterValue(); err != nil {
		return false, err
	}
	defer ip.leaveValue()
	switch x := a.(type) {
	case nil:
		return b == nil, nil
	case string, markup:
		s, ok := asString(b)
		return ok && text(x) == s, ip.work(min(len(text(x)), len(s)))
	case bool, int64, float64, *big.Int:
		n, _ := number(a)
		m, ok := number(b)
		return ok && compareNumbers(n, m) == 0, nil
	case *undefined:
		_, ok := b.(*undefined)
		return ok, nil
	case *List:
		y, ok := b.(*List)
		if !ok || x == y {
			return ok, nil
		}
		return ip.equalItems(x.Items, y.Items)
	case *tuple:
		y, ok := b.(*tuple)
		if !ok || x == y {
			return ok, nil
		}
		return ip.equalItems(x.items, y.items)
	case *Dict:
		y, ok := b.(*Dict)
		if !ok || x == y {
			return ok, nil
		}
		return ip.equalDicts(x, y)
	case *rangeValue:
		y, ok := b.(*rangeValue)
		return ok && x.n == y.n && (x.n == 0 || x.start == y.start && (x.n == 1 || x.step == y.step)), nil
	case *dictView:
		return ip.equalViews(x, b)
	}
	return a == b, nil
}

func (ip *interp) equalItems(a, b []Value) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if same, err := ip.equal(a[i], b[i]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func (ip *interp) equalDicts(a, b *Dict) (bool, error) {
	if a.Len() != b.Len() {
		return false, nil
	}
	for i, k := range a.keys {
		v, ok, err := b.lookup(k)
		if err != nil || !ok {
			return false, err
		}
		if same, err := ip.equal(a.vals[i], v); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// equalViews compares keys with keys and items with items as sets.
func (ip *interp) equalViews(x *dictView, b Value) (bool, error) {
	y, ok := b.(*dictView)
	if !ok || x == y {
		return ok, nil
	}
	if x.kind != y.kind || x.kind == viewValues || x.d.Len() != y.d.Len() {
		return false, nil
	}
	if x.kind == viewItems {
		return ip.equalDicts(x.d, y.d)
	}
	for _, k := range x.d.keys {
		if _, ok, err := y.d.lookup(k); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// compare is Python's a op b for op <, <=, > or >=.
func (ip *interp) compare(op string, a, b Value) (bool, error) {
	for _, v := range []Value{a, b} {
		if u, ok := v.(*undefined); ok {
			return false, u.fail()
		}
	}
	if n, ok := number(a); ok {
		if m, ok := number(b); ok {
			return ordered(op, compareNumbers(n, m)), nil
		}
	}
	if s, ok := asString(a); ok {
		if t, ok := asString(b); ok {
			return ordered(op, strings.Compare(s, t)), ip.work(min(len(s), len(t)))
		}
	}
	x, okx := sequence(a)
	y, oky := sequence(b)
	if okx && oky && strings.HasSuffix(typeName(a), typeName(b)) {
		return ip.compareItems(op, x, y)
	}
	return false, typeErrorf("'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
}

// ordered applies op to the outcome of a comparison; 2 means unordered. UTF-8
// sorts as its code points do, so text is compared by bytes.
func ordered(op string, c int) bool {
	if c == 2 {
		return false
	}
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

func (ip *interp) compareItems(op string, x, y []Value) (bool, error) {
	if err := ip.enterValue(); err != nil {
		return false, err
	}
	defer ip.leaveValue()
	for i := range min(len(x), len(y)) {
		same, err := ip.equal(x[i], y[i])
		if err != nil {
			return false, err
		}
		if !same {
			return ip.compare(op, x[i], y[i])
		}
	}
	return ordered(op, cmp.Compare(len(x), len(y))), nil
}

// contains is Python's item in container.
func (ip *interp) contains(container, item Value) (bool, error) {
	if s, ok := asString(container); ok {
		sub, ok := asString(item)
		if !ok {
			return false, typeErrorf("'in <string>' requires string as left operand, not %s", typeName(item))
		}
		return strings.Contains(s, sub), ip.work(len(s))
	}
	switch c := container.(type) {
	case *Dict:
		_, ok, err := c.lookup(item)
		return ok, err
	case *dictView:
		if c.kind == viewKeys {
			_, ok, err := c.d.lookup(item)
			return ok, err
		}
	}
	next, err := ip.iterate(container)
	if err != nil {
		return false, typeErrorf("argument of type '%s' is not iterable", typeName(container))
	}
	for {
		v, err := next()
		if err != nil || isMissing(v) {
			return false, err
		}
		if same, err := ip.equal(v, item); err != nil || same {
			return same, err
		}
	}
}
