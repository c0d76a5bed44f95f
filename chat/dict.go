package chat

import (
	"iter"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Dict is a Python dict: a map that keeps the order in which keys were first
// set. JSON objects decode into it with their order kept. The zero Dict is
// empty and ready for use.
type Dict struct {
	keys  []Value
	vals  []Value
	index map[any]int // from hashKey; nil while the dict is small
}

const smallDict = 8 // up to here a scan is faster than a map

// NewDict returns a dict of alternating keys and values. The keys must be
// strings.
func NewDict(keysAndValues ...any) *Dict {
	d := &Dict{}
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		d.Set(keysAndValues[i].(string), keysAndValues[i+1])
	}
	return d
}

// Len returns the number of keys. A nil Dict has none.
func (d *Dict) Len() int {
	if d == nil {
		return 0
	}
	return len(d.keys)
}

// Get returns the value of key and whether it is there.
func (d *Dict) Get(key string) (Value, bool) {
	if d == nil {
		return nil, false
	}
	if i := d.findString(key); i >= 0 {
		return d.vals[i], true
	}
	return nil, false
}

// Set gives key a value. A new key goes to the end.
func (d *Dict) Set(key string, v Value) { d.put(key, key, v) }

// Delete removes key.
func (d *Dict) Delete(key string) {
	i := d.findString(key)
	if i < 0 {
		return
	}
	d.keys = append(d.keys[:i:i], d.keys[i+1:]...)
	d.vals = append(d.vals[:i:i], d.vals[i+1:]...)
	d.index = nil
	d.reindex()
}

// All walks the entries whose keys are strings, in order.
func (d *Dict) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i := range d.Len() {
			if k, ok := asString(d.keys[i]); ok && !yield(k, d.vals[i]) {
				return
			}
		}
	}
}

func (d *Dict) copy() *Dict {
	c := &Dict{keys: append([]Value(nil), d.keys...), vals: append([]Value(nil), d.vals...)}
	c.reindex()
	return c
}

func (d *Dict) reindex() {
	if len(d.keys) <= smallDict {
		return
	}
	d.index = make(map[any]int, 2*len(d.keys))
	for i, k := range d.keys {
		h, _ := hashKey(k, 0)
		d.index[h] = i
	}
}

func (d *Dict) findString(key string) int {
	if d.index != nil {
		if i, ok := d.index[key]; ok {
			return i
		}
		return -1
	}
	for i, k := range d.keys {
		if s, ok := k.(string); ok && s == key {
			return i
		}
		if s, ok := k.(markup); ok && string(s) == key {
			return i
		}
	}
	return -1
}

func (d *Dict) find(hash any) int {
	if s, ok := hash.(string); ok {
		return d.findString(s)
	}
	if d.index != nil {
		if i, ok := d.index[hash]; ok {
			return i
		}
		return -1
	}
	for i, k := range d.keys {
		if h, _ := hashKey(k, 0); h == hash {
			return i
		}
	}
	return -1
}

// lookup returns the value of any key; an unhashable one is an error.
func (d *Dict) lookup(key Value) (Value, bool, error) {
	h, err := hashKey(key, 0)
	if err != nil {
		return nil, false, err
	}
	if i := d.find(h); i >= 0 {
		return d.vals[i], true, nil
	}
	return nil, false, nil
}

func (d *Dict) set(key, v Value) error {
	h, err := hashKey(key, 0)
	if err == nil {
		d.put(h, key, v)
	}
	return err
}

func (d *Dict) put(hash any, key, v Value) {
	if i := d.find(hash); i >= 0 {
		d.vals[i] = v
		return
	}
	d.keys = append(d.keys, key)
	d.vals = append(d.vals, v)
	if d.index != nil {
		d.index[hash] = len(d.keys) - 1
	} else {
		d.reindex()
	}
}

type (
	noneKey      struct{}
	undefinedKey struct{}
	tupleKey     string
	bigKey       string
)

// hashKey maps equal dict keys (1, 1.0 and True are equal) to equal Go values.
func hashKey(v Value, depth int) (any, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case markup:
		return string(v), nil
	case nil:
		return noneKey{}, nil
	case bool, int64:
		n, _ := number(v)
		return n, nil
	case *big.Int:
		return bigKey(v.Text(62)), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			return int64(v), nil
		}
		if v == math.Trunc(v) && !math.IsInf(v, 0) {
			n, _ := big.NewFloat(v).Int(nil)
			return bigKey(n.Text(62)), nil
		}
		return v, nil
	case *undefined:
		return undefinedKey{}, nil
	case *tuple:
		return hashTuple(v, depth)
	case *List, *Dict:
		return nil, typeErrorf("unhashable type: '%s'", typeName(v))
	}
	return v, nil
}

func hashTuple(t *tuple, depth int) (any, error) {
	if depth > maxValueDeep {
		return nil, errorf(Limit, "a tuple is nested more than %d deep", maxValueDeep)
	}
	var b strings.Builder
	for _, item := range t.items {
		h, err := hashKey(item, depth+1)
		if err != nil {
			return nil, err
		}
		s := ""
		switch h := h.(type) {
		case string:
			s = "s" + h
		case int64:
			s = "i" + strconv.FormatInt(h, 10)
		case float64:
			s = "f" + strconv.FormatFloat(h, 'g', -1, 64)
		case bigKey:
			s = "b" + string(h)
		case tupleKey:
			s = "t" + string(h)
		case noneKey:
			s = "n"
		case undefinedKey:
			s = "u"
		default:
			return nil, typeErrorf("a tuple with a '%s' cannot be a key", typeName(item))
		}
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
		if b.Len() > 1<<20 {
			return nil, errorf(Limit, "a tuple is too large to be a key")
		}
	}
	return tupleKey(b.String()), nil
}
