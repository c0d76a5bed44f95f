package terminalchat

import (
	"context"
	"time"

	"wenmo"
	"wenmo/chat"
)

// piece is a part of an answer as it comes.
type piece struct {
	chat.Output
	first  int // the conversation's, once it has been made to fit
	usage  wenmo.Usage
	finish wenmo.Finish
	at     time.Time
	err    error
}

// answer sends the answer to a conversation, up to its end, an error or the end
// of ctx, and closes the channel. The first piece tells what was forgotten.
func answer(ctx context.Context, m *Model, c conversation, p wenmo.Params, sample int) <-chan piece {
	pieces := make(chan piece)
	send := func(p piece) bool {
		p.first, p.at = c.first, time.Now()
		select {
		case pieces <- p:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(pieces)
		end, err := c.fit(m, p)
		if !send(piece{err: err}) || err != nil {
			return
		}
		parser := chat.NewOutputParser(m.Format, end)
		for ev, err := range m.Answer(ctx, wenmo.Request{Messages: c.seen(), Params: p, Sample: sample}) {
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				send(piece{Output: parser.Close(), usage: ev.Usage, err: err})
				return
			case !send(piece{Output: parser.Write(ev.Text), usage: ev.Usage, finish: ev.Finish}):
				return
			}
		}
		send(piece{Output: parser.Close()})
	}()
	return pieces
}
