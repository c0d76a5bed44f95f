package chat

import (
	"slices"
	"strings"
)

// attributeParts splits "a.b.0" for a walk by getitem.
func attributeParts(attr Value) []Value {
	if attr == nil || isMissing(attr) {
		return nil
	}
	s, ok := asString(attr)
	if !ok {
		return []Value{attr}
	}
	var parts []Value
	for _, p := range strings.Split(s, ".") {
		if n, ok := parseInt(p, 10); ok && strings.Trim(p, "0123456789") == "" {
			parts = append(parts, n)
		} else {
			parts = append(parts, p)
		}
	}
	return parts
}

// pick follows parts from item. Where something is undefined deflt takes its
// place, unless deflt is missing or None.
func (ip *interp) pick(item Value, parts []Value, deflt Value) (Value, error) {
	for _, p := range parts {
		v, err := ip.getitem(item, p)
		if err != nil {
			return nil, err
		}
		if _, ok := v.(*undefined); ok && deflt != nil && !isMissing(deflt) {
			v = deflt
		}
		item = v
	}
	return item, nil
}

// foldKey makes text lower case for a comparison without regard to case.
func foldKey(v Value, caseSensitive bool) Value {
	if s, ok := asString(v); ok && !caseSensitive {
		return toLower(s)
	}
	return v
}

// sortItems sorts stably by keys, which has an entry for each item.
func (ip *interp) sortItems(items, keys []Value, reverse bool) ([]Value, []Value, error) {
	if err := ip.made(48 * len(items)); err != nil {
		return nil, nil, err
	}
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	var failed error
	less := func(a, b int) bool {
		if failed != nil {
			return false
		}
		ok, err := ip.compare("<", keys[a], keys[b])
		if err == nil {
			err = ip.step()
		}
		failed = err
		return ok && err == nil
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if reverse {
			a, b = b, a
		}
		switch {
		case less(a, b):
			return -1
		case less(b, a):
			return 1
		}
		return 0
	})
	sorted, sortedKeys := make([]Value, len(items)), make([]Value, len(items))
	for i, k := range order {
		sorted[i], sortedKeys[i] = items[k], keys[k]
	}
	return sorted, sortedKeys, failed
}

func filterSort(c *call) (Value, error) {
	items := c.items(0)
	attrs := []Value{nil}
	if c.given(3) {
		attrs = []Value{c.args[3]}
		if s, ok := asString(c.args[3]); ok {
			attrs = attrs[:0]
			for _, a := range strings.Split(s, ",") {
				attrs = append(attrs, a)
			}
		}
	}
	keys := make([]Value, len(items))
	for i, item := range items {
		key := make([]Value, len(attrs))
		for j, a := range attrs {
			v, err := c.ip.pick(item, attributeParts(a), missing)
			if err != nil {
				return nil, err
			}
			key[j] = foldKey(v, c.bool(2, false))
		}
		keys[i] = newList(key)
	}
	sorted, _, err := c.ip.sortItems(items, keys, c.int(1, 0) != 0)
	return newList(sorted), err
}

func filterDictSort(c *call) (Value, error) {
	by := "key"
	if c.has(2) {
		by = c.text(2)
	}
	if by != "key" && by != "value" {
		return nil, typeErrorf(`you can only sort by either "key" or "value"`)
	}
	d, ok := c.args[0].(*Dict)
	if !ok {
		c.wrongType(0, "dict")
		return nil, nil
	}
	items, keys := make([]Value, d.Len()), make([]Value, d.Len())
	for i, k := range d.keys {
		items[i] = newTuple(k, d.vals[i])
		keys[i] = k
		if by == "value" {
			keys[i] = d.vals[i]
		}
		keys[i] = foldKey(keys[i], c.bool(1, false))
	}
	sorted, _, err := c.ip.sortItems(items, keys, c.int(3, 0) != 0)
	return newList(sorted), err
}

