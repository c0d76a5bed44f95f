// Package progress shows how far long work has come: one line that is drawn
// over and over on a terminal, a plain line every few seconds elsewhere.
package progress

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// A Unit is what is counted.
type Unit int

// The units. Bytes are written as kB, MB, GB, in powers of 1000; how many steps
// there are a second is not told.
const (
	Items Unit = iota
	Bytes
	Steps
)

const (
	redrawEvery = 100 * time.Millisecond // on a terminal
	plainEvery  = 5 * time.Second        // elsewhere
	rateOver    = 3 * time.Second        // time over which the rate is averaged
	longestBar  = 40
	shortestBar = 8
	stateSpace  = 48 // columns kept for the figures, so that the bar keeps its length
)

// Words are the words of a line: formats of one or two texts.
type Words struct {
	Amount string // done, total
	Took   string // time
	Left   string // time
}

var english = Words{"%s of %s", "in %s", "%s left"}

// A Line shows the progress of one piece of work. It may be used by many
// goroutines at once. A nil Line shows nothing.
type Line struct {
	w     io.Writer
	label string
	unit  Unit
	every time.Duration
	width func() int // columns of the terminal; nil: not a terminal
	color bool
	words Words
	now   func() time.Time

	mu          sync.Mutex
	done, total int64
	note        string
	start, last time.Time // of the work; of the last line
	counted     time.Time // when rate was brought up to date, with
	countedDone int64     // this much done
	rate        float64   // units per second
	drawn       int       // columns of the line on the terminal
	printed     bool
	shown       int64 // done in the last line
}

// New makes a line on w, which is a terminal or not. It returns nil when quiet.
// Colour is left out when NO_COLOR is set.
func New(w io.Writer, label string, unit Unit, quiet bool) *Line {
	if quiet {
		return nil
	}
	l := &Line{w: w, label: printable(label), unit: unit, every: plainEvery, words: english, now: time.Now}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		l.every = redrawEvery
		l.width = func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil || width <= 0 {
				return 80
			}
			return width
		}
		// An old console of Windows would show the escape codes themselves.
		l.color = os.Getenv("NO_COLOR") == "" && (runtime.GOOS != "windows" || os.Getenv("WT_SESSION") != "")
	}
	return l
}

// Say sets the words, which are English else. It comes before Set.
func (l *Line) Say(w Words) {
	if l != nil {
		l.words = w
	}
}

// Set tells how much of how much is done; a total of 0 is not known yet. It
// costs little and may be called for every small step.
func (l *Line) Set(done, total int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.start.IsZero() {
		// What is done at the first call was done before: no part of the rate.
		l.start, l.last, l.counted, l.countedDone = now, now, now, done
	}
	if done != l.done {
		l.note = ""
	}
	l.done, l.total = done, total
	if now.Sub(l.last) >= l.every {
		l.draw(now)
	}
}

// Relabel changes what stands before the figures.
func (l *Line) Relabel(label string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.label = printable(label)
}

// Print writes lines of text for good, above the line.
func (l *Line) Print(text string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drawn > 0 {
		fmt.Fprintf(l.w, "\r%s\r", strings.Repeat(" ", l.drawn))
		l.drawn = 0
	}
	fmt.Fprintln(l.w, text)
}

// Note shows why the work waits, until it goes on.
func (l *Line) Note(text string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if text = printable(text); text != "" && text != l.note {
		l.note = text
		l.draw(l.now())
	}
}

// End shows the last state, if the last line does not, and goes to a new line.
// What was too quick for a plain line leaves none.
func (l *Line) End() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.start.IsZero() || l.width == nil && (!l.printed || l.shown == l.done) {
		return
	}
	l.draw(l.now())
	if l.width != nil {
		fmt.Fprintln(l.w)
		l.drawn = 0
	}
}

func (l *Line) draw(now time.Time) {
	if elapsed := now.Sub(l.counted); elapsed > 0 && !l.start.IsZero() {
		weight := min(1, elapsed.Seconds()/min(rateOver, now.Sub(l.start)).Seconds())
		l.rate += weight * (float64(l.done-l.countedDone)/elapsed.Seconds() - l.rate)
		l.counted, l.countedDone = now, l.done
	}
	l.last, l.printed, l.shown = now, true, l.done
	if l.width == nil {
		fmt.Fprintf(l.w, "%s: %s\n", l.label, l.state())
		return
	}
	width := l.width() - 1 // a full line would wrap
	state := l.state()
	label := cut(l.label, max(width/2, width-columns(state)-2))
	line := cut(label+"  "+state, width)
	used := columns(line)
	room := width - columns(label) - 6 - max(stateSpace, columns(state))
	if room = min(room, longestBar); l.total > 0 && room >= shortestBar {
		line = label + "  " + l.bar(room) + "  " + state
		used = columns(label) + room + 6 + columns(state)
	}
	fmt.Fprintf(l.w, "\r%s%s", line, strings.Repeat(" ", max(0, l.drawn-used)))
	l.drawn = used
}

// bar is the share that is done, in n+2 columns. It is ASCII, for the block
// characters are one or two columns wide, as the terminal's language has it.
func (l *Line) bar(n int) string {
	full := int(float64(n) * l.share())
	bar := strings.Repeat("=", full)
	if l.color {
		bar = "\x1b[32m" + bar + "\x1b[0m"
	}
	return "[" + bar + strings.Repeat(" ", n-full) + "]"
}

func (l *Line) share() float64 {
	return min(1, max(0, float64(l.done)/float64(l.total)))
}

// state is the line without label and bar, such as
// " 42%  1.2 GB of 3.4 GB  52 MB/s  0:41 left".
func (l *Line) state() string {
	if l.total <= 0 {
		return l.amount(float64(l.done)) + l.tail()
	}
	return fmt.Sprintf("%3d%%  "+l.words.Amount, int(100*l.share()), l.amount(float64(l.done)), l.amount(float64(l.total))) + l.tail()
}

func (l *Line) tail() string {
	switch {
	case l.note != "":
		return "  " + l.note
	case l.total > 0 && l.done >= l.total:
		return "  " + fmt.Sprintf(l.words.Took, clock(l.last.Sub(l.start)))
	case l.rate <= 0:
		return ""
	case l.total <= 0:
		return "  " + l.amount(l.rate) + "/s"
	}
	left := time.Duration(min(float64(l.total-l.done)/l.rate, 1e6) * float64(time.Second))
	text := "  " + fmt.Sprintf(l.words.Left, clock(left))
	if l.unit == Steps {
		return text
	}
	return "  " + l.amount(l.rate) + "/s" + text
}

func (l *Line) amount(v float64) string {
	if l.unit != Bytes {
		if v < 10 && v != float64(int64(v)) {
			return fmt.Sprintf("%.1f", v)
		}
		return fmt.Sprintf("%.0f", v)
	}
	units := []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 || v >= 99.95 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// clock writes a duration as 0:41 or 1:02:03.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
