package chat

import "math/big"

var testTable = alias(table(
	def("boolean(value)", func(c *call) (Value, error) { _, ok := c.args[0].(bool); return ok, nil }),
	def("callable(obj, /)", func(c *call) (Value, error) { return callable(c.args[0]), nil }),
	def("defined(value)", func(c *call) (Value, error) { return !isUndefined(c.args[0]), nil }),
	def("divisibleby(value, num)", func(c *call) (Value, error) { return c.remainder(c.args[1], 0) }),
	def("escaped(value)", func(c *call) (Value, error) { return isMarkup(c.args[0]), nil }),
	def("even(value)", func(c *call) (Value, error) { return c.remainder(int64(2), 0) }),
	def("odd(value)", func(c *call) (Value, error) { return c.remainder(int64(2), 1) }),
	def("false(value)", func(c *call) (Value, error) { return c.args[0] == false, nil }),
	def("true(value)", func(c *call) (Value, error) { return c.args[0] == true, nil }),
	def("filter(value)", func(c *call) (Value, error) { return c.names(c.ip.lib.filters) }),
	def("test(value)", func(c *call) (Value, error) { return c.names(c.ip.lib.tests) }),
	def("float(value)", func(c *call) (Value, error) { _, ok := c.args[0].(float64); return ok, nil }),
	def("in(value, seq)", func(c *call) (Value, error) { return c.ip.contains(c.args[1], c.args[0]) }),
	def("integer(value)", func(c *call) (Value, error) { return typeName(c.args[0]) == "int", nil }),
	def("iterable(value)", func(c *call) (Value, error) { return iterable(c.args[0]), nil }),
	def("lower(value)", func(c *call) (Value, error) { return isLowerText(c.text(0)), nil }),
	def("upper(value)", func(c *call) (Value, error) { return isUpperText(c.text(0)), nil }),
	def("mapping(value)", func(c *call) (Value, error) { _, ok := c.args[0].(*Dict); return ok, nil }),
	def("none(value)", func(c *call) (Value, error) { return c.args[0] == nil, nil }),
	def("number(value)", func(c *call) (Value, error) { _, ok := number(c.args[0]); return ok, nil }),
	def("sameas(value, other)", func(c *call) (Value, error) { return same(c.args[0], c.args[1]), nil }),
	def("sequence(value)", func(c *call) (Value, error) { return isSequenceTest(c.args[0]), nil }),
	def("string(value)", func(c *call) (Value, error) { _, ok := asString(c.args[0]); return ok, nil }),
	def("undefined(value)", func(c *call) (Value, error) { return isUndefined(c.args[0]), nil }),
	def("eq(a, b, /)", func(c *call) (Value, error) { return c.ip.equal(c.args[0], c.args[1]) }),
	def("ne(a, b, /)", func(c *call) (Value, error) {
		ok, err := c.ip.equal(c.args[0], c.args[1])
		return !ok, err
	}),
	def("lt(a, b, /)", func(c *call) (Value, error) { return c.ip.compare("<", c.args[0], c.args[1]) }),
	def("le(a, b, /)", func(c *call) (Value, error) { return c.ip.compare("<=", c.args[0], c.args[1]) }),
	def("gt(a, b, /)", func(c *call) (Value, error) { return c.ip.compare(">", c.args[0], c.args[1]) }),
	def("ge(a, b, /)", func(c *call) (Value, error) { return c.ip.compare(">=", c.args[0], c.args[1]) }),
), "==", "eq", "equalto", "eq", "!=", "ne", "<", "lt", "lessthan", "lt", "<=", "le", ">", "gt", "greaterthan", "gt", ">=", "ge")

func isUndefined(v Value) bool { _, ok := v.(*undefined); return ok }

// remainder reports whether the value modulo n is want.
func (c *call) remainder(n Value, want int64) (Value, error) {
	r, err := c.ip.operate("%", c.args[0], n)
	if err != nil {
		return nil, err
	}
	return c.ip.equal(r, want)
}

// names reports whether the value names something in t.
func (c *call) names(t map[string]*builtin) (Value, error) {
	_, err := hashKey(c.args[0], 0)
	return t[text(c.args[0])] != nil, err
}

func iterable(v Value) bool {
	switch v.(type) {
	case *generator, *loopContext:
		return true
	}
	_, ok := length(v)
	return ok
}

// isSequenceTest reports whether v has a length and items by key.
func isSequenceTest(v Value) bool {
	switch v.(type) {
	case *dictView, *loopContext:
		return false
	}
	_, ok := length(v)
	return ok
}

// same is Python's a is b. Equal numbers and strings count as one object, as
// Python mostly has it.
func same(a, b Value) bool {
	if x, ok := a.(*big.Int); ok {
		y, ok := b.(*big.Int)
		return ok && x.Cmp(y) == 0
	}
	if x, ok := a.(*tuple); ok && len(x.items) == 0 {
		y, ok := b.(*tuple)
		return ok && len(y.items) == 0
	}
	return a == b
}
