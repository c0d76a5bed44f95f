package tokenizer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"sync"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

const (
	blockSize    = 1 << 20  // bytes of text that a worker takes at a time
	roundBlocks  = 16       // blocks between two merges of the workers' tables
	maxLine      = 16 << 20 // bytes; a longer line is cut
	wordOverhead = 24 + 8   // bytes a word takes in a table beside its text
	shardCount   = 64
)

// newWordCounter counts what base takes for words: the pieces that its
// normalizer and pre-tokenizer make of a line.
func newWordCounter(base *Tokenizer, threads int, progress func(TrainProgress)) *wordCounter {
	c := &wordCounter{base: base, threads: threads, chars: make([]int64, unicode.MaxRune+1)}
	_, c.raw = lastPreTokenizer(base.spec.PreTokenizer).(byteLevel)
	read := int64(0)
	c.read = func(n int) {
		read += int64(n)
		progress(TrainProgress{Stage: "count", Done: read, Sampled: c.sampled > 0})
	}
	return c
}

// eachWord calls f for every word of a line.
func (c *wordCounter) eachWord(w *work, line string, f func(word string)) {
	s := &c.base.spec
	w.start(line, c.base.needsAlign)
	w.pieces = append(w.pieces, piece{0, len(line), -1})
	if s.Normalizer != nil {
		w.rewrite(s.Normalizer.normalize)
	}
	if s.PreTokenizer != nil {
		w.bytes = c.raw
		w.preTokenize(s.PreTokenizer)
	}
	for _, p := range w.pieces {
		f(w.text[p.start:p.end])
	}
}

// wordCounter counts the words of a text in tables of bounded size.
//
// While the distinct words fit, counts are exact. Beyond, tables are sampled:
// with a threshold t, words seen t times or more stay as they are, a word seen
// n < t times stays with probability n/t and then counts as t. So every count,
// and every count of a pair, keeps its expected value (threshold sampling,
// Duffield, Lund and Thorup 2005). Which words stay depends on the words
// alone: results are the same for every number of threads.
type wordCounter struct {
	base    *Tokenizer
	threads int
	read    func(n int) // progress: n more bytes were read

	raw     bool // words are bytes to be written as byte-level letters
	shards  [shardCount]wordTable
	sampled int     // rounds of sampling so far
	chars   []int64 // by character: its count, less that in the tables
}

// countAll counts the words of every source, line by line, and samples them
// when they take more than limit bytes.
func (c *wordCounter) countAll(ctx context.Context, sources []io.Reader, limit int64) error {
	blocks := make(chan textBlock, roundBlocks)
	spare := make(chan []byte, 2*roundBlocks)
	ctx, cancel := context.WithCancel(ctx)
	defer func() { // no source is read any more when this returns
		cancel()
		for range blocks {
		}
	}()
	var readErr error
	go func() {
		defer close(blocks)
		for i, r := range sources {
			if readErr = readBlocks(ctx, r, sourceName(r, i), blocks, spare); readErr != nil {
				return
			}
		}
	}()
	workers := make([]countWorker, c.threads)
	for more := true; more; {
		var err error
		if more, err = c.round(workers, blocks, spare); err != nil {
			return err
		}
		if c.bytes() > limit {
			c.sample(limit/2, func(e *wordEntry) int64 { return int64(e.size) + wordOverhead })
		}
	}
	return readErr
}

// sourceName is how errors call the i-th source: a file by its name.
func sourceName(r io.Reader, i int) string {
	if f, ok := r.(interface{ Name() string }); ok {
		return f.Name()
	}
	return fmt.Sprintf("source %d", i+1)
}

// round lets the workers count up to roundBlocks blocks and merges their
// tables; false after the last block.
func (c *wordCounter) round(workers []countWorker, blocks <-chan textBlock, spare chan<- []byte) (bool, error) {
	todo := make(chan textBlock, roundBlocks)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for b := range todo {
				workers[i].count(c, b)
				select {
				case spare <- b.text:
				default:
				}
			}
		})
	}
	n := 0
	for ; n < roundBlocks; n++ {
		b, ok := <-blocks
		if !ok {
			break
		}
		c.read(len(b.text))
		todo <- b
	}
	close(todo)
	wg.Wait()
	for i := range workers {
		if err := workers[i].err; err != nil {
			return false, err
		}
	}
	for i := range workers {
		wg.Go(func() { c.collect(workers, i) })
	}
	wg.Wait()
	for i := range workers {
		workers[i].table.reset()
	}
	return n == roundBlocks, nil
}

