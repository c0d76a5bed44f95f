package terminalchat

import (
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// driver is a screen without a terminal.
type driver struct {
	*screen
	t    *testing.T
	quit bool
}

func drive(t *testing.T, s *Session, width, height int) *driver {
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	d := &driver{screen: newScreen(t.Context(), s), t: t}
	d.send(tea.WindowSizeMsg{Width: width, Height: height})
	return d
}

// send gives the screen a message, and all that come of it.
func (d *driver) send(msg tea.Msg) {
	for cmd := d.begin(msg); cmd != nil; {
		cmd = d.begin(cmd())
	}
}

// begin gives the screen a message, and returns what it asks for.
func (d *driver) begin(msg tea.Msg) tea.Cmd {
	if _, ok := msg.(tea.QuitMsg); ok {
		d.quit = true
		return nil
	}
	_, cmd := d.Update(msg)
	return cmd
}

func press(name string) tea.KeyPressMsg {
	switch {
	case name == "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case name == "alt+enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter, Mod: tea.ModAlt}
	case name == "up":
		return tea.KeyPressMsg{Code: tea.KeyUp}
	case name == "down":
		return tea.KeyPressMsg{Code: tea.KeyDown}
	case name == "pgup":
		return tea.KeyPressMsg{Code: tea.KeyPgUp}
	case strings.HasPrefix(name, "ctrl+"):
		return tea.KeyPressMsg{Code: rune(name[5]), Mod: tea.ModCtrl}
	}
	panic(name)
}

func (d *driver) keys(names ...string) {
	for _, n := range names {
		d.send(press(n))
	}
}

