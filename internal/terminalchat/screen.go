package terminalchat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textarea"
	"charm.land/bubbles/v2/viewport"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"wenmo/chat"
)

// Screen runs a conversation on a terminal until the user leaves it or ctx ends.
func Screen(ctx context.Context, s *Session, in io.Reader, out io.Writer) error {
	if err := s.begin(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of an answer under way
	_, err := tea.NewProgram(newScreen(ctx, s), tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler()).Run()
	return err
}

const (
	frame     = 80 * time.Millisecond // for which pieces are gathered
	inputRows = 8                     // of the input, at most
	pasteFold = 2000                  // bytes from which a paste is shown by its size
)

// screen is the state of the terminal's screen.
type screen struct {
	*Session
	ctx           context.Context
	width, height int
	view          viewport.Model
	input         textarea.Model
	entries       []*entry
	armed         bool // the next Ctrl-C leaves

	sent   []string // for Up and Down
	recall int      // index in sent of what the input shows; len(sent): nothing
	pastes []string

	work     func()       // stops what is under way; nil: nothing is
	pieces   <-chan piece // of the answer
	stopped  bool         // by the user
	undo     func()       // takes the last message back
	said     chat.Output
	last     piece
	begun    time.Time // of the first token
	rate     float64   // tokens a second
	progress string    // of a download
}

// The messages of the work beside the screen.
type (
	piecesMsg struct {
		pieces []piece
		ended  bool
	}
	progressMsg struct {
		text string
		next tea.Cmd
	}
	openedMsg struct {
		model *Model
		err   error
	}
)

func newScreen(ctx context.Context, s *Session) *screen {
	m := &screen{Session: s, ctx: ctx, view: viewport.New(), input: textarea.New()}
	m.view.KeyMap = viewport.KeyMap{}
	m.input.ShowLineNumbers = false
	m.input.DynamicHeight = true
	m.input.MaxHeight = inputRows
	m.input.MaxContentHeight = 10000 // rows; longer texts are pasted
	m.input.Placeholder = s.Say("placeholder")
	m.input.SetPromptFunc(2, func(p textarea.PromptInfo) string {
		if p.LineNumber == 0 {
			return "> "
		}
		return "  "
	})
	m.input.KeyMap.InsertNewline = key.NewBinding(key.WithKeys("alt+enter", "ctrl+j", "shift+enter"))
	m.input.KeyMap.Paste = key.NewBinding() // the terminal's own
	m.input.SetVirtualCursor(false)
	styles := m.input.Styles()
	styles.Focused = textarea.StyleState{Placeholder: lipgloss.NewStyle().Faint(true), Selection: lipgloss.NewStyle().Reverse(true)}
	m.input.SetStyles(styles)
	m.input.Focus()
	m.say(noteText, s.Hello)
	m.say(noteText, s.Say("hello"))
	return m
}

func (m *screen) Init() tea.Cmd { return nil }

// say adds a note or an error.
func (m *screen) say(k kind, text string) {
	if text != "" {
		m.entries = append(m.entries, &entry{kind: k, text: text})
	}
}

func (m *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.input.SetWidth(m.width)
	case tea.KeyPressMsg:
		cmd = m.press(msg)
	case tea.PasteMsg:
		cmd = m.paste(msg.Content)
	case tea.MouseWheelMsg:
		m.view, cmd = m.view.Update(msg)
		m.layout(false)
		return m, cmd
	case piecesMsg:
		cmd = m.receive(msg)
	case progressMsg:
		m.progress, cmd = msg.text, msg.next
	case openedMsg:
		m.opened(msg)
	default:
		m.input, cmd = m.input.Update(msg)
	}
	m.layout(m.view.AtBottom())
	return m, cmd
}

// layout divides the screen, and shows the end of the transcript if asked to.
func (m *screen) layout(toEnd bool) {
	m.input.MaxHeight = max(1, min(inputRows, m.height/3))
	m.input.SetHeight(min(m.input.Height(), m.input.MaxHeight))
	m.view.SetWidth(m.width)
	m.view.SetHeight(max(1, m.height-m.input.Height()-1))
	var lines []string
	for _, e := range m.entries {
		if more := e.render(max(1, m.width)); len(more) > 0 {
			lines = append(append(lines, more...), "")
		}
	}
	m.view.SetContentLines(lines)
	if toEnd {
		m.view.GotoBottom()
	}
}

func (m *screen) View() tea.View {
	view := tea.NewView("")
	view.AltScreen, view.MouseMode = true, tea.MouseModeCellMotion
	if m.width == 0 {
		return view
	}
	view.SetContent(m.view.View() + "\n" + m.input.View() + "\n" + faint.Styled(m.status()))
	if view.Cursor = m.input.Cursor(); view.Cursor != nil {
		view.Cursor.Y += m.view.Height()
	}
	return view
}

