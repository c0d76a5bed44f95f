package chat

import (
	"math"
	"math/big"
	"math/bits"
)

func toBig(v Value) *big.Int {
	switch v := v.(type) {
	case int64:
		return big.NewInt(v)
	case *big.Int:
		return v
	}
	return nil
}

// normInt returns n as int64 where it fits.
func normInt(n *big.Int) (Value, error) {
	if n.IsInt64() {
		return n.Int64(), nil
	}
	if n.BitLen() > maxIntBits {
		return nil, errorf(Limit, "an integer has more than %d bits", maxIntBits)
	}
	return n, nil
}

func toFloat(v Value) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int64:
		return float64(v), nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(f, 0) {
			return 0, typeErrorf("int too large to convert to float")
		}
		return f, nil
	}
	return 0, typeErrorf("must be real number, not %s", typeName(v))
}

// bigWords is the size of a big integer in words of 64 bits, 0 for other values.
func bigWords(v Value) int {
	if n, ok := v.(*big.Int); ok {
		return n.BitLen()/64 + 1
	}
	return 0
}

// arith applies a binary operator to two numbers with Python's rules.
func arith(op string, a, b Value) (Value, error) {
	if op == "/" {
		return trueDivide(a, b)
	}
	_, fa := a.(float64)
	_, fb := b.(float64)
	if fa || fb {
		return floatArith(op, a, b)
	}
	x, okx := a.(int64)
	y, oky := b.(int64)
	if okx && oky {
		if v, ok := smallArith(op, x, y); ok {
			return v, nil
		}
	}
	return bigArith(op, toBig(a), toBig(b))
}

func smallArith(op string, x, y int64) (Value, bool) {
	switch op {
	case "+":
		s := x + y
		return s, (s > x) == (y > 0)
	case "-":
		s := x - y
		return s, (s < x) == (y > 0)
	case "*":
		if x == 0 || y == 0 {
			return int64(0), true
		}
		hi, lo := bits.Mul64(magnitude(x), magnitude(y))
		return x * y, hi == 0 && lo < 1<<63
	case "//", "%":
		if y == 0 || y == -1 {
			return nil, false
		}
		q, r := x/y, x%y
		if r != 0 && (r < 0) != (y < 0) {
			q, r = q-1, r+y
		}
		if op == "%" {
			return r, true
		}
		return q, true
	}
	return nil, false
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

func bigArith(op string, x, y *big.Int) (Value, error) {
	z := new(big.Int)
	switch op {
	case "+":
		return normInt(z.Add(x, y))
	case "-":
		return normInt(z.Sub(x, y))
	case "*":
		if x.BitLen()+y.BitLen() > maxIntBits+64 {
			return nil, errorf(Limit, "an integer has more than %d bits", maxIntBits)
		}
		return normInt(z.Mul(x, y))
	case "**":
		return bigPow(x, y)
	}
	if y.Sign() == 0 {
		return nil, typeErrorf("integer division or modulo by zero")
	}
	r := new(big.Int)
	z.QuoRem(x, y, r)
	if r.Sign() != 0 && (r.Sign() < 0) != (y.Sign() < 0) {
		z.Sub(z, big.NewInt(1))
		r.Add(r, y)
	}
	if op == "%" {
		return normInt(r)
	}
	return normInt(z)
}

func bigPow(x, y *big.Int) (Value, error) {
	if y.Sign() < 0 {
		a, errA := toFloat(x)
		b, errB := toFloat(y)
		if errA != nil || errB != nil {
			return nil, typeErrorf("int too large to convert to float")
		}
		return floatPow(a, b)
	}
	one := x.IsInt64() && (x.Int64() == 0 || magnitude(x.Int64()) == 1)
	if one && !y.IsInt64() {
		y = big.NewInt(int64(2 + y.Bit(0)))
	}
	if !one && (!y.IsInt64() || int64(x.BitLen()-1)*min(y.Int64(), maxIntBits+1) > maxIntBits) {
		return nil, errorf(Limit, "an integer has more than %d bits", maxIntBits)
	}
	return normInt(new(big.Int).Exp(x, y, nil))
}

func trueDivide(a, b Value) (Value, error) {
	x, err := toFloat(a)
	if err != nil {
		return nil, err
	}
	y, err := toFloat(b)
	if err != nil {
		return nil, err
	}
	if y == 0 {
		if _, ok := a.(float64); ok {
			return nil, typeErrorf("float division by zero")
		}
		return nil, typeErrorf("division by zero")
	}
	if ia, ib := toBig(a), toBig(b); x != 0 && ia != nil && ib != nil && (ia.BitLen() > 53 || ib.BitLen() > 53) {
		f, _ := new(big.Rat).SetFrac(ia, ib).Float64() // the exact quotient, rounded once
		return f, nil
	}
	return x / y, nil
}

func floatArith(op string, a, b Value) (Value, error) {
	x, err := toFloat(a)
	if err != nil {
		return nil, err
	}
	y, err := toFloat(b)
	if err != nil {
		return nil, err
	}
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "**":
		return floatPow(x, y)
	}
	if y == 0 {
		return nil, typeErrorf("float floor division or modulo by zero")
	}
	q, r := floatDivMod(x, y)
	if op == "%" {
		return r, nil
	}
	return q, nil
}

// floatDivMod is Python's divmod of floats: the remainder has the sign of y.
func floatDivMod(x, y float64) (q, r float64) {
	r = math.Mod(x, y)
	q = (x - r) / y
	if r == 0 {
		r = math.Copysign(0, y)
	} else if (r < 0) != (y < 0) {
		r += y
		q--
	}
	if q == 0 {
		return math.Copysign(0, x/y), r
	}
	f := math.Floor(q)
	if q-f > 0.5 {
		f++
	}
	return f, r
}

