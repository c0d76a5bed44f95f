package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"golang.org/x/text/width"

	"wenmo/internal/progress"
)

// emit prints a text and a line end.
func emit(cmd *cobra.Command, text string) error {
	_, err := io.WriteString(cmd.OutOrStdout(), text+"\n")
	return err
}

// emitJSON prints a value as one line of JSON, in every reading of "line".
func emitJSON(cmd *cobra.Command, v any) error {
	text, err := lineJSON(v)
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(append(text, '\n'))
	return err
}

// lineJSON returns a value as JSON without line ends.
func lineJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	// U+0085 is a line end for some; json escapes all the others itself.
	return bytes.ReplaceAll(text, []byte("\u0085"), []byte(`\u0085`)), nil
}

// note prints a line for people on standard error.
func note(cmd *cobra.Command, key string, args ...any) {
	fmt.Fprintln(cmd.ErrOrStderr(), say(key, args...))
}

// progressLine shows how far a work is on standard error.
func progressLine(cmd *cobra.Command, label string, unit progress.Unit) *progress.Line {
	line := progress.New(cmd.ErrOrStderr(), label, unit, false)
	line.Say(progress.Words{Amount: say("progress.amount"), Took: say("progress.took"), Left: say("progress.left")})
	return line
}

// closedPipe reports whether a write failed because nobody reads on, as after
// "| head -1".
func closedPipe(err error) bool {
	ends := []syscall.Errno{syscall.EPIPE}
	if runtime.GOOS == "windows" {
		ends = append(ends, 109, 232) // ERROR_BROKEN_PIPE, ERROR_NO_DATA
	}
	var errno syscall.Errno
	if errors.As(err, new(*net.OpError)) {
		return false // a connection, which is another matter
	}
	return errors.As(err, &errno) && slices.Contains(ends, errno)
}

// isTerminal reports whether a reader or writer is one.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// showsColor says that w is a terminal that may show colour.
func showsColor(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// dim makes a text grey where w may show colour.
func dim(w io.Writer, text string) string {
	if !showsColor(w) {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
}

// terminalWidth is how many columns w has; 80 where it is no terminal.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// table lays out rows in columns; Chinese characters count as two. Columns
// whose heading begins with ">" are flush right.
func table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	right := make([]bool, len(rows[0]))
	for i, heading := range rows[0] {
		rows[0][i], right[i] = strings.CutPrefix(heading, ">")
	}
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		if n > 0 {
			b.WriteByte('\n')
		}
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-columns(cell))
			if right[i] {
				line += pad + cell + "  "
			} else {
				line += cell + pad + "  "
			}
		}
		b.WriteString(strings.TrimRight(line, " "))
	}
	return b.String()
}

// columns is how wide a text is on a terminal.
func columns(text string) int {
	n := 0
	for _, r := range text {
		switch k := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case k == width.EastAsianWide || k == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// bytesText writes a number of bytes in powers of 1000.
func bytesText(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, i := float64(n), 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 || v >= 99.95 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// countText writes a number of parameters, as 134M.
func countText(n int64) string {
	units := []string{"", "K", "M", "B", "T"}
	v, i := float64(n), 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 || v >= 99.95 {
		return fmt.Sprintf("%.0f%s", v, units[i])
	}
	return fmt.Sprintf("%.1f%s", v, units[i])
}
