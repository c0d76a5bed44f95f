package chat

import (
	"math"
	"math/big"
)

// Value is a value of the template language, which is Python's: nil (None),
// bool, int64, *big.Int (beyond int64), float64, string, *List, *Dict, and
// kinds of the interpreter's own.
type Value = any

// List is a Python list.
type List struct{ Items []Value }

type (
	missingValue struct{}
	markup       string // text marked as safe HTML
	tuple        struct {
		items []Value
		names []string // fields of a named tuple, nil for a plain one
	}
	rangeValue struct{ start, stop, step, n int64 }
	dictView   struct {
		d    *Dict
		kind viewKind
	}
	namespace struct{ attrs *Dict }
	// generator is a lazy sequence that can be walked once. next returns
	// missing at the end.
	generator struct {
		next func() (Value, error)
		kind string
		done bool
	}
	// undefined stands for what is not there. It prints as nothing and fails
	// in nearly every operation.
	undefined struct {
		hint     string
		hasObj   bool
		obj      Value
		name     Value
		security bool
	}
)

type viewKind int

const (
	viewKeys viewKind = iota
	viewValues
	viewItems
)

// missing is the absence of a value: an unset variable, an argument not given,
// the end of a generator. Templates never see it.
var missing Value = missingValue{}

func isMissing(v Value) bool { _, ok := v.(missingValue); return ok }

func newList(items []Value) *List          { return &List{Items: items} }
func newTuple(items ...Value) *tuple       { return &tuple{items: items} }
func undefinedName(name string) *undefined { return &undefined{name: name} }
func undefinedHint(hint string) *undefined { return &undefined{hint: hint} }

func (u *undefined) message() string {
	switch {
	case u.hint != "":
		return u.hint
	case !u.hasObj:
		return reprString(text(u.name)) + " is undefined"
	}
	if name, ok := u.name.(string); ok {
		return reprString(objectName(u.obj)) + " has no attribute " + reprString(name)
	}
	return objectName(u.obj) + " has no element " + shortRepr(u.name)
}

func (u *undefined) fail() error {
	if u.security {
		return errorf(Security, "%s", u.message())
	}
	return errorf(Undefined, "%s", u.message())
}

// text returns the text of a string or of marked-up text, else "".
func text(v Value) string {
	s, _ := asString(v)
	return s
}

func asString(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return string(v), true
	}
	return "", false
}

// like returns s as the kind of text that v is.
func like(v Value, s string) Value {
	if _, ok := v.(markup); ok {
		return markup(s)
	}
	return s
}

// sequence returns the items of a list or tuple.
func sequence(v Value) ([]Value, bool) {
	switch v := v.(type) {
	case *List:
		return v.Items, true
	case *tuple:
		return v.items, true
	}
	return nil, false
}

// typeName is the name of v's Python type.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *List:
		return "list"
	case *tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *rangeValue:
		return "range"
	case *dictView:
		return [...]string{"dict_keys", "dict_values", "dict_items"}[v.kind]
	case *generator:
		return v.kind
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *loopContext:
		return "LoopContext"
	case *macro:
		return "Macro"
	case *cycler:
		return "Cycler"
	case *joiner:
		return "Joiner"
	case *builtin:
		return "function"
	case *boundMethod:
		return "builtin_function_or_method"
	}
	return "object"
}

func objectName(v Value) string {
	switch v.(type) {
	case nil:
		return "None"
	case *namespace, *loopContext, *macro, *cycler, *joiner, markup:
		return "template " + typeName(v) + " object"
	}
	return typeName(v) + " object"
}

// truth is Python's bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case nil, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case *big.Int:
		return v.Sign() != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	case *List:
		return len(v.Items) > 0
	case *tuple:
		return len(v.items) > 0
	case *Dict:
		return v.Len() > 0
	case *dictView:
		return v.d.Len() > 0
	case *rangeValue:
		return v.n > 0
	}
	return true
}

// number returns v as an operand of arithmetic: int64, *big.Int or float64.
func number(v Value) (Value, bool) {
	switch v := v.(type) {
	case int64, *big.Int, float64:
		return v, true
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	}
	return nil, false
}

// integer returns v if it is an int (or bool) that fits.
func integer(v Value) (int64, bool) {
	n, ok := number(v)
	if !ok {
		return 0, false
	}
	switch n := n.(type) {
	case int64:
		return n, true
	case *big.Int: // an index this large is as good as the largest
		if n.Sign() < 0 {
			return math.MinInt64, true
		}
		return math.MaxInt64, true
	}
	return 0, false
}

// length is Python's len(v).
func length(v Value) (int, bool) {
	switch v := v.(type) {
	case string:
		return runeCount(v), true
	case markup:
		return runeCount(string(v)), true
	case *List:
		return len(v.Items), true
	case *tuple:
		return len(v.items), true
	case *Dict:
		return v.Len(), true
	case *dictView:
		return v.d.Len(), true
	case *rangeValue:
		return int(v.n), true
	case *undefined:
		return 0, true
	}
	return 0, false
}

func (r *rangeValue) at(i int64) int64 { return r.start + i*r.step }
