package main

import (
	"io"
	"strings"
	"sync"
	"time"
)

// patience is how long a model may load before a note says that it does.
const patience = time.Second / 2

// loadNote tells people that a model is being loaded, where that takes long.
// A nil one tells nothing.
type loadNote struct {
	w    io.Writer
	text string

	mu    sync.Mutex
	timer *time.Timer
	shown bool
	due   int // counts what asked for the note; only the last is heard
}

// newLoadNote returns a note for a terminal, nil for anything else.
func newLoadNote(w io.Writer, text string) *loadNote {
	if !isTerminal(w) {
		return nil
	}
	return &loadNote{w: w, text: text}
}

// wait shows the note after a while.
func (n *loadNote) wait(while time.Duration) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.due++
	due := n.due
	n.timer = time.AfterFunc(while, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if due == n.due {
			n.shown = true
			_, _ = io.WriteString(n.w, "\r"+dim(n.w, n.text))
		}
	})
}

// end takes the note away, if it is there, and lets none come.
func (n *loadNote) end() {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.due++
	n.timer.Stop()
	if n.shown {
		n.shown = false
		_, _ = io.WriteString(n.w, "\r"+strings.Repeat(" ", columns(n.text))+"\r")
	}
}
