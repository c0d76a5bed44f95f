package chat

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
)

var globalTable = map[string]Value{
	"range":     rawDef("range", globalRange),
	"dict":      rawDef("dict", globalDict),
	"lipsum":    def("lipsum(n?, html?, min?, max?)", globalLipsum),
	"cycler":    rawDef("cycler", globalCycler),
	"joiner":    def("joiner(sep?)", globalJoiner),
	"namespace": rawDef("namespace", globalNamespace),
	"raise_exception": def("raise_exception(message)", func(c *call) (Value, error) {
		return nil, errorf(Raised, "%s", c.text(0))
	}),
	"strftime_now": def("strftime_now(format)", func(c *call) (Value, error) {
		return strftime(c.ip.now, c.str(0))
	}),
}

var methodTable = map[string]map[string]*builtin{
	"str": strMethods,
	"dict": table(
		def("items(self, /)", func(c *call) (Value, error) { return c.view(viewItems) }),
		def("keys(self, /)", func(c *call) (Value, error) { return c.view(viewKeys) }),
		def("values(self, /)", func(c *call) (Value, error) { return c.view(viewValues) }),
		def("get(self, key, default?, /)", dictGet),
		def("copy(self, /)", func(c *call) (Value, error) { return c.args[0].(*Dict).copy(), nil }),
	),
	"list": table(
		def("index(self, value, start?, stop?, /)", seqIndex),
		def("count(self, value, /)", seqCount),
		def("copy(self, /)", func(c *call) (Value, error) { return newList(append([]Value(nil), c.items(0)...)), nil }),
	),
	"tuple": table(def("index(self, value, start?, stop?, /)", seqIndex), def("count(self, value, /)", seqCount)),
	"range": table(def("index(self, value, /)", seqIndex), def("count(self, value, /)", seqCount)),
	"int": table(
		def("bit_length(self, /)", func(c *call) (Value, error) {
			n, _ := number(c.args[0])
			return int64(toBig(n).BitLen()), nil
		}),
		def("bit_count(self, /)", func(c *call) (Value, error) {
			n, _ := number(c.args[0])
			count := 0
			for _, w := range toBig(n).Bits() {
				count += bits.OnesCount(uint(w))
			}
			return int64(count), nil
		}),
		def("conjugate(self, /)", func(c *call) (Value, error) {
			n, _ := number(c.args[0])
			return n, nil
		}),
	),
	"float": table(
		def("is_integer(self, /)", func(c *call) (Value, error) {
			f := c.args[0].(float64)
			return f == math.Trunc(f) && !math.IsInf(f, 0), nil
		}),
		def("conjugate(self, /)", func(c *call) (Value, error) { return c.args[0], nil }),
	),
	"Cycler": table(
		def("next(self)", func(c *call) (Value, error) {
			cy := c.args[0].(*cycler)
			v := cy.items[cy.pos]
			cy.pos = (cy.pos + 1) % len(cy.items)
			return v, nil
		}),
		def("reset(self)", func(c *call) (Value, error) {
			c.args[0].(*cycler).pos = 0
			return nil, nil
		}),
	),
	"LoopContext": table(rawDef("cycle", loopCycle), rawDef("changed", loopChanged)),
}

func (c *call) view(kind viewKind) (Value, error) { return &dictView{c.args[0].(*Dict), kind}, nil }

func dictGet(c *call) (Value, error) {
	v, ok, err := c.args[0].(*Dict).lookup(c.args[1])
	if err != nil || ok {
		return v, err
	}
	if c.has(2) {
		return c.args[2], nil
	}
	return nil, nil
}

func seqIndex(c *call) (Value, error) {
	items := c.items(0)
	start, stop := int64(0), int64(len(items))
	if len(c.args) > 2 {
		from, to := c.int(2, 0), c.int(3, stop)
		var count int64
		start, count = sliceRange(&from, &to, 1, stop)
		stop = start + count
	}
	for i := start; i < stop; i++ {
		ok, err := c.ip.equal(items[i], c.args[1])
		if err != nil {
			return nil, err
		}
		if ok {
			return i, nil
		}
	}
	return nil, typeErrorf("%s is not in %s", shortRepr(c.args[1]), typeName(c.args[0]))
}

func seqCount(c *call) (Value, error) {
	n := int64(0)
	for _, item := range c.items(0) {
		ok, err := c.ip.equal(item, c.args[1])
		if err != nil {
			return nil, err
		}
		if ok {
			n++
		}
	}
	return n, nil
}

