package chat

import (
	"math/big"
	"strings"
	"unicode/utf8"
)

// getattr is obj.name: an attribute, else an item. What Python programs could
// misuse is closed off: names with an underscore in front, and methods that
// change their object.
func (ip *interp) getattr(obj Value, name string) (Value, error) {
	switch o := obj.(type) {
	case *undefined:
		if !objectAttributes[name] {
			return nil, o.fail()
		}
	case *Dict: // by far the most frequent; no method has a name like these
		if v, ok := o.Get(name); ok && ip.lib.methods["dict"][name] == nil {
			return v, nil
		}
	}
	v, err := ip.attribute(obj, name)
	if err != nil || !isMissing(v) {
		return v, err
	}
	return &undefined{hasObj: true, obj: obj, name: name}, nil
}

// attribute returns a Python attribute, missing if there is none.
func (ip *interp) attribute(obj Value, name string) (Value, error) {
	v, err := ip.plainAttribute(obj, name)
	if err != nil {
		return nil, err
	}
	if isMissing(v) && !(strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__")) {
		return missing, nil
	}
	if strings.HasPrefix(name, "_") || mutators[typeName(obj)][name] {
		return &undefined{security: true, name: name, hint: "access to attribute " + reprString(name) + " of " +
			reprString(typeName(obj)) + " object is unsafe."}, nil
	}
	return v, nil
}

// objectAttributes are what every Python object has, undefined ones too.
var objectAttributes = map[string]bool{"__class__": true, "__doc__": true, "__module__": true, "__init__": true,
	"__new__": true, "__repr__": true, "__str__": true, "__eq__": true, "__ne__": true, "__hash__": true, "__dir__": true,
	"__format__": true, "__reduce__": true, "__reduce_ex__": true, "__getattribute__": true, "__setattr__": true,
	"__delattr__": true, "__sizeof__": true, "__subclasshook__": true, "__init_subclass__": true}

// mutators are the methods that the sandbox does not let through.
var mutators = map[string]map[string]bool{
	"list": {"append": true, "clear": true, "pop": true, "reverse": true, "insert": true, "sort": true,
		"extend": true, "remove": true},
	"dict": {"clear": true, "pop": true, "popitem": true, "setdefault": true, "update": true},
}

func (ip *interp) plainAttribute(obj Value, name string) (Value, error) {
	typ := typeName(obj)
	if mutators[typ][name] {
		return nil, nil // exists; attribute refuses it
	}
	switch o := obj.(type) {
	case *namespace:
		if v, ok := o.attrs.Get(name); ok {
			return v, nil
		}
		return missing, nil
	case *loopContext:
		return o.attribute(name)
	case *macro:
		return o.attribute(name), nil
	case *tuple:
		for i, n := range o.names {
			if n == name {
				return o.items[i], nil
			}
		}
	case *cycler:
		if name == "current" {
			return o.items[o.pos], nil
		}
	case *rangeValue:
		switch name {
		case "start":
			return o.start, nil
		case "stop":
			return o.stop, nil
		case "step":
			return o.step, nil
		}
	case *selfValue:
		if b := ip.tmpl.blocks[name]; b != nil {
			return &blockRef{b}, nil
		}
		return missing, nil
	case bool, int64, *big.Int, float64:
		if v := numberAttribute(o, name); !isMissing(v) {
			return v, nil
		}
	}
	switch typ {
	case "Markup":
		typ = "str"
	case "bool":
		typ = "int"
	}
	if m := ip.lib.methods[typ][name]; m != nil {
		return &boundMethod{obj, m}, nil
	}
	return missing, nil
}

func numberAttribute(v Value, name string) Value {
	n, _ := number(v)
	if f, ok := n.(float64); ok {
		switch name {
		case "real":
			return f
		case "imag":
			return 0.0
		}
		return missing
	}
	switch name {
	case "real", "numerator":
		return n
	case "imag":
		return int64(0)
	case "denominator":
		return int64(1)
	}
	return missing
}

func (ip *interp) item(n *itemExpr, a *activation) (Value, error) {
	x, err := ip.eval(n.x, a)
	if err != nil {
		return nil, err
	}
	if s, ok := n.key.(*sliceExpr); ok {
		return ip.slice(x, s, a)
	}
	key, err := ip.eval(n.key, a)
	if err != nil {
		return nil, err
	}
	return ip.getitem(x, key)
}

// getitem is obj[key]: an item, else an attribute, else undefined.
func (ip *interp) getitem(obj, key Value) (Value, error) {
	v, err := ip.subscript(obj, key)
	if err != nil || !isMissing(v) {
		return v, err
	}
	if name, ok := asString(key); ok {
		v, err := ip.attribute(obj, name)
		if err != nil || !isMissing(v) {
			return v, err
		}
	}
	return &undefined{hasObj: true, obj: obj, name: key}, nil
}