// status is the line below: the model, the context, the speed, and what is
// under way.
func (m *screen) status() string {
	used := fmt.Sprint(m.last.usage.Prompt + m.last.usage.Completion)
	if m.Model.Context > 0 {
		used += fmt.Sprintf("/%d", m.Model.Context)
	}
	rate, doing := "", ""
	if m.rate > 0 {
		rate = m.Say("rate", m.rate)
	}
	switch {
	case m.pieces != nil:
		doing = m.Say("answering")
	case m.work != nil:
		doing = m.Say("opening") + m.progress
	case !m.view.AtBottom():
		doing = m.Say("more")
	}
	return fitStatus(filepath.Base(m.Model.Name), []string{doing, m.Say("used", used), rate}, m.width)
}

// press does what a key is for.
func (m *screen) press(msg tea.KeyPressMsg) tea.Cmd {
	armed := m.armed
	m.armed = false
	switch msg.String() {
	case "ctrl+c":
		return m.interrupt(armed)
	case "ctrl+d":
		if m.input.Value() == "" {
			return tea.Quit
		}
	case "ctrl+z":
		return tea.Suspend
	case "enter":
		return m.enter()
	case "up", "down":
		if m.browse(msg.Code == tea.KeyUp) {
			return nil
		}
	case "pgup":
		m.view.PageUp()
		return nil
	case "pgdown":
		m.view.PageDown()
		return nil
	case "shift+up":
		m.view.ScrollUp(1)
		return nil
	case "shift+down":
		m.view.ScrollDown(1)
		return nil
	case "ctrl+home":
		m.view.GotoTop()
		return nil
	case "ctrl+end":
		m.view.GotoBottom()
		return nil
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(msg)
	return cmd
}

// interrupt stops what is under way; a second one leaves.
func (m *screen) interrupt(armed bool) tea.Cmd {
	switch {
	case armed:
		return tea.Quit
	case m.work != nil:
		m.work()
		m.stopped = true
	case m.input.Value() != "":
		m.input.Reset()
	default:
		m.say(noteText, m.Say("again_leaves"))
	}
	m.armed = true
	return nil
}

// browse shows an earlier or a later input, where the input is empty or shows
// one already.
func (m *screen) browse(earlier bool) bool {
	value := m.input.Value()
	shown := m.recall < len(m.sent) && value == m.sent[m.recall]
	if value != "" && !shown {
		return false
	}
	if !shown {
		m.recall = len(m.sent)
	}
	if earlier {
		m.recall = max(0, m.recall-1)
	} else {
		m.recall = min(len(m.sent), m.recall+1)
	}
	text := ""
	if m.recall < len(m.sent) {
		text = m.sent[m.recall]
	}
	m.input.SetValue(text)
	return true
}

// paste takes a pasted text: a long one is shown by its size until it is sent.
func (m *screen) paste(text string) tea.Cmd {
	text = strings.ToValidUTF8(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\ufffd")
	if len(text) >= pasteFold {
		m.pastes = append(m.pastes, text)
		text = m.folded(len(m.pastes) - 1)
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(tea.PasteMsg{Content: text})
	return cmd
}

// folded is what stands for a long paste.
func (m *screen) folded(i int) string {
	return m.Say("paste", i+1, utf8.RuneCountInString(m.pastes[i]))
}

func (m *screen) unfold(text string) string {
	for i, p := range m.pastes {
		text = strings.ReplaceAll(text, m.folded(i), p)
	}
	return text
}

// enter sends the input, or runs it as a command.
func (m *screen) enter() tea.Cmd {
	shown := strings.TrimSpace(m.input.Value())
	if shown == "" {
		return nil
	}
	m.view.GotoBottom()
	if m.work != nil {
		m.say(noteText, m.Say("busy"))
		return nil
	}
	before, entries := m.clone(), slices.Clone(m.entries)
	o, err := m.take(m.unfold(shown))
	if len(m.sent) == 0 || m.sent[len(m.sent)-1] != shown {
		m.sent = append(m.sent, shown)
	}
	m.recall = len(m.sent)
	if err != nil {
		m.say(errorText, err.Error())
		return nil
	}
	m.input.Reset()
	switch o.wish {
	case toLeave:
		return tea.Quit
	case toOpen:
		return m.open(o.name)
	case toClear:
		m.show()
	case toAnswer:
		m.undo = func() {
			m.conversation, m.entries = before, entries
			if m.input.Value() == "" {
				m.input.SetValue(shown)
			}
		}
		return m.ask(o.note)
	}
	m.say(noteText, o.note)
	return nil
}

// show puts the conversation on the screen in place of what is there.
func (m *screen) show() {
	m.entries, m.last, m.rate = nil, piece{}, 0
	for _, msg := range m.messages {
		k := answerText
		if msg.Role == "user" {
			k = userText
		}
		m.entries = append(m.entries, &entry{kind: k, text: msg.Text(), reasoning: msg.ReasoningContent})
	}
}

// ask begins the answer to the last message.
func (m *screen) ask(note string) tea.Cmd {
	ctx, cancel := context.WithCancel(m.ctx)
	pieces, err := m.start(ctx)
	if err != nil {
		cancel()
		m.undo()
		m.say(errorText, err.Error())
		return nil
	}
	if m.sample > 0 {
		m.entries = m.entries[:m.answered()]
	} else {
		m.entries = append(m.entries, &entry{kind: userText, text: m.messages[len(m.messages)-1].Text()})
	}
	m.say(noteText, note)
	m.entries = append(m.entries, &entry{kind: answerText})
	m.work, m.pieces, m.stopped = cancel, pieces, false
	m.said, m.last, m.rate, m.begun = chat.Output{}, piece{}, 0, time.Time{}
	return listen(pieces)
}

// answered is where the answer stands that is to be given anew.
func (m *screen) answered() int {
	for i, e := range slices.Backward(m.entries) {
		if e.kind == userText {
			return i + 1
		}
	}
	return len(m.entries)
}

// listen waits for pieces and gathers those of a frame.
func listen(pieces <-chan piece) tea.Cmd {
	return func() tea.Msg {
		p, ok := <-pieces
		if !ok {
			return piecesMsg{ended: true}
		}
		msg := piecesMsg{pieces: []piece{p}}
		end := time.After(frame)
		for {
			select {
			case p, ok := <-pieces:
				if !ok {
					msg.ended = true
					return msg
				}
				msg.pieces = append(msg.pieces, p)
			case <-end:
				return msg
			}
		}
	}
}

// receive takes pieces of the answer.
func (m *screen) receive(msg piecesMsg) tea.Cmd {
	var err error
	for _, p := range msg.pieces {
		if note := m.forget(p.first); note != "" { // before the answer
			m.entries = slices.Insert(m.entries, len(m.entries)-1, &entry{kind: noteText, text: note})
		}
		m.said.Text += p.Text
		m.said.Reasoning += p.Reasoning
		m.entries[len(m.entries)-1].add(p.Text, p.Reasoning)
		if n := p.usage.Completion; n > 0 {
			if m.begun.IsZero() {
				m.begun = p.at
			} else if took := p.at.Sub(m.begun); took > frame { // else it tells nothing
				m.rate = float64(n-1) / took.Seconds()
			}
			m.last = p
		}
		err = errors.Join(err, p.err)
	}
	if !msg.ended {
		return listen(m.pieces)
	}
	stopped := m.stopped && m.last.finish == "" && err == nil
	m.work()
	m.work, m.pieces = nil, nil
	if m.said.Text == "" && m.said.Reasoning == "" && (stopped || err != nil) {
		m.undo()
	} else {
		m.reply(m.said)
	}
	switch {
	case err != nil:
		m.say(errorText, m.explain(err))
	case stopped:
		m.say(noteText, m.Say("stopped"))
	default:
		m.say(noteText, m.ended(m.last))
	}
	return nil
}

// open opens another model beside the screen.
func (m *screen) open(name string) tea.Cmd {
	ctx, cancel := context.WithCancel(m.ctx)
	m.work, m.progress = cancel, ""
	progress, done := make(chan string, 1), make(chan openedMsg, 1)
	go func() {
		model, err := m.Open(ctx, name, func(done, total int64) {
			select {
			case progress <- fmt.Sprintf(" %d%%", 100*done/max(1, total)):
			default: // the screen is behind
			}
		})
		done <- openedMsg{model, err}
	}()
	var wait tea.Cmd
	wait = func() tea.Msg {
		select {
		case text := <-progress:
			return progressMsg{text, wait}
		case msg := <-done:
			return msg
		}
	}
	return wait
}

func (m *screen) opened(msg openedMsg) {
	m.work()
	m.work = nil
	switch {
	case errors.Is(msg.err, context.Canceled):
		m.say(noteText, m.Say("stopped"))
	case msg.err != nil:
		m.say(errorText, msg.err.Error())
	default:
		m.say(noteText, m.change(msg.model))
		m.last, m.rate = piece{}, 0
	}
}
