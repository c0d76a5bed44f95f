package dataset

import (
	"context"
	"sync"
)

// A batch of records is what a thread tokenises at a time.
const (
	batchRecords = 1024
	batchBytes   = 256 << 10
)

// batch is a run of records and where their sequences go.
type batch struct {
	records []record
	from    []*dataFile // of each record
	read    int64       // bytes of the file that have been read, compressed as it is
	err     error       // the reading ended with it, after records
	out     chan encoded
}

// encoded is what became of a batch.
type encoded struct {
	info    shardInfo // of these records alone
	entries []entry
	broken  []error
	read    int64
	err     error
}

// readBatch reads the next batch; an empty one is the end.
func readBatch(f *series) *batch {
	b := &batch{out: make(chan encoded, 1)}
	for size := 0; len(b.records) < batchRecords && size < batchBytes; {
		rec, from, err := f.next()
		if err != nil || from == nil {
			b.err = err
			break
		}
		b.records = append(b.records, rec)
		b.from = append(b.from, from)
		size += len(rec.data)
	}
	b.read = f.position()
	return b
}

// tokenise encodes the records of a file on many threads and calls each with
// what became of its batches, in the order of the file.
func (p *preparer) tokenise(ctx context.Context, f *series, enc Encoder, each func(encoded) error) error {
	ctx, cancel := context.WithCancel(ctx)
	work := make(chan *batch)
	order := make(chan *batch, 2*p.opt.threads())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		defer close(order)
		defer close(work)
		for more := true; more; {
			b := readBatch(f)
			more = len(b.records) > 0 && b.err == nil
			for _, to := range []chan *batch{order, work} {
				select {
				case to <- b:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	for range p.opt.threads() {
		group.Go(func() {
			for b := range work {
				b.out <- p.encodeBatch(enc, b)
			}
		})
	}
	for b := range order {
		select {
		case e := <-b.out:
			if err := each(e); err != nil {
				return err
			}
			if e.err != nil {
				return e.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

func (p *preparer) encodeBatch(enc Encoder, b *batch) encoded {
	e := encoded{read: b.read, err: b.err}
	for i, rec := range b.records {
		e.info.Records++
		doc, err := b.from[i].parse(rec)
		var seqs []Sequence
		var cut Cut
		if err == nil && !doc.leave {
			seqs, cut, err = enc.Encode(&doc)
		}
		if err != nil {
			e.broken = append(e.broken, err)
			e.info.Broken++
			continue
		}
		e.info.Truncated += int64(cut.Truncated)
		e.info.Dropped += int64(cut.Dropped)
		if cut.Dropped == 0 || len(seqs) > 0 {
			p.addDocument(&e, &doc, seqs)
		}
	}
	return e
}

// addDocument appends the sequences of a document.
func (p *preparer) addDocument(e *encoded, doc *Document, seqs []Sequence) {
	first := entry{hash: hashDocument(doc)}
	for text := range documentTexts(doc) {
		first.bytes += len(text)
	}
	if p.evaluation != nil && p.evaluation.contaminates(doc) {
		first.flags = flagContaminated
	}
	if p.opt.signed() {
		sign := signDocument(doc)
		first.sign = &sign
	}
	next := first
	for _, seq := range seqs {
		if len(seq.IDs) == 0 {
			continue
		}
		next.Sequence = seq
		e.entries = append(e.entries, next)
		next = entry{hash: first.hash, flags: first.flags | flagContinues}
	}
	if next.flags&flagContinues == 0 {
		e.info.Empty++
		return
	}
	e.info.Documents++
	e.info.Bytes += int64(first.bytes)
}

// add adds the counts of d.
func (s *shardInfo) add(d shardInfo) {
	s.Records += d.Records
	s.Documents += d.Documents
	s.Bytes += d.Bytes
	s.Empty += d.Empty
	s.Broken += d.Broken
	s.Truncated += d.Truncated
	s.Dropped += d.Dropped
}
