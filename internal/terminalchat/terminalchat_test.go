package terminalchat

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo"
	"wenmo/chat"
)

// fake is a model whose prompt has a token for each letter, and which answers
// with the words that it is given.
type fake struct {
	answers [][]string // one after the other; the last again
	asked   []wenmo.Request
	hold    chan struct{} // if not nil, waited for after the first word
	err     error
}

func (f *fake) model() *Model {
	return &Model{
		Name: "fake", Context: 100, Params: wenmo.DefaultParams(), Format: chat.Format{ThinkStart: "<think>", ThinkEnd: "</think>"},
		Check: func(wenmo.Params) error { return nil },
		Prompt: func(messages []chat.Message) (int, string, error) {
			n := 0
			for _, m := range messages {
				n += len(m.Content)
			}
			return n, "", nil
		},
		Answer: f.answer,
		Close:  func() {},
	}
}

func (f *fake) answer(ctx context.Context, request wenmo.Request) iter.Seq2[wenmo.Event, error] {
	words := f.answers[min(len(f.asked), len(f.answers)-1)]
	f.asked = append(f.asked, request)
	return func(yield func(wenmo.Event, error) bool) {
		for i, w := range words {
			ev := wenmo.Event{Text: w, Usage: wenmo.Usage{Prompt: 10, Completion: i + 1}}
			if i == len(words)-1 {
				ev.Finish = wenmo.FinishEOS
			}
			if !yield(ev, nil) {
				return
			}
			if f.hold != nil {
				select {
				case <-f.hold:
				case <-ctx.Done():
					yield(wenmo.Event{}, ctx.Err())
					return
				}
			}
		}
		if f.err != nil {
			yield(wenmo.Event{}, f.err)
		}
	}
}

// newSession is a session with a fake that says its keys.
func newSession(f *fake) *Session {
	return &Session{
		Model: f.model(), Params: wenmo.DefaultParams(),
		Say: func(key string, args ...any) string {
			return strings.TrimSpace(fmt.Sprintln(append([]any{key}, args...)...))
		},
		Open: func(_ context.Context, name string, progress func(done, total int64)) (*Model, error) {
			if name == "bad" {
				return nil, errors.New("no such model")
			}
			progress(1, 2)
			m := f.model()
			m.Name = name
			return m, nil
		},
	}
}

func said(messages []chat.Message) (out []string) {
	for _, m := range messages {
		out = append(out, m.Role+":"+m.Content)
	}
	return out
}

func TestFit(t *testing.T) {
	text := strings.Repeat("x", 20)
	c := conversation{system: "sys"}
	for range 3 {
		c.messages = append(c.messages, chat.Message{Role: "user", Content: text}, chat.Message{Role: "assistant", Content: text})
	}
	c.messages = append(c.messages, chat.Message{Role: "user", Content: "last"})
	m := (&fake{}).model()
	for _, test := range []struct {
		context, maxNew, first int
		tooLong                bool
	}{
		{context: 0, first: 0},
		{context: 1000, first: 0},
		{context: 170, first: 0},              // 127 and a quarter for the answer
		{context: 160, first: 2},              // room for 40
		{context: 160, maxNew: 10, first: 0},  // for 10
		{context: 160, maxNew: 200, first: 4}, // for half
		{context: 9, first: 6},                // 7 fit, though little is left
		{context: 7, tooLong: true},
	} {
		m.Context = test.context
		p := wenmo.DefaultParams()
		p.MaxNewTokens = test.maxNew
		got := c.clone()
		_, err := got.fit(m, p)
		var long *tooLongError
		if errors.As(err, &long) != test.tooLong || err == nil && got.first != test.first {
			t.Errorf("%+v: first %d, %v", test, got.first, err)
		}
		if seen := said(got.seen()); err == nil && (seen[0] != "system:sys" || seen[len(seen)-1] != "user:last") {
			t.Errorf("%+v: the model sees %q", test, seen)
		}
	}
}

func TestSaveLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk.json")
	c := conversation{system: "be brief", first: 2, messages: []chat.Message{
		{Role: "user", Content: "你好\x1b"}, {Role: "assistant", Content: "Hi", ReasoningContent: "hm"}, {Role: "user", Content: "?"}}}
	if err := c.save(file); err != nil {
		t.Fatal(err)
	}
	var got conversation
	if err := got.load(file); err != nil {
		t.Fatal(err)
	}
	if got.system != c.system || got.first != 0 || !slices.Equal(said(got.messages), said(c.messages)) || got.messages[1].ReasoningContent != "hm" {
		t.Errorf("got %+v", got)
	}
	for text, ok := range map[string]bool{
		`{"messages": [{"role": "user", "content": "a"}]}`: true,
		`[]`: true,
		`{}`: false, `[1]`: false, ``: false, `[{"role": "tool", "content": "a"}]`: false,
		`[{"role": "user", "content": "a"}, {"role": "system", "content": "a"}]`: false,
	} {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		before := got.clone()
		if err := got.load(file); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
		if !ok && !slices.Equal(said(got.messages), said(before.messages)) {
			t.Errorf("%s: the conversation was changed", text)
		}
	}
}

