package chat

import (
	"fmt"
	"strings"
	"time"
)

// strftime formats a local time without a zone as Python does on Linux, in the
// C locale.
func strftime(t time.Time, format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		start := i
		flags := ""
		for i++; i < len(format) && strings.IndexByte("-_0^#", format[i]) >= 0; i++ {
			flags += format[i : i+1]
		}
		width := 0
		for ; i < len(format) && isDecimal(format[i]); i++ {
			if width = width*10 + int(format[i]-'0'); width > 1024 {
				return "", errorf(Limit, "a width in a date format is above 1024")
			}
		}
		if i < len(format) && (format[i] == 'E' || format[i] == 'O') {
			i++
		}
		if i >= len(format) {
			b.WriteString(format[start:])
			break
		}
		s, pad, ok := timeField(t, format[i])
		if !ok || format[i] == 'f' && i-start > 1 {
			b.WriteString(format[start : i+1])
			continue
		}
		b.WriteString(applyFlags(s, pad, flags, width, format[i]))
	}
	return b.String(), nil
}

// timeField returns one field, unpadded, and how it is padded: the character
// and the width.
func timeField(t time.Time, verb byte) (string, string, bool) {
	num := func(n int, pad string) (string, string, bool) { return fmt.Sprint(n), pad, true }
	str := func(layout string) (string, string, bool) { return t.Format(layout), "", true }
	hour12 := (t.Hour()+11)%12 + 1
	isoYear, isoWeek := t.ISOWeek()
	monday := (int(t.Weekday()) + 6) % 7
	switch verb {
	case 'a':
		return str("Mon")
	case 'A':
		return str("Monday")
	case 'b', 'h':
		return str("Jan")
	case 'B':
		return str("January")
	case 'c':
		return str("Mon Jan _2 15:04:05 2006")
	case 'C':
		return num(t.Year()/100, "02")
	case 'd':
		return num(t.Day(), "02")
	case 'D', 'x':
		return str("01/02/06")
	case 'e':
		return num(t.Day(), " 2")
	case 'f':
		return num(t.Nanosecond()/1000, "06")
	case 'F':
		return str("2006-01-02")
	case 'g':
		return num(isoYear%100, "02")
	case 'G':
		return num(isoYear, "01")
	case 'H':
		return num(t.Hour(), "02")
	case 'I':
		return num(hour12, "02")
	case 'j':
		return num(t.YearDay(), "03")
	case 'k':
		return num(t.Hour(), " 2")
	case 'l':
		return num(hour12, " 2")
	case 'm':
		return num(int(t.Month()), "02")
	case 'M':
		return num(t.Minute(), "02")
	case 'n':
		return "\n", "", true
	case 'p':
		return str("PM")
	case 'P':
		return str("pm")
	case 'r':
		return str("03:04:05 PM")
	case 'R':
		return str("15:04")
	case 's':
		return fmt.Sprint(t.Unix()), "", true
	case 'S':
		return num(t.Second(), "02")
	case 't':
		return "\t", "", true
	case 'T', 'X':
		return str("15:04:05")
	case 'u':
		return num(monday+1, "01")
	case 'U':
		return num((t.YearDay()+6-int(t.Weekday()))/7, "02")
	case 'V':
		return num(isoWeek, "02")
	case 'w':
		return num(int(t.Weekday()), "01")
	case 'W':
		return num((t.YearDay()+6-monday)/7, "02")
	case 'y':
		return num(t.Year()%100, "02")
	case 'Y':
		return num(t.Year(), "01")
	case 'z', 'Z':
		return "", "", true
	case '%':
		return "%", "", true
	}
	return "", "", false
}

// applyFlags pads s as its field has it (pad is a character and a width) or as
// the flags say.
func applyFlags(s, pad, flags string, width int, verb byte) string {
	if s == "" {
		return ""
	}
	fill, n := " ", 0
	if pad != "" {
		fill, n = pad[:1], int(pad[1]-'0')
	}
	for _, f := range flags {
		switch f {
		case '-':
			n = 0
		case '_':
			fill = " "
		case '0':
			fill = "0"
		case '^', '#':
			switch {
			case f == '#' && verb == 'p':
				s = strings.ToLower(s)
			case f == '^' && verb != 'P', strings.IndexByte("aAbBh", verb) >= 0:
				s = strings.ToUpper(s)
			}
		}
	}
	return strings.Repeat(fill, max(0, max(n, width)-len(s))) + s
}