func filterGroupBy(c *call) (Value, error) {
	items, parts, exact := c.items(0), attributeParts(c.args[1]), c.bool(3, false)
	keys := make([]Value, len(items))
	for i, item := range items {
		v, err := c.ip.pick(item, parts, c.args[2])
		if err != nil {
			return nil, err
		}
		keys[i] = foldKey(v, exact)
	}
	items, keys, err := c.ip.sortItems(items, keys, false)
	if err != nil {
		return nil, err
	}
	groups := &List{}
	for start := 0; start < len(items); {
		end := start + 1
		for end < len(items) {
			same, err := c.ip.equal(keys[start], keys[end])
			if err != nil {
				return nil, err
			}
			if !same {
				break
			}
			end++
		}
		key, err := c.ip.pick(items[start], parts, c.args[2])
		if err != nil {
			return nil, err
		}
		group := newTuple(key, newList(items[start:end:end]))
		group.names = []string{"grouper", "list"}
		groups.Items = append(groups.Items, group)
		start = end
	}
	return groups, nil
}

func filterUnique(c *call) (Value, error) {
	parts, exact := attributeParts(c.args[2]), c.bool(1, false)
	next, err := c.ip.iterate(c.args[0])
	if err != nil {
		return nil, err
	}
	seen := &Dict{}
	return generate(func() (Value, error) {
		for {
			item, err := next()
			if err != nil || isMissing(item) {
				return item, err
			}
			key, err := c.ip.pick(item, parts, missing)
			if err != nil {
				return nil, err
			}
			key = foldKey(key, exact)
			_, known, err := seen.lookup(key)
			if err != nil {
				return nil, err
			}
			if !known {
				if err := c.ip.made(64); err != nil {
					return nil, err
				}
				return item, seen.set(key, nil)
			}
		}
	}), nil
}

// extreme is min (op <) or max (op >): the first of equal items.
func (c *call) extreme(op string) (Value, error) {
	items, parts, exact := c.items(0), attributeParts(c.args[2]), c.bool(1, false)
	if len(items) == 0 {
		return undefinedHint("No aggregated item, sequence was empty."), nil
	}
	var best, bestKey Value
	for i, item := range items {
		key, err := c.ip.pick(item, parts, missing)
		if err != nil {
			return nil, err
		}
		key = foldKey(key, exact)
		better := i == 0
		if !better {
			if better, err = c.ip.compare(op, key, bestKey); err != nil {
				return nil, err
			}
		}
		if better {
			best, bestKey = item, key
		}
	}
	return best, nil
}

func filterFirst(c *call) (Value, error) {
	next, err := c.ip.iterate(c.args[0])
	if err != nil {
		return nil, err
	}
	v, err := next()
	if err == nil && isMissing(v) {
		return undefinedHint("No first item, sequence was empty."), nil
	}
	return v, err
}

// reversible reports whether Python's reversed works on v.
func reversible(v Value) bool {
	switch v.(type) {
	case *generator, *loopContext, *namespace:
		return false
	}
	_, ok := length(v)
	return ok
}

func filterLast(c *call) (Value, error) {
	if !reversible(c.args[0]) {
		return nil, typeErrorf("'%s' object is not reversible", typeName(c.args[0]))
	}
	items := c.items(0)
	if len(items) == 0 {
		return undefinedHint("No last item, sequence was empty."), nil
	}
	return items[len(items)-1], nil
}

func filterReverse(c *call) (Value, error) {
	if s, ok := asString(c.args[0]); ok {
		rs := []rune(s)
		slices.Reverse(rs)
		return c.like(string(rs)), nil
	}
	items := slices.Clone(c.items(0))
	slices.Reverse(items)
	if !reversible(c.args[0]) {
		return newList(items), nil
	}
	g := generate(c.ip.iterateItems(items))
	g.kind = typeName(c.args[0]) + "_reverseiterator"
	return g, c.ip.made(16 * len(items))
}

