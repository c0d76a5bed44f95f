package chat

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// library is what templates find by name.
type library struct {
	filters map[string]*builtin
	tests   map[string]*builtin
	globals map[string]Value
	methods map[string]map[string]*builtin // by type
}

// std is Jinja's library with the additions of transformers: tojson as plain
// JSON, raise_exception and strftime_now.
var std = &library{filters: filterTable, tests: testTable, globals: globalTable, methods: methodTable}

var filterTable = alias(table(
	def("abs(x, /)", filterAbs),
	def("attr(obj, name)", filterAttr),
	def("batch(value, linecount, fill_with?)", filterBatch),
	def("capitalize(s)", func(c *call) (Value, error) { return c.like(capitalize(c.text(0))), nil }),
	def("center(value, width?)", filterCenter),
	def("default(value, default_value?, boolean?)", filterDefault),
	def("dictsort(value, case_sensitive?, by?, reverse?)", filterDictSort),
	def("escape(s)", func(c *call) (Value, error) { return c.ip.escape(c.args[0]) }),
	def("filesizeformat(value, binary?)", filterFileSize),
	def("first(seq)", filterFirst),
	def("float(value, default?)", filterFloat),
	def("forceescape(value)", func(c *call) (Value, error) { return markup(escapeHTML(c.text(0))), nil }),
	rawDef("format", filterFormat),
	def("groupby(value, attribute, default?, case_sensitive?)", filterGroupBy),
	def("indent(s, width?, first?, blank?)", filterIndent),
	def("int(value, default?, base?)", filterInt),
	def("items(value)", filterItems),
	def("join(value, d?, attribute?)", filterJoin),
	def("last(seq)", filterLast),
	def("length(obj, /)", filterLength),
	def("list(value)", func(c *call) (Value, error) { return newList(slices.Clone(c.items(0))), nil }),
	def("lower(s)", func(c *call) (Value, error) { return c.like(toLower(c.text(0))), nil }),
	rawDef("map", filterMap),
	def("max(value, case_sensitive?, attribute?)", func(c *call) (Value, error) { return c.extreme(">") }),
	def("min(value, case_sensitive?, attribute?)", func(c *call) (Value, error) { return c.extreme("<") }),
	def("pprint(value)", filterPprint),
	def("random(seq)", filterRandom),
	rawDef("reject", selector(false, false)),
	rawDef("rejectattr", selector(false, true)),
	def("replace(s, old, new, count?)", filterReplace),
	def("reverse(value)", filterReverse),
	def("round(value, precision?, method?)", filterRound),
	def("safe(value)", func(c *call) (Value, error) { return markup(c.text(0)), nil }),
	rawDef("select", selector(true, false)),
	rawDef("selectattr", selector(true, true)),
	def("slice(value, slices, fill_with?)", filterSlice),
	def("sort(value, reverse?, case_sensitive?, attribute?)", filterSort),
	def("string(object)", func(c *call) (Value, error) { return c.like(c.text(0)), nil }),
	def("striptags(value)", func(c *call) (Value, error) { return stripTags(c.text(0)), nil }),
	def("sum(iterable, attribute?, start?)", filterSum),
	def("title(s)", func(c *call) (Value, error) { return filterTitle(c.text(0)), nil }),
	def("tojson(x, ensure_ascii?, indent?, separators?, sort_keys?)", filterToJSON),
	def("trim(value, chars?)", filterTrim),
	def("truncate(s, length?, killwords?, end?, leeway?)", filterTruncate),
	def("unique(value, case_sensitive?, attribute?)", filterUnique),
	def("upper(s)", func(c *call) (Value, error) { return c.like(toUpper(c.text(0))), nil }),
	def("urlencode(value)", filterURLEncode),
	def("urlize(value, trim_url_limit?, nofollow?, target?, rel?, extra_schemes?)", filterURLize),
	def("wordcount(s)", filterWordCount),
	def("wordwrap(s, width?, break_long_words?, wrapstring?, break_on_hyphens?)", filterWordWrap),
	def("xmlattr(d, autospace?)", filterXMLAttr),
), "count", "length", "d", "default", "e", "escape")