func floatPow(x, y float64) (Value, error) {
	if x == 0 && y < 0 {
		return nil, typeErrorf("0.0 cannot be raised to a negative power")
	}
	if x < 0 && y != math.Trunc(y) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return nil, typeErrorf("the result of ** is a complex number")
	}
	z := precisePow(x, y)
	if math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return nil, typeErrorf("(34, 'Numerical result out of range')")
	}
	return z, nil
}

// precisePow is math.Pow, which can be off in the last digit, made exact where
// the exponent is a multiple of a half: C's pow, and so Python, is right there.
func precisePow(x, y float64) float64 {
	n := math.Trunc(math.Abs(y))
	half := math.Abs(y) - n
	if n > 2048 || half != 0 && half != 0.5 || half != 0 && x < 0 || x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return math.Pow(x, y)
	}
	const prec = 512
	base := new(big.Float).SetPrec(prec).SetFloat64(x)
	z := new(big.Float).SetPrec(prec).SetInt64(1)
	for bit := 1 << 11; bit > 0; bit >>= 1 {
		z.Mul(z, z)
		if int(n)&bit != 0 {
			z.Mul(z, base)
		}
	}
	if half != 0 {
		z.Mul(z, new(big.Float).SetPrec(prec).Sqrt(base))
	}
	if y < 0 {
		z.Quo(new(big.Float).SetPrec(prec).SetInt64(1), z)
	}
	f, _ := z.Float64()
	return f
}

func negate(v Value) (Value, error) {
	switch v := v.(type) {
	case int64:
		if v != math.MinInt64 {
			return -v, nil
		}
		return normInt(new(big.Int).Neg(big.NewInt(v)))
	case *big.Int:
		return normInt(new(big.Int).Neg(v))
	case float64:
		return -v, nil
	}
	return nil, typeErrorf("bad operand type for unary -: '%s'", typeName(v))
}

// compareNumbers returns -1, 0, 1, or 2 where a NaN makes them unordered.
func compareNumbers(a, b Value) int {
	x, okx := a.(int64)
	y, oky := b.(int64)
	if okx && oky {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	f, fa := a.(float64)
	g, fb := b.(float64)
	if fa && fb {
		return compareFloats(f, g)
	}
	if fa {
		return compareFloatInt(f, toBig(b))
	}
	if fb {
		c := compareFloatInt(g, toBig(a))
		if c == 2 {
			return 2
		}
		return -c
	}
	return toBig(a).Cmp(toBig(b))
}

func compareFloats(f, g float64) int {
	switch {
	case f < g:
		return -1
	case f > g:
		return 1
	case f == g:
		return 0
	}
	return 2
}

func compareFloatInt(f float64, n *big.Int) int {
	switch {
	case math.IsNaN(f):
		return 2
	case math.IsInf(f, 1):
		return 1
	case math.IsInf(f, -1):
		return -1
	}
	return big.NewFloat(f).Cmp(new(big.Float).SetPrec(uint(max(64, n.BitLen()))).SetInt(n))
}

// intFromFloat is Python's int(f).
func intFromFloat(f float64) (Value, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, typeErrorf("cannot convert float %s to integer", formatFloat(f))
	}
	n, _ := big.NewFloat(math.Trunc(f)).Int(nil)
	return normInt(n)
}

// parseInt is Python's int(s, base): white space around, underscores between
// digits, a prefix where base is 0 or fits it.
func parseInt(s string, base int) (Value, bool) {
	s = trimSpace(s)
	neg := false
	if s != "" && (s[0] == '+' || s[0] == '-') {
		neg, s = s[0] == '-', s[1:]
	}
	if base != 0 && (base < 2 || base > 36) {
		return nil, false
	}
	prefixed := false
	if len(s) > 1 && s[0] == '0' {
		if b := map[byte]int{'x': 16, 'o': 8, 'b': 2}[s[1]|0x20]; b != 0 && (base == 0 || base == b) {
			base, s, prefixed = b, s[2:], true
		}
	}
	if base == 0 {
		base = 10
		if len(s) > 1 && s[0] == '0' && stripUnderscoresAndZeros(s) != "" {
			return nil, false
		}
	}
	digits, ok := asciiDigits(s, prefixed)
	if !ok || !convertible(digits, base) {
		return nil, false
	}
	n, ok := new(big.Int).SetString(digits, base)
	if !ok {
		return nil, false
	}
	if neg {
		n.Neg(n)
	}
	v, err := normInt(n)
	return v, err == nil
}

// convertible reports whether the digits are few enough: Python takes 4300 of
// them where the base is no power of two, and what has maxIntBits otherwise.
func convertible(digits string, base int) bool {
	if base&(base-1) != 0 {
		return len(digits) <= 4300
	}
	return len(digits) <= maxIntBits/bits.TrailingZeros(uint(base))+1
}

func stripUnderscoresAndZeros(s string) string {
	i := 0
	for i < len(s) && (s[i] == '0' || s[i] == '_') {
		i++
	}
	return s[i:]
}

// asciiDigits drops single underscores between digits and turns the decimal
// digits of other scripts into ASCII.
func asciiDigits(s string, leadingUnderscore bool) (string, bool) {
	out := make([]byte, 0, len(s))
	prevDigit := leadingUnderscore
	for _, r := range s {
		switch {
		case r == '_':
			if !prevDigit {
				return "", false
			}
			prevDigit = false
			continue
		case r < 0x80:
			if !('0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z') {
				return "", false
			}
			out = append(out, byte(r))
		default:
			d, ok := digitValue(r)
			if !ok {
				return "", false
			}
			out = append(out, byte('0'+d))
		}
		prevDigit = true
	}
	return string(out), len(out) > 0 && prevDigit
}