// collect adds the words of all workers that belong to every n-th shard.
func (c *wordCounter) collect(workers []countWorker, n int) {
	for i := range workers {
		t := &workers[i].table
		for j := range t.words {
			e := &t.words[j]
			if s := e.hash >> 32 % shardCount; int(s)%len(workers) == n {
				c.shards[s].add(t.word(j), e.hash, e.count)
			}
		}
	}
}

func (c *wordCounter) bytes() int64 {
	var n int64
	for i := range c.shards {
		n += int64(len(c.shards[i].text)) + wordOverhead*int64(len(c.shards[i].words))
	}
	return n
}

// sample thins the tables out so that the sum of size over their words is
// about limit at most.
func (c *wordCounter) sample(limit int64, size func(*wordEntry) int64) {
	expected := func(threshold int64) int64 {
		var n int64
		for e := range c.entries {
			n += size(e) * min(e.count, threshold)
		}
		return n / threshold
	}
	if expected(1) <= limit {
		return
	}
	high := int64(2)
	for expected(high) > limit {
		high *= 2
	}
	low := high / 2 // too low; high is enough
	for high-low > max(1, low/64) {
		if mid := (low + high) / 2; expected(mid) > limit {
			low = mid
		} else {
			high = mid
		}
	}
	c.sampled++
	for i := range c.shards {
		c.thin(&c.shards[i], high)
	}
}

func (c *wordCounter) entries(yield func(*wordEntry) bool) {
	for i := range c.shards {
		for j := range c.shards[i].words {
			if !yield(&c.shards[i].words[j]) {
				return
			}
		}
	}
}

// words yields every word with its count.
func (c *wordCounter) words(yield func([]byte, int64) bool) {
	for i := range c.shards {
		t := &c.shards[i]
		for j := range t.words {
			if !yield(t.word(j), t.words[j].count) {
				return
			}
		}
	}
}

// letters yields the characters of a word.
func (c *wordCounter) letters(word []byte) iter.Seq[rune] {
	return func(yield func(rune) bool) {
		if !c.raw {
			for _, r := range string(word) {
				if !yield(r) {
					return
				}
			}
			return
		}
		for _, b := range word {
			if !yield(byteLetters[b]) {
				return
			}
		}
	}
}

// symbolize turns the words into symbols and empties the tables.
func (c *wordCounter) symbolize(symbols func(word []byte, to []uint32) []uint32) trainWords {
	words, size := 0, 0
	for word := range c.words {
		words, size = words+1, size+len(word)
	}
	debug.FreeOSMemory() // what tables left behind when they grew
	set := trainWords{make([]uint32, 0, size), make([]uint32, 0, words), make([]uint32, 0, words), make([]int64, 0, words)}
	var room []uint32
	for i := range c.shards {
		t := &c.shards[i]
		for j := range t.words {
			room = symbols(t.word(j), room[:0])
			set.add(room, t.words[j].count)
		}
		*t = wordTable{}
	}
	return set
}

func (c *wordCounter) thin(t *wordTable, threshold int64) {
	var kept wordTable
	for i := range t.words {
		e := &t.words[i]
		word, count := t.word(i), e.count
		if count < threshold {
			count = 0
			if u := mix(e.hash, uint64(c.sampled)); mulHigh(u, uint64(threshold)) < uint64(e.count) {
				count = threshold
			}
			for r := range c.letters(word) {
				c.chars[r] += e.count - count
			}
		}
		if count > 0 {
			kept.add(word, e.hash, count)
		}
	}
	*t = kept
}

// countWorker counts words of blocks in a table of its own.
type countWorker struct {
	work  work
	table wordTable
	err   error
}

func (w *countWorker) count(c *wordCounter, b textBlock) {
	block := b.text
	if !utf8.Valid(block) && w.err == nil {
		w.err = fmt.Errorf("%s: byte %d is not UTF-8", b.source, b.offset+int64(firstInvalid(block)))
	}
	add := func(word string) {
		b := unsafe.Slice(unsafe.StringData(word), len(word))
		w.table.add(b, hashBytes(b), 1)
	}
	for len(block) > 0 && w.err == nil {
		n := bytes.IndexByte(block, '\n') + 1
		if n == 0 {
			n = len(block)
		}
		// The table copies what it keeps: nothing holds the line when the block is reused.
		c.eachWord(&w.work, unsafe.String(&block[0], n), add)
		block = block[n:]
	}
}