// subscript returns missing where Python raises TypeError or LookupError.
func (ip *interp) subscript(obj, key Value) (Value, error) {
	switch o := obj.(type) {
	case *undefined:
		return nil, o.fail()
	case *Dict:
		if s, ok := key.(string); ok {
			if v, ok := o.Get(s); ok {
				return v, nil
			}
			return missing, nil
		}
		v, ok, err := o.lookup(key)
		if err != nil || !ok {
			return missing, nil
		}
		return v, nil
	case *selfValue:
		if b := ip.tmpl.blocks[text(key)]; b != nil {
			return &blockRef{b}, nil
		}
		return missing, nil
	}
	i, ok := integer(key)
	if !ok {
		return missing, nil
	}
	if items, ok := sequence(obj); ok {
		if i < 0 {
			i += int64(len(items))
		}
		if i < 0 || i >= int64(len(items)) {
			return missing, nil
		}
		return items[i], nil
	}
	if s, ok := asString(obj); ok {
		c := runeAt(s, i)
		if c == "" {
			return missing, nil
		}
		return like(obj, c), ip.work(4 * len(s))
	}
	if r, ok := obj.(*rangeValue); ok {
		if i < 0 {
			i += r.n
		}
		if 0 <= i && i < r.n {
			return r.at(i), nil
		}
	}
	return missing, nil
}

// runeAt returns the i-th character of s, from the end for negative i, or "".
func runeAt(s string, i int64) string {
	n := int64(runeCount(s))
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return ""
	}
	if n == int64(len(s)) {
		return s[i : i+1]
	}
	for at, r := range s {
		if i == 0 {
			return s[at : at+max(1, utf8.RuneLen(r))]
		}
		i--
	}
	return ""
}

// slice is x[start:stop:step].
func (ip *interp) slice(x Value, n *sliceExpr, a *activation) (Value, error) {
	var bounds [3]*int64
	for i, part := range []node{n.start, n.stop, n.step} {
		if part == nil {
			continue
		}
		v, err := ip.eval(part, a)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		k, ok := integer(v)
		if !ok {
			return nil, typeErrorf("slice indices must be integers or None, not %s", typeName(v))
		}
		bounds[i] = &k
	}
	switch o := x.(type) {
	case *undefined:
		return nil, o.fail()
	case *Dict:
		return nil, typeErrorf("unhashable type: 'slice'")
	}
	step := int64(1)
	if bounds[2] != nil {
		step = *bounds[2]
	}
	if step == 0 {
		return nil, typeErrorf("slice step cannot be zero")
	}
	size, ok := length(x)
	if !ok {
		return nil, typeErrorf("'%s' object is not subscriptable", typeName(x))
	}
	start, count := sliceRange(bounds[0], bounds[1], step, int64(size))
	if s, ok := asString(x); ok {
		v := like(x, sliceText(s, start, step, count))
		return ip.result(v, ip.work(len(s)))
	}
	if r, ok := x.(*rangeValue); ok {
		return &rangeValue{r.at(start), r.at(start + step*count), r.step * step, count}, nil
	}
	items, ok := sequence(x)
	if !ok {
		return nil, typeErrorf("'%s' object is not subscriptable", typeName(x))
	}
	out := make([]Value, count)
	for i := range out {
		out[i] = items[start+int64(i)*step]
	}
	return ip.result(likeSequence(x, out), nil)
}

// sliceRange clips Python slice bounds to a sequence of n items.
func sliceRange(from, to *int64, step, n int64) (start, count int64) {
	clip := func(p *int64, low, high, absent int64) int64 {
		if p == nil {
			return absent
		}
		i := *p
		if i < 0 {
			i += n
		}
		return min(max(i, low), high)
	}
	if step > 0 {
		start = clip(from, 0, n, 0)
		stop := clip(to, 0, n, n)
		if stop <= start {
			return start, 0
		}
		return start, (stop-start-1)/step + 1
	}
	start = clip(from, -1, n-1, n-1)
	stop := clip(to, -1, n-1, -1)
	if start <= stop {
		return max(start, 0), 0
	}
	return start, int64((uint64(start-stop)-1)/magnitude(step)) + 1
}

func sliceText(s string, start, step, count int64) string {
	if count == 0 {
		return ""
	}
	if isASCII(s) {
		if step == 1 {
			return s[start : start+count]
		}
		out := make([]byte, count)
		for i := range out {
			out[i] = s[start+int64(i)*step]
		}
		return string(out)
	}
	rs := []rune(s)
	out := make([]rune, count)
	for i := range out {
		out[i] = rs[start+int64(i)*step]
	}
	return string(out)
}