func filterItems(c *call) (Value, error) {
	switch v := c.args[0].(type) {
	case *undefined:
		return generate(func() (Value, error) { return missing, nil }), nil
	case *Dict:
		return generate(c.ip.iterateView(&dictView{v, viewItems})), nil
	}
	return nil, typeErrorf("Can only get item pairs from a mapping.")
}

func filterBatch(c *call) (Value, error) {
	next, err := c.ip.iterate(c.args[0])
	if err != nil {
		return nil, err
	}
	size := c.int(1, 0)
	pending := missing // the first item of the next batch
	return generate(func() (Value, error) {
		var row []Value
		if !isMissing(pending) {
			row, pending = append(row, pending), missing
		}
		for {
			v, err := next()
			if err != nil {
				return nil, err
			}
			if isMissing(v) {
				break
			}
			if int64(len(row)) == size {
				pending = v
				return newList(row), nil
			}
			row = append(row, v)
			if err := c.ip.made(16); err != nil {
				return nil, err
			}
		}
		if len(row) == 0 {
			return missing, nil
		}
		if lack := size - int64(len(row)); c.given(2) && lack > 0 {
			if lack > 1<<30 {
				return nil, c.ip.room(-1)
			}
			if err := c.ip.made(16 * int(lack)); err != nil {
				return nil, err
			}
			row = append(row, slices.Repeat(c.args[2:3], int(lack))...)
		}
		return newList(row), nil
	}), c.err
}

func filterSlice(c *call) (Value, error) {
	items, n := c.items(0), c.int(1, 0)
	if n == 0 && c.err == nil {
		return nil, typeErrorf("integer division or modulo by zero")
	}
	i, offset := int64(0), int64(0)
	return generate(func() (Value, error) {
		if i >= n {
			return missing, nil
		}
		each, extra := int64(len(items))/n, int64(len(items))%n
		start := offset + i*each
		if i < extra {
			offset++
		}
		row := slices.Clone(items[start : offset+(i+1)*each])
		if c.given(2) && i >= extra {
			row = append(row, c.args[2])
		}
		i++
		return newList(row), c.ip.made(16 * len(row))
	}), nil
}

