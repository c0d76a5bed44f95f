package dataset

import (
	"cmp"
	"slices"

	"wenmo/internal/philox"
)

// packer packs the rows of a batch.
type packer struct {
	*Mixture
	state State
}

// enterPhase begins to count anew where a phase begins.
func (p *packer) enterPhase() {
	now := p.state.Phase
	for now+1 < len(p.phases) && p.phases[now+1].first <= p.state.Step {
		now++
	}
	if now == p.state.Phase {
		return
	}
	p.state.Phase = now
	for i := range p.state.Sources {
		p.state.Sources[i].InPhase = 0
	}
}

// piece is a stretch of a waiting sequence.
type piece struct {
	source, waiting int // index in Waiting
	tokens          int
}

// row packs row number i of the batch.
func (p *packer) row(i int) ([]Sequence, error) {
	var row []Sequence
	room := p.opt.Context
	talk := false // the last sequence ends with a whole conversation
	for room > 0 {
		next, ok := p.choose(room)
		if !ok {
			break
		}
		whole := p.conversation(next)
		seq, err := p.give(next)
		if err != nil {
			return nil, err
		}
		if talk && whole && p.joins(i, room) {
			last := &row[len(row)-1]
			*last = Sequence{IDs: slices.Concat(last.IDs, seq.IDs), Labels: slices.Concat(last.Labels, seq.Labels)}
		} else {
			row = append(row, seq)
		}
		talk = whole
		room -= next.tokens
	}
	if room%2 != 0 { // as Context is even, so is the row now
		last := &row[len(row)-1]
		last.Labels = append(slices.Clone(last.Labels), NoLabel)
		last.IDs = append(last.IDs, last.IDs[len(last.IDs)-1])
	}
	return row, nil
}

// conversation reports whether a piece is a whole conversation.
func (p *packer) conversation(next piece) bool {
	source := &p.corpus.sources[next.source]
	return source.masked && next.tokens == source.length(p.state.Sources[next.source].Waiting[next.waiting][0])
}

// joins decides by chance whether the conversation for which there is so much
// room in a row goes on from the one before it.
func (p *packer) joins(row, room int) bool {
	seed := p.opt.Seed
	w := philox.Words([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{uint32(p.state.Step), uint32(row), uint32(room), 0x6a6f696e})
	return float64(w[0]) < p.opt.Join*(1<<32)
}

// choose returns what comes next in a row with so much room. The first of a row
// is what has waited longest, so that nothing waits for ever.
func (p *packer) choose(room int) (piece, bool) {
	for _, i := range p.byDeficit() {
		p.refill(i)
		if room == p.opt.Context {
			return piece{i, 0, min(p.rest(i, 0), room)}, true
		}
		fit, longest := -1, 0
		for k := range p.state.Sources[i].Waiting {
			rest := p.rest(i, k)
			if rest <= room && (fit < 0 || rest > p.rest(i, fit)) {
				fit = k
			}
			if rest > p.rest(i, longest) {
				longest = k
			}
		}
		switch {
		case fit >= 0:
			return piece{i, fit, p.rest(i, fit)}, true
		case !p.corpus.sources[i].masked:
			return piece{i, longest, room}, true
		}
	}
	return piece{}, false
}

// byDeficit returns the sources of the phase, first the one that is furthest
// behind its share of the tokens.
func (p *packer) byDeficit() []int {
	total := int64(0)
	for i := range p.state.Sources {
		total += p.state.Sources[i].InPhase
	}
	var order []int
	var deficits []float64
	for i, share := range p.phases[p.state.Phase].shares {
		deficits = append(deficits, float64(share*float64(total))-float64(p.state.Sources[i].InPhase))
		if share > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(deficits[b], deficits[a]) })
	return order
}

// refill draws sequences of a source until as many wait as may.
func (p *packer) refill(i int) {
	source, at := &p.corpus.sources[i], &p.state.Sources[i]
	order := newPermutation(source.len(), p.opt.Seed, uint32(i), uint32(at.Epoch))
	for len(at.Waiting) < p.queues[i] {
		if at.Position == source.len() {
			at.Epoch++
			at.Position = 0
			order = newPermutation(source.len(), p.opt.Seed, uint32(i), uint32(at.Epoch))
		}
		k := order.at(at.Position)
		at.Position++
		if source.train.has(k) && source.length(k) > 0 {
			at.Waiting = append(at.Waiting, [2]int{k, 0})
		}
	}
}

// rest returns how many tokens of a waiting sequence are still to come.
func (p *packer) rest(source, waiting int) int {
	w := p.state.Sources[source].Waiting[waiting]
	return p.corpus.sources[source].length(w[0]) - w[1]
}

// give takes a piece out of its queue. What is left of the sequence queues up
// again at the end, so that the pieces of a book are far from one another.
func (p *packer) give(next piece) (Sequence, error) {
	at := &p.state.Sources[next.source]
	w := at.Waiting[next.waiting]
	left := p.rest(next.source, next.waiting) - next.tokens
	at.Waiting = slices.Delete(at.Waiting, next.waiting, next.waiting+1)
	if left > 0 {
		at.Waiting = append(at.Waiting, [2]int{w[0], w[1] + next.tokens})
	}
	at.Tokens += int64(next.tokens)
	at.InPhase += int64(next.tokens)
	s, k := p.corpus.sources[next.source].at(w[0])
	return s.read(k, w[1], w[1]+next.tokens)
}