func filterAbs(c *call) (Value, error) {
	n, ok := number(c.args[0])
	if !ok {
		return nil, typeErrorf("bad operand type for abs(): '%s'", typeName(c.args[0]))
	}
	if f, ok := n.(float64); ok {
		return math.Abs(f), nil
	}
	if compareNumbers(n, int64(0)) < 0 {
		return negate(n)
	}
	return n, nil
}

func filterAttr(c *call) (Value, error) {
	name := c.str(1)
	if u, ok := c.args[0].(*undefined); ok && !objectAttributes[name] {
		return nil, u.fail()
	}
	v, err := c.ip.attribute(c.args[0], name)
	if err == nil && isMissing(v) {
		v = &undefined{hasObj: true, obj: c.args[0], name: name}
	}
	return v, err
}

func filterDefault(c *call) (Value, error) {
	_, undef := c.args[0].(*undefined)
	if !undef && !(c.bool(2, false) && !truth(c.args[0])) {
		return c.args[0], nil
	}
	if c.has(1) {
		return c.args[1], nil
	}
	return "", nil
}

func filterFloat(c *call) (Value, error) {
	switch v := c.args[0].(type) {
	case *undefined:
		return nil, v.fail()
	case string, markup:
		if err := c.ip.work(16 * len(text(v))); err != nil { // a digit costs more than other text
			return nil, err
		}
		if f, ok := parseFloat(text(v)); ok {
			return f, nil
		}
	default:
		if n, ok := number(v); ok {
			return toFloat(n)
		}
	}
	if c.has(1) {
		return c.args[1], nil
	}
	return 0.0, nil
}

// parseFloat is Python's float(s).
func parseFloat(s string) (float64, bool) {
	s = trimSpace(s)
	if strings.ContainsAny(s, "xXpP") {
		return 0, false
	}
	var b strings.Builder
	prev := rune(0)
	for i, r := range s {
		if d, ok := digitValue(r); ok {
			b.WriteByte(byte('0' + d))
		} else if r == '_' {
			next := i + 1
			if !isDecimal(byte(min(prev, 127))) || next >= len(s) || !isDecimal(s[next]) {
				return 0, false
			}
		} else {
			b.WriteRune(r)
		}
		prev = r
	}
	f, err := strconv.ParseFloat(b.String(), 64)
	if err != nil && !strings.Contains(err.Error(), "range") {
		return 0, false
	}
	return f, true
}

func filterInt(c *call) (Value, error) {
	var deflt Value = int64(0)
	if c.has(1) {
		deflt = c.args[1]
	}
	switch v := c.args[0].(type) {
	case *undefined:
		return nil, v.fail()
	case string, markup:
		n := min(len(text(v)), maxIntBits)
		if err := c.ip.work(n * n / 1024); err != nil { // digits are converted in quadratic time
			return nil, err
		}
		base := int64(10)
		valid := true
		if c.has(2) {
			base, valid = integer(c.args[2])
		}
		if n, ok := parseInt(text(v), int(base)); ok && valid {
			return n, nil
		}
		f, ok := parseFloat(text(v)) // so that "42.23" gives 42
		if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return deflt, nil
		}
		return intFromFloat(f)
	case float64:
		if math.IsNaN(v) {
			return deflt, nil
		}
		return intFromFloat(v)
	}
	if n, ok := number(c.args[0]); ok {
		return n, nil
	}
	return deflt, nil
}

func filterRound(c *call) (Value, error) {
	method := "common"
	if c.has(2) {
		method = c.str(2)
	}
	if method != "common" && method != "ceil" && method != "floor" {
		return nil, typeErrorf("method must be common, ceil or floor")
	}
	v, ok := number(c.args[0])
	if !ok {
		c.wrongType(0, "a number")
		return nil, nil
	}
	if method == "common" {
		if c.has(1) && c.args[1] == nil {
			return roundNumber(v, 0, true)
		}
		return roundNumber(v, c.int(1, 0), false)
	}
	var prec Value = int64(0)
	if c.has(1) {
		prec = c.args[1]
	}
	scale, err := c.ip.operate("**", int64(10), prec)
	if err != nil {
		return nil, err
	}
	scaled, err := c.ip.operate("*", v, scale)
	if err != nil {
		return nil, err
	}
	if f, ok := scaled.(float64); ok {
		if method == "ceil" {
			f = math.Ceil(f)
		} else {
			f = math.Floor(f)
		}
		if scaled, err = intFromFloat(f); err != nil {
			return nil, err
		}
	}
	return c.ip.operate("/", scaled, scale)
}