func globalRange(_ *interp, args arguments) (Value, error) {
	if len(args.pos) < 1 || len(args.pos) > 3 || len(args.names) > 0 {
		return nil, typeErrorf("range expected 1 to 3 arguments, got %d", len(args.pos)+len(args.names))
	}
	var n [3]int64
	for i, v := range args.pos {
		k, ok := integer(v)
		if !ok {
			if u, ok := v.(*undefined); ok {
				return nil, u.fail()
			}
			return nil, typeErrorf("'%s' object cannot be interpreted as an integer", typeName(v))
		}
		n[i] = k
	}
	r := &rangeValue{stop: n[0], step: 1}
	if len(args.pos) > 1 {
		r.start, r.stop = n[0], n[1]
	}
	if len(args.pos) > 2 {
		r.step = n[2]
	}
	if r.step == 0 {
		return nil, typeErrorf("range() arg 3 must not be zero")
	}
	if r.step > 0 && r.start < r.stop || r.step < 0 && r.start > r.stop {
		span := uint64(r.stop) - uint64(r.start)
		if r.step < 0 {
			span = -span
		}
		count := (span-1)/magnitude(r.step) + 1
		if count > maxRange {
			return nil, errorf(Limit, "range too big: the sandbox blocks ranges larger than %d", maxRange)
		}
		r.n = int64(count)
	}
	return r, nil
}

func globalDict(ip *interp, args arguments) (Value, error) {
	d := &Dict{}
	if len(args.pos) > 1 {
		return nil, typeErrorf("dict expected at most 1 argument, got %d", len(args.pos))
	}
	if len(args.pos) == 1 {
		if src, ok := args.pos[0].(*Dict); ok {
			d = src.copy()
		} else if u, ok := args.pos[0].(*undefined); ok {
			return nil, u.fail()
		} else if err := ip.fillDict(d, args.pos[0]); err != nil {
			return nil, err
		}
	}
	for i, name := range args.names {
		d.Set(name, args.vals[i])
	}
	return d, nil
}

// fillDict adds pairs of key and value.
func (ip *interp) fillDict(d *Dict, pairs Value) error {
	items, err := ip.collect(pairs)
	if err != nil {
		return err
	}
	for i, p := range items {
		kv, err := ip.collect(p)
		if err != nil {
			return err
		}
		if len(kv) != 2 {
			return typeErrorf("dictionary update sequence element #%d has length %d; 2 is required", i, len(kv))
		}
		if err := d.set(kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

func globalNamespace(ip *interp, args arguments) (Value, error) {
	d, err := globalDict(ip, args)
	if err != nil {
		return nil, err
	}
	return &namespace{d.(*Dict)}, nil
}

func globalCycler(_ *interp, args arguments) (Value, error) {
	if len(args.pos) == 0 || len(args.names) > 0 {
		return nil, typeErrorf("at least one item has to be provided")
	}
	return &cycler{items: args.pos}, nil
}

func globalJoiner(c *call) (Value, error) {
	j := &joiner{sep: ", "}
	if c.has(0) {
		j.sep = c.args[0]
	}
	return j, nil
}

// rand is a source of random numbers for this render. It is seeded by the
// input's clock, so that the same input gives the same text.
func (ip *interp) rand() *rand.Rand {
	if ip.random == nil {
		ip.random = rand.New(rand.NewPCG(uint64(ip.now.UnixNano()), 0))
	}
	return ip.random
}

const lipsumWords = `a ac accumsan ad adipiscing aenean aliquam aliquet amet ante arcu at auctor augue bibendum blandit
	commodo condimentum congue consectetur cras cursus dapibus diam dictum dignissim dolor donec dui duis egestas eget
	elementum elit enim erat eros est et eu euismod facilisis fames felis fermentum feugiat finibus fringilla fusce
	gravida habitant hendrerit iaculis id imperdiet in integer ipsum justo lacinia lacus laoreet lectus leo libero ligula
	lobortis lorem luctus maecenas magna malesuada massa mattis mauris maximus metus mi mollis morbi nam nec neque nibh
	nisi nisl non nulla nunc odio orci ornare pellentesque pharetra phasellus placerat porta posuere praesent pretium
	proin pulvinar purus quam quis rhoncus risus rutrum sagittis sapien scelerisque sed sem semper sit sodales
	sollicitudin suscipit suspendisse tellus tempor tempus tincidunt tortor tristique turpis ullamcorper ultrices urna
	ut varius vehicula vel velit venenatis vestibulum vitae vivamus viverra volutpat vulputate`

func globalLipsum(c *call) (Value, error) {
	n, html, low, high := c.int(0, 5), c.bool(1, true), c.int(2, 20), c.int(3, 100)
	if c.err != nil {
		return nil, c.err
	}
	if low >= high || low < 0 || n > 1000 || high > 10_000 {
		return nil, typeErrorf("lipsum(): %d paragraphs of %d to %d words", n, low, high)
	}
	words := strings.Fields(lipsumWords)
	var paragraphs []string
	for range n {
		var b strings.Builder
		for i := range low + c.ip.rand().Int64N(high-low) {
			w := words[c.ip.rand().IntN(len(words))]
			if i == 0 {
				w = capitalize(w)
			} else {
				b.WriteByte(' ')
			}
			b.WriteString(w)
		}
		b.WriteByte('.')
		if err := c.ip.made(b.Len()); err != nil {
			return nil, err
		}
		paragraphs = append(paragraphs, b.String())
	}
	if !html {
		return strings.Join(paragraphs, "\n\n"), nil
	}
	for i, p := range paragraphs {
		paragraphs[i] = "<p>" + p + "</p>"
	}
	return markup(strings.Join(paragraphs, "\n")), nil
}
