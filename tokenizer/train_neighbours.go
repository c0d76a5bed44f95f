package tokenizer

import "slices"

// neighbours gathers the symbols on one side of the pair being merged: how
// often each stands there, and in which words.
type neighbours struct {
	count  []int64    // by symbol
	size   []uint32   // by symbol: its notes; in lists, its index in seen
	seen   []uint32   // symbols with notes, in order of the first
	symbol []uint32   // notes, in ascending order of words
	word   []uint32   // the same notes' words
	list   [][]uint32 // by index in seen: room for lists
}

func (n *neighbours) reset(symbols int) {
	if len(n.count) < symbols {
		n.count = append(n.count, make([]int64, symbols-len(n.count))...)
		n.size = append(n.size, make([]uint32, symbols-len(n.size))...)
	}
	for _, s := range n.seen {
		n.count[s], n.size[s] = 0, 0
	}
	n.seen, n.symbol, n.word = n.seen[:0], n.symbol[:0], n.word[:0]
}

func (n *neighbours) note(symbol, word uint32, count int64) {
	if n.size[symbol] == 0 {
		n.seen = append(n.seen, symbol)
	}
	n.count[symbol] += count
	n.size[symbol]++
	n.symbol = append(n.symbol, symbol)
	n.word = append(n.word, word)
}

// join adds the notes of o, which are of later words.
func (n *neighbours) join(o *neighbours) {
	for _, s := range o.seen {
		if n.size[s] == 0 {
			n.seen = append(n.seen, s)
		}
		n.count[s] += o.count[s]
		n.size[s] += o.size[s]
	}
	n.symbol = append(n.symbol, o.symbol...)
	n.word = append(n.word, o.word...)
}

// longList is from where on a list of words has memory of its own, which is
// free once its pair is merged; shorter ones share a block.
const longList = 256

// lists calls f for each symbol with the words, ascending, that it is in.
func (n *neighbours) lists(f func(symbol uint32, words []uint32)) {
	short := 0
	for _, s := range n.seen {
		if n.size[s] < longList {
			short += int(n.size[s])
		}
	}
	block := make([]uint32, short)
	n.list = slices.Grow(n.list[:0], len(n.seen))[:len(n.seen)]
	for i, s := range n.seen {
		size := n.size[s]
		n.size[s] = uint32(i)
		if size < longList {
			n.list[i], block = block[:0:size], block[size:]
		} else {
			n.list[i] = make([]uint32, 0, size)
		}
	}
	for k, s := range n.symbol {
		l := &n.list[n.size[s]]
		if w := n.word[k]; len(*l) == 0 || (*l)[len(*l)-1] != w {
			*l = append(*l, w)
		}
	}
	for i, s := range n.seen {
		f(s, n.list[i])
	}
	clear(n.list)
}