// roundNumber is Python's round(v, n): to the nearest, a tie to even. Without
// n (toInt) a float becomes an int.
func roundNumber(v Value, n int64, toInt bool) (Value, error) {
	f, ok := v.(float64)
	if !ok {
		return roundInt(toBig(v), n)
	}
	if toInt {
		return intFromFloat(math.RoundToEven(f))
	}
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0) || n > 323:
		return f, nil
	case n < -308:
		return math.Copysign(0, f), nil
	case n >= 0:
		return strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(n), 64), 64)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-n), nil)
	q := new(big.Rat).SetFloat64(f)
	q.Quo(q, new(big.Rat).SetInt(unit))
	i := roundRat(q)
	out, _ := new(big.Float).SetInt(i.Mul(i, unit)).Float64()
	if out == 0 {
		out = math.Copysign(0, f)
	}
	return out, nil
}

func roundInt(v *big.Int, n int64) (Value, error) {
	if n >= 0 {
		return normInt(v)
	}
	if n < -maxIntBits/3 {
		return int64(0), nil
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-n), nil)
	q := roundRat(new(big.Rat).SetFrac(v, unit))
	return normInt(q.Mul(q, unit))
}

// roundRat rounds to the nearest integer, a tie to even.
func roundRat(q *big.Rat) *big.Int {
	twice := new(big.Rat).Mul(q, big.NewRat(2, 1))
	floor, rem := new(big.Int).DivMod(q.Num(), q.Denom(), new(big.Int))
	half := new(big.Int).Lsh(rem, 1).Cmp(q.Denom())
	if half > 0 || half == 0 && twice.IsInt() && floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	return floor
}

func filterFileSize(c *call) (Value, error) {
	size, ok := 0.0, false
	if s, isText := asString(c.args[0]); isText {
		size, ok = parseFloat(s)
	} else if n, isNumber := number(c.args[0]); isNumber {
		f, err := toFloat(n)
		if err != nil {
			return nil, err
		}
		size, ok = f, true
	}
	if !ok {
		c.wrongType(0, "a number")
		return nil, nil
	}
	base, suffix := 1000.0, "B"
	prefixes := "kMGTPEZY"
	if c.bool(1, false) {
		base, suffix, prefixes = 1024, "iB", "KMGTPEZY"
	}
	switch {
	case size == 1:
		return "1 Byte", nil
	case math.IsNaN(size):
		return "nan " + prefixes[7:] + suffix, nil
	case size < base:
		n, err := intFromFloat(size)
		if err != nil {
			return nil, err
		}
		return shortRepr(n) + " Bytes", nil
	}
	unit := base
	i := 0
	for ; i < 7 && size >= unit*base; i++ {
		unit *= base
	}
	return formatFloatVerb(base*size/(unit*base), 'f', 1, false) + " " + prefixes[i:i+1] + suffix, nil
}

func filterLength(c *call) (Value, error) {
	if lc, ok := c.args[0].(*loopContext); ok {
		n, err := lc.length()
		return int64(n), err
	}
	n, ok := length(c.args[0])
	if !ok {
		return nil, typeErrorf("object of type '%s' has no len()", typeName(c.args[0]))
	}
	return int64(n), nil
}

func filterRandom(c *call) (Value, error) {
	n, ok := length(c.args[0])
	if _, isDict := c.args[0].(*Dict); !ok || isDict {
		c.wrongType(0, "a sequence")
		return nil, nil
	}
	if n == 0 {
		return undefinedHint("No random item, sequence was empty."), nil
	}
	return c.ip.getitem(c.args[0], int64(c.ip.rand().IntN(n)))
}