func filterSum(c *call) (Value, error) {
	var sum Value = int64(0)
	if c.has(2) {
		sum = c.args[2]
	}
	if _, ok := asString(sum); ok {
		return nil, typeErrorf("sum() can't sum strings [use ''.join(seq) instead]")
	}
	parts := attributeParts(c.args[1])
	for _, item := range c.items(0) {
		v, err := c.ip.pick(item, parts, missing)
		if err != nil {
			return nil, err
		}
		if sum, err = c.ip.operate("+", sum, v); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

func filterJoin(c *call) (Value, error) {
	items, parts := c.items(0), attributeParts(c.args[2])
	var sep Value = ""
	if c.has(1) {
		sep = c.args[1]
	}
	if len(parts) > 0 {
		items = slices.Clone(items)
		for i, item := range items {
			v, err := c.ip.pick(item, parts, missing)
			if err != nil {
				return nil, err
			}
			items[i] = v
		}
	}
	if c.ip.autoescape && slices.ContainsFunc(append(items[:len(items):len(items)], sep), isMarkup) {
		return c.joinMarkup(items, sep)
	}
	texts := make([]string, len(items))
	for i, item := range items {
		s, err := c.ip.str(item)
		if err != nil {
			return nil, err
		}
		texts[i] = s
	}
	s, err := c.ip.str(sep)
	if err != nil {
		return nil, err
	}
	return c.ip.join(texts, s)
}

func isMarkup(v Value) bool { _, ok := v.(markup); return ok }

// joinMarkup joins where autoescape is on and something is marked up already.
func (c *call) joinMarkup(items []Value, sep Value) (Value, error) {
	texts := make([]string, len(items))
	for i, item := range items {
		m, err := c.ip.escape(item)
		if err != nil {
			return nil, err
		}
		texts[i] = string(m)
	}
	m, err := c.ip.escape(sep)
	if err != nil {
		return nil, err
	}
	s, err := c.ip.join(texts, string(m))
	return markup(s), err
}

// lazily makes a generator over source whose step function is prepared when
// the first item is asked for, as Jinja's generators do.
func (ip *interp) lazily(source Value, prepare func() (func(Value) (v Value, keep bool, err error), error)) Value {
	var next func() (Value, error)
	var step func(Value) (Value, bool, error)
	return generate(func() (Value, error) {
		if next == nil {
			if !truth(source) {
				return missing, nil
			}
			var err error
			if step, err = prepare(); err != nil {
				return nil, err
			}
			if next, err = ip.iterate(source); err != nil {
				return nil, err
			}
		}
		for {
			item, err := next()
			if err != nil || isMissing(item) {
				return item, err
			}
			v, keep, err := step(item)
			if err != nil || keep {
				return v, err
			}
		}
	})
}

func filterMap(ip *interp, args arguments) (Value, error) {
	if len(args.pos) == 0 {
		return nil, typeErrorf("map() missing required argument: 'value'")
	}
	return ip.lazily(args.pos[0], func() (func(Value) (Value, bool, error), error) {
		if len(args.pos) == 1 && slices.Contains(args.names, "attribute") {
			return ip.mapAttribute(args)
		}
		if len(args.pos) < 2 {
			return nil, typeErrorf("map requires a filter argument")
		}
		name := args.pos[1]
		f := ip.lib.filters[text(name)]
		if f == nil {
			return nil, typeErrorf("No filter named %s.", shortRepr(name))
		}
		rest := arguments{args.pos[2:], args.names, args.vals}
		return func(item Value) (Value, bool, error) {
			v, err := ip.invoke(f, rest.with(item))
			return v, true, err
		}, nil
	}), nil
}

func (ip *interp) mapAttribute(args arguments) (func(Value) (Value, bool, error), error) {
	parts := attributeParts(args.take("attribute"))
	deflt := args.take("default")
	if len(args.names) > 0 {
		return nil, typeErrorf("Unexpected keyword argument '%s'", args.names[0])
	}
	return func(item Value) (Value, bool, error) {
		v, err := ip.pick(item, parts, deflt)
		return v, true, err
	}, nil
}

// selector makes select, reject, selectattr and rejectattr.
func selector(want, byAttribute bool) func(*interp, arguments) (Value, error) {
	return func(ip *interp, args arguments) (Value, error) {
		if len(args.pos) == 0 {
			return nil, typeErrorf("missing required argument: 'value'")
		}
		return ip.lazily(args.pos[0], func() (func(Value) (Value, bool, error), error) {
			rest := args.pos[1:]
			var parts []Value
			if byAttribute {
				if len(rest) == 0 {
					return nil, typeErrorf("Missing parameter for attribute name")
				}
				parts, rest = attributeParts(rest[0]), rest[1:]
			}
			test, err := ip.itemTest(rest, args)
			if err != nil {
				return nil, err
			}
			return func(item Value) (Value, bool, error) {
				v, err := ip.pick(item, parts, missing)
				if err != nil {
					return nil, false, err
				}
				ok, err := test(v)
				return item, ok == want, err
			}, nil
		}), nil
	}
}

// itemTest is the test that rest names, or truth.
func (ip *interp) itemTest(rest []Value, args arguments) (func(Value) (bool, error), error) {
	if len(rest) == 0 {
		return func(v Value) (bool, error) { return truth(v), nil }, nil
	}
	t := ip.lib.tests[text(rest[0])]
	if t == nil {
		return nil, typeErrorf("No test named %s.", shortRepr(rest[0]))
	}
	more := arguments{rest[1:], args.names, args.vals}
	return func(v Value) (bool, error) {
		r, err := ip.invoke(t, more.with(v))
		return truth(r), err
	}, nil
}