func (d *driver) write(text string) {
	for _, r := range text {
		d.send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

// shows checks that texts stand on the screen, and that it has the right size.
func (d *driver) shows(texts ...string) {
	d.t.Helper()
	view := ansi.Strip(d.View().Content)
	for _, text := range texts {
		if !strings.Contains(view, text) {
			d.t.Errorf("the screen lacks %q:\n%s", text, view)
		}
	}
	lines := strings.Split(view, "\n")
	if len(lines) > max(3, d.height) {
		d.t.Errorf("%d lines in %d:\n%s", len(lines), d.height, view)
	}
	for _, line := range lines {
		if ansi.StringWidth(line) > d.width {
			d.t.Errorf("wider than %d: %q", d.width, line)
		}
	}
}

func TestConversation(t *testing.T) {
	f := &fake{answers: [][]string{{"<think>", "let me see", "</think>", "**Hel", "lo**, ", "你好"}, {"# Again"}}}
	d := drive(t, newSession(f), 80, 24)
	d.shows("hello", "fake", "used 0/100")
	d.write("Hi")
	d.keys("alt+enter")
	d.write("there")
	d.keys("ctrl+j")
	d.write("you")
	d.shows("> Hi ", "  there", "  you")
	d.keys("enter")
	d.shows("> Hi", "  there", "┊ let me see", "Hello, 你好", "used 16/100")
	if m := f.asked[0].Messages; len(m) != 1 || m[0].Content != "Hi\nthere\nyou" {
		t.Errorf("asked %+v", m)
	}
	d.write("/regenerate")
	d.keys("enter")
	d.shows("# Again", "greedy")
	if view := d.View().Content; strings.Contains(view, "Hello") || strings.Count(view, "there") != 1 {
		t.Errorf("the first answer is still there:\n%s", view)
	}
	if n := len(d.messages); n != 2 {
		t.Errorf("%d messages", n)
	}
	for _, width := range []int{40, 20, 5, 1, 120} {
		d.send(tea.WindowSizeMsg{Width: width, Height: 6})
		if width >= 20 {
			d.shows("# Again")
		}
	}
	d.write("/clear")
	d.keys("enter")
	if len(d.messages) != 0 || len(d.entries) != 0 {
		t.Errorf("after /clear: %d messages, %d entries", len(d.messages), len(d.entries))
	}
	d.write("/quit")
	d.keys("enter")
	if !d.quit {
		t.Error("/quit does not leave")
	}
}

func TestInputHistory(t *testing.T) {
	d := drive(t, newSession(&fake{answers: [][]string{{"a"}}}), 80, 24)
	for _, text := range []string{"one", "two", "two"} {
		d.write(text)
		d.keys("enter")
	}
	for _, step := range []struct{ key, want string }{
		{"up", "two"}, {"up", "one"}, {"up", "one"}, {"down", "two"}, {"down", ""}, {"down", ""}, {"up", "two"},
	} {
		d.keys(step.key)
		if got := d.input.Value(); got != step.want {
			t.Errorf("%s: %q, want %q", step.key, got, step.want)
		}
	}
	d.write("!") // changed: the keys move the cursor
	d.keys("up")
	if got := d.input.Value(); got != "two!" {
		t.Errorf("up in a changed text: %q", got)
	}
}

func TestInterrupt(t *testing.T) {
	f := &fake{answers: [][]string{{"word", "more"}}, hold: make(chan struct{})}
	d := drive(t, newSession(f), 80, 24)
	d.write("Hi")
	cmd := d.begin(press("enter"))
	for len(d.said.Text) == 0 {
		cmd = d.begin(cmd())
	}
	d.shows("answering", "word")
	d.write("next")
	d.begin(press("enter"))
	d.shows("busy", "> next") // not sent
	d.begin(press("ctrl+c"))
	d.begin(press("up")) // takes nothing of it back
	for cmd != nil {
		cmd = d.begin(cmd())
	}
	d.shows("word", "stopped", "> next")
	if d.quit || d.work != nil || len(d.messages) != 2 || d.messages[1].Content != "word" {
		t.Errorf("after Ctrl-C: quit %v, %q", d.quit, said(d.messages))
	}
	d.keys("ctrl+c", "ctrl+c")
	if !d.quit {
		t.Error("the second Ctrl-C does not leave")
	}
}

// A key between takes the first Ctrl-C back; Ctrl-D leaves an empty input alone.
func TestLeave(t *testing.T) {
	d := drive(t, newSession(&fake{}), 80, 24)
	d.write("ab")
	d.keys("ctrl+a", "ctrl+d")
	if d.quit || d.input.Value() != "b" {
		t.Errorf("Ctrl-D in a text: %q", d.input.Value())
	}
	d.keys("ctrl+c")
	if d.quit || d.input.Value() != "" {
		t.Errorf("Ctrl-C leaves %q", d.input.Value())
	}
	d.write("x")
	d.keys("ctrl+c")
	if d.quit {
		t.Error("left too early")
	}
	d.write("x")
	d.keys("ctrl+u", "ctrl+d")
	if !d.quit {
		t.Error("Ctrl-D does not leave")
	}
}

// A message that cannot be answered comes back to the input.
func TestTakenBack(t *testing.T) {
	f := &fake{answers: [][]string{{"ok"}}}
	d := drive(t, newSession(f), 80, 24)
	long := strings.Repeat("x", 150)
	d.write(long)
	d.keys("enter")
	d.shows("too_long 150 100")
	if d.input.Value() != long || len(d.messages) != 0 {
		t.Errorf("the input is %q, messages %q", d.input.Value(), said(d.messages))
	}
	d.keys("ctrl+c")
	f.answers, f.err = [][]string{{"half"}}, errors.New("broken")
	d.write("Hi")
	d.keys("enter")
	d.shows("half", "broken")
	if len(d.messages) != 2 {
		t.Errorf("messages %q", said(d.messages))
	}
}

func TestForgotten(t *testing.T) {
	d := drive(t, newSession(&fake{answers: [][]string{{"ok"}}}), 80, 24)
	for _, c := range []string{"a", "b", "c"} {
		d.write(strings.Repeat(c, 35))
		d.keys("enter")
	}
	d.shows("aaaa", "forgotten 100 1", "bbbb", "cccc")
	if d.first != 2 || len(d.messages) != 6 {
		t.Errorf("first %d of %d", d.first, len(d.messages))
	}
}

func TestPaste(t *testing.T) {
	f := &fake{answers: [][]string{{"ok"}}}
	d := drive(t, newSession(f), 40, 12)
	d.Model.Context = 0
	big := strings.Repeat("你好 line\r\n", 10000) + "\x1b[2J\xff"
	d.write("see ")
	d.send(tea.PasteMsg{Content: big})
	d.send(tea.PasteMsg{Content: "a\rb"})
	d.shows("see paste 1 80005a", "b")
	d.keys("enter")
	want := "see " + strings.ReplaceAll(strings.TrimSuffix(big, "\xff"), "\r\n", "\n") + "\ufffda\nb"
	if got := f.asked[0].Messages[0].Content; got != want {
		t.Errorf("sent %d bytes, want %d", len(got), len(want))
	}
	d.shows("\ufffd[2J")
	d.keys("pgup", "pgup")
	d.shows("你好 line", "more")
}

func TestOpenModel(t *testing.T) {
	d := drive(t, newSession(&fake{answers: [][]string{{"ok"}}}), 80, 24)
	d.write("/model bad")
	d.keys("enter")
	d.shows("no such model", "fake")
	d.write("/model dir/other")
	d.keys("enter")
	d.shows("opened dir/other", "other · ")
	if d.work != nil || d.Model.Name != "dir/other" {
		t.Errorf("the model is %s", d.Model.Name)
	}
}

// An answer of marks alone, or of control characters, is seen.
func TestOddAnswers(t *testing.T) {
	for answer, want := range map[string]string{">>>": ">>>", "\x1b[2J": "\ufffd[2J", "&#27;c": "\ufffdc"} {
		d := drive(t, newSession(&fake{answers: [][]string{{answer}}}), 40, 12)
		d.write("Hi")
		d.keys("enter")
		d.shows(want)
	}
}

func TestStatus(t *testing.T) {
	parts := []string{"", "doing", "12/34 tokens"}
	for width, want := range map[int]string{
		40: "a-long-name · doing · 12/34 tokens",
		33: "a-long-na… · doing · 12/34 tokens",
		20: "a-long-name · doing",
		8:  "a-long-…",
	} {
		if got := fitStatus("a-long-name", parts, width); got != want {
			t.Errorf("%d: %q, want %q", width, got, want)
		}
	}
}

func TestBadParams(t *testing.T) {
	s := newSession(&fake{})
	if err := s.Params.Set("num_beams", "2"); err != nil {
		t.Fatal(err)
	}
	if err := Lines(t.Context(), s, strings.NewReader(""), nil, nil, ""); err == nil {
		t.Error("beams are taken")
	}
}
