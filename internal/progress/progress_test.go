package progress

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// terminal is a line on a terminal of some width, with a clock that stands.
func terminal(label string, unit Unit, width int) (*Line, *bytes.Buffer, *time.Time) {
	l, out, now := plain(label, unit)
	l.every = redrawEvery
	l.width = func() int { return width }
	return l, out, now
}

func plain(label string, unit Unit) (*Line, *bytes.Buffer, *time.Time) {
	out := new(bytes.Buffer)
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	l := New(out, label, unit, false)
	l.now = func() time.Time { return now }
	return l, out, &now
}

func TestWords(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	l := New(&out, "下载", Items, false)
	l.now = func() time.Time { return now }
	l.Say(Words{"%s / %s", "用时 %s", "还需 %s"})
	l.Set(0, 10)
	now = now.Add(6 * time.Second)
	l.Set(5, 10)
	now = now.Add(6 * time.Second)
	l.Set(10, 10)
	want := "下载:  50%  5 / 10  0.8/s  还需 0:06\n下载: 100%  10 / 10  用时 0:12\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestPlain(t *testing.T) {
	l, out, now := plain("org/name", Bytes)
	for i := range 12 {
		l.Set(int64(i)*100e6, 1.1e9)
		*now = now.Add(time.Second)
	}
	l.End()
	want := "org/name:  45%  500 MB of 1.1 GB  100 MB/s  0:06 left\n" +
		"org/name:  90%  1.0 GB of 1.1 GB  100 MB/s  0:01 left\n" +
		"org/name: 100%  1.1 GB of 1.1 GB  in 0:12\n"
	if out.String() != want {
		t.Errorf("the lines are\n%s, want\n%s", out, want)
	}
}

func TestPlainQuickWorkSaysNothing(t *testing.T) {
	l, out, now := plain("convert", Items)
	l.End()
	l.Set(1, 2)
	*now = now.Add(time.Second)
	l.Set(2, 2)
	l.End()
	if out.Len() > 0 {
		t.Errorf("it says %q", out)
	}
}

func TestPlainNotes(t *testing.T) {
	l, out, now := plain("x", Bytes)
	l.Note("the server is \x1b[2Jbusy")
	l.Set(1000, 2000)
	l.Note("again")
	l.Note("again")
	*now = now.Add(plainEvery)
	l.Set(1500, 2000)
	want := "x: 0 B  the server is  [2Jbusy\nx:  50%  1.0 kB of 2.0 kB  again\nx:  75%  1.5 kB of 2.0 kB  100 B/s  0:05 left\n"
	if out.String() != want {
		t.Errorf("the lines are\n%q, want\n%q", out, want)
	}
}

func TestTerminal(t *testing.T) {
	l, out, now := terminal("模型.safetensors", Bytes, 80)
	for i := range 6 {
		l.Set(int64(i)*10e9, 50e9)
		l.Set(int64(i)*10e9+1, 50e9) // too soon for a new line
		*now = now.Add(10 * time.Minute)
	}
	l.End()
	frames := strings.Split(out.String(), "\r")
	if len(frames) != 1+5+1 || frames[0] != "" {
		t.Fatalf("%d frames: %q", len(frames), frames)
	}
	for _, frame := range frames[1:] {
		if n := columns(strings.TrimRight(frame, " \n")); n >= 80 {
			t.Errorf("%q has %d columns", frame, n)
		}
	}
	if want := "模型.safetensors  [=        ]   20%  10.0 GB of 50.0 GB  16.7 MB/s  40:00 left"; strings.TrimRight(frames[1], " ") != want {
		t.Errorf("the first line is %q, want %q", frames[1], want)
	}
	if last := frames[6]; !strings.HasSuffix(last, "\n") || !strings.Contains(last, "100%  50.0 GB of 50.0 GB  in 1:00:00") {
		t.Errorf("the last line is %q", last)
	}
}

// However wide the terminal, a line fits, and covers the one before it.
func TestTerminalWidths(t *testing.T) {
	for width := range 120 {
		l, out, now := terminal("一个很长的名字/long-name-of-a-file-00001-of-00002.safetensors", Bytes, width)
		screen := 0 // columns with something in them
		for i, note := range []string{"", "a long note about the server, which is busy", "", ""} {
			*now = now.Add(time.Second)
			l.Set(int64(i)*1e6, int64(i%2)*3e6)
			if note != "" {
				l.Note(note)
			}
			*now = now.Add(time.Second)
			l.Set(int64(i)*1e6+1, int64(i%2)*3e6)
			for _, frame := range strings.Split(out.String(), "\r")[1:] {
				n := columns(frame)
				if n < screen {
					t.Errorf("width %d: %q leaves something of the line before it", width, frame)
				}
				screen = columns(strings.TrimRight(frame, " "))
				if screen >= max(width, 1) {
					t.Errorf("width %d: %q has %d columns", width, frame, screen)
				}
			}
			out.Reset()
		}
	}
}

func TestColor(t *testing.T) {
	l, out, now := terminal("x", Items, 80)
	l.color = true
	l.Set(0, 10)
	*now = now.Add(time.Second)
	l.Set(5, 10)
	if want := "\rx  [\x1b[32m============\x1b[0m            ]   50%  5 of 10  5/s  0:01 left"; out.String() != want {
		t.Errorf("the line is %q, want %q", out, want)
	}
}

func TestQuietAndFiles(t *testing.T) {
	l := New(os.Stderr, "x", Items, true)
	l.Set(1, 2)
	l.Note("y")
	l.End()
	if l != nil {
		t.Error("a quiet line is not nil")
	}
	f, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if l := New(f, "x", Items, false); l.width != nil || l.color {
		t.Error("a file is taken for a terminal")
	}
}

func TestManyGoroutines(t *testing.T) {
	l, _, _ := terminal("x", Items, 80)
	l.now = time.Now
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 1000 {
				l.Set(int64(i), 1000)
				l.Note("n")
			}
		})
	}
	group.Wait()
	l.End()
}

func TestAmounts(t *testing.T) {
	b, items := &Line{unit: Bytes}, &Line{unit: Items}
	for v, want := range map[float64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 99_940: "99.9 kB", 99_960: "100 kB", 999_600: "1.0 MB", 3.4e9: "3.4 GB", 5e15: "5000 TB"} {
		if got := b.amount(v); got != want {
			t.Errorf("%v bytes are %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 0.25: "0.2", 7: "7", 12.5: "12", 1e6: "1000000"} {
		if got := items.amount(v); got != want {
			t.Errorf("%v are %q, want %q", v, got, want)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	l, _, _ := terminal("x", Items, 80)
	l.now = time.Now
	for i := range b.N {
		l.Set(int64(i), int64(b.N))
	}
}