func TestCommands(t *testing.T) {
	s := newSession(&fake{})
	for _, test := range []struct {
		line, note string
		wish       wish
		bad        bool
	}{
		{line: "/help", note: "help"},
		{line: "/nothing", bad: true},
		{line: "/", bad: true},
		{line: "/model", note: "fake"},
		{line: "/model other", wish: toOpen},
		{line: "/save", bad: true},
		{line: "/load nowhere.json", bad: true},
		{line: "/regenerate", bad: true},
		{line: "/set temperature=0.8", note: "temperature = 0.8"},
		{line: "/set top-k=3", note: "top_k = 3"},
		{line: "/set do_sample", note: "do_sample = true"},
		{line: "/set temperature=-1", bad: true},
		{line: "/set num_beams=2", bad: true},
		{line: "/set nothing=1", bad: true},
		{line: "/set nothing", bad: true},
		{line: "/set temperature", note: "temperature = 0.8"},
		{line: "/set", note: "do_sample = true\nseed = 0\ntemperature = 0.8\ntop_k = 3\ntop_p = 1"},
		{line: "/system be brief", note: "system_set"},
		{line: "/quit", wish: toLeave},
		{line: "//etc is a folder", wish: toAnswer},
		{line: "/clear", wish: toClear},
	} {
		o, err := s.take(test.line)
		if (err != nil) != test.bad || o.wish != test.wish || !strings.HasSuffix(o.note, test.note) {
			t.Errorf("%s: %+v, %v", test.line, o, err)
		}
		if test.wish == toAnswer && s.messages[0].Content != "/etc is a folder" {
			t.Errorf("the message is %q", s.messages[0].Content)
		}
	}
	if s.system != "be brief" || len(s.messages) != 0 {
		t.Errorf("after /clear: %+v", s.conversation)
	}
	if _, err := s.take("/system"); err != nil || s.system != "" {
		t.Errorf("/system leaves %q, %v", s.system, err)
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"a\r\nb\tc":            "a\nb    c",
		"\x1b[31m\x07\u009b2J": "\ufffd[31m\ufffd\ufffd2J",
		"ok\u202eevil":         "ok\ufffdevil",
		"你好 👩‍👩‍👧":             "你好 👩‍👩‍👧",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestLines(t *testing.T) {
	for _, test := range []struct {
		in, out, notes, err string
	}{
		{in: "Hi\n\nAgain", out: "one two\nthree\n"},
		{in: "Hi\r\n/set temperature=0.5\n/quit\nHi\n", out: "one two\n", notes: "temperature = 0.5\n"},
		{in: "Hi\n/regenerate\n", out: "one two\nthree\n", notes: "greedy\n"},
		{in: "Hi\n/foo\nHi\n", out: "one two\n", err: "line 2: unknown_command /foo"},
		{in: "caf\xe9\n", err: "line 1: not_utf8"},
		{in: "/model other\nHi", out: "one two\n", notes: "opened other\n"},
		{in: "/model bad\n", err: "line 1: no such model"},
		{in: strings.Repeat("x", 200), err: "line 1: too_long 200 100"},
		{in: strings.Repeat("x", 70) + "\n" + strings.Repeat("y", 30) + "\n", out: "one two\nthree\n", notes: "forgotten 100 1\n"},
	} {
		f := &fake{answers: [][]string{{"<think>", "hm", "</think>", "one", " two"}, {"three"}}}
		var out, notes strings.Builder
		err := Lines(t.Context(), newSession(f), strings.NewReader(test.in), &out, &notes, "")
		if out.String() != test.out || notes.String() != test.notes || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%.20q: %q, notes %q, %v", test.in, out.String(), notes.String(), err)
		}
	}
	// Somebody who types goes on after an error, and sees no control character.
	f := &fake{answers: [][]string{{"\x1b[2J"}}}
	var out, notes strings.Builder
	if err := Lines(t.Context(), newSession(f), strings.NewReader("/foo\nHi\n"), &out, &notes, "> "); err != nil {
		t.Fatal(err)
	}
	if out.String() != "> > \ufffd[2J\n> " || notes.String() != "unknown_command /foo\n" {
		t.Errorf("%q, notes %q", out.String(), notes.String())
	}
}

// Samples differ from one answer to the next, and what was forgotten stays so.
func TestRegenerate(t *testing.T) {
	f := &fake{answers: [][]string{{"a"}}}
	s := newSession(f)
	var out strings.Builder
	in := "/set temperature=1\nHi\n/regenerate\n/regenerate\nHo\n"
	if err := Lines(t.Context(), s, strings.NewReader(in), &out, &out, ""); err != nil {
		t.Fatal(err)
	}
	var samples []int
	for _, r := range f.asked {
		samples = append(samples, r.Sample)
	}
	if !slices.Equal(samples, []int{0, 1, 2, 0}) {
		t.Errorf("samples %v", samples)
	}
	if got := said(s.messages); !slices.Equal(got, []string{"user:Hi", "assistant:a", "user:Ho", "assistant:a"}) {
		t.Errorf("messages %q", got)
	}
}
