package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"wenmo"
)

// stopwatch times a run: loading, the prompt, the new tokens.
type stopwatch struct {
	mu                             sync.Mutex // samples are computed side by side
	start, ready, first, last      time.Time
	prompt, reused, created, early int // tokens; early: at first
	longest                        int // new tokens of a sequence that no end token ended, or that is a beam's
	finish                         wenmo.Finish
}

func newStopwatch() *stopwatch { return &stopwatch{start: time.Now()} }

func (s *stopwatch) loaded() { s.ready = time.Now() }

// event notes a piece of an answer.
func (s *stopwatch) event(ev wenmo.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	s.created++
	if s.first.IsZero() {
		s.first, s.prompt, s.reused, s.early = s.last, ev.Usage.Prompt, ev.Usage.Reused, s.created
	}
	if ev.Finish != "" {
		s.finish = ev.Finish
	}
	if ev.Finish == wenmo.FinishLength {
		s.longest = max(s.longest, ev.Usage.Completion)
	}
}

// beam notes a sequence that beam search found.
func (s *stopwatch) beam(prompt, created int) {
	s.last, s.prompt = time.Now(), prompt
	s.created += created
	s.longest = max(s.longest, created)
	s.first = s.ready // when the first token was there is not known
}

// printStats tells how fast a run was, where --stats asks for it or people
// look on.
func (r *run) printStats(s *stopwatch) {
	w := r.cmd.ErrOrStderr()
	onTerminal := isTerminal(w) && isTerminal(r.cmd.OutOrStdout())
	if r.cmd.Flags().Changed("stats") {
		onTerminal = false
	}
	if !r.stats && !r.verbose && !onTerminal || s.created == 0 {
		return
	}
	fmt.Fprintln(w, dim(w, s.line()))
}

func (s *stopwatch) line() string {
	var parts []string
	if took := s.first.Sub(s.ready); took > 0 {
		parts = append(parts, say("stats.prompt", s.prompt, rate(s.prompt-s.reused, took)))
		parts = append(parts, say("stats.first", float64(took.Microseconds())/1000))
	}
	parts = append(parts, say("stats.new", s.created))
	if took := s.last.Sub(s.first); took > 0 && s.created > s.early {
		parts[len(parts)-1] = say("stats.new_rate", s.created, rate(s.created-s.early, took))
	}
	if s.finish != "" {
		parts = append(parts, say("stats.finish."+string(s.finish)))
	}
	return strings.Join(parts, say("stats.between"))
}

// rate writes tokens per second with three figures.
func rate(tokens int, took time.Duration) string {
	v := float64(tokens) / took.Seconds()
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// describeRequest tells what is about to be computed.
func (r *run) describeRequest(s *stopwatch) {
	info := r.model.Info()
	w := r.cmd.ErrOrStderr()
	rows := [][]string{
		{say("verbose.model"), fmt.Sprintf("%s, %s", r.name, info.Architecture)},
		{say("verbose.memory"), say("verbose.memory_value", bytesText(int64(info.WeightBytes)), bytesText(int64(info.KVBytes)))},
		{say("verbose.threads"), fmt.Sprint(info.Threads)},
		{say("verbose.loaded"), fmt.Sprintf("%.0f ms", float64(s.ready.Sub(s.start).Microseconds())/1000)},
		{say("verbose.ids"), joinIDs(r.request.IDs)},
	}
	if tok := r.model.Tokenizer(); tok != nil {
		var tokens []string
		for _, id := range r.request.IDs {
			bytes, _ := tok.TokenBytes(id)
			tokens = append(tokens, string(bytes))
		}
		rows = append(rows, []string{say("verbose.tokens"), fmt.Sprintf("%q", tokens)})
	}
	if unknown := slices.Sorted(slices.Values(r.request.Params.Unknown)); len(unknown) > 0 {
		rows = append(rows, []string{say("verbose.unknown"), strings.Join(unknown, ", ")})
	}
	fmt.Fprintln(w, dim(w, table(rows)))
}
