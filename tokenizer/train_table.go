package tokenizer

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// wordTable maps words to counts: open addressing over entries whose text lies
// in one slice.
type wordTable struct {
	slots []uint32 // index into words + 1, or 0
	words []wordEntry
	text  []byte
}

type wordEntry struct {
	hash      uint64
	count     int64
	off, size uint32 // of text
}

func (t *wordTable) add(word []byte, hash uint64, count int64) {
	if len(t.words)*3 >= len(t.slots)*2 {
		t.grow()
	}
	mask := uint32(len(t.slots) - 1)
	i := uint32(hash) & mask
	for ; t.slots[i] != 0; i = (i + 1) & mask {
		e := &t.words[t.slots[i]-1]
		if e.hash == hash && bytes.Equal(t.text[e.off:][:e.size], word) {
			e.count += count
			return
		}
	}
	t.words = append(t.words, wordEntry{hash, count, uint32(len(t.text)), uint32(len(word))})
	t.text = append(t.text, word...)
	t.slots[i] = uint32(len(t.words))
}

func (t *wordTable) word(i int) []byte { return t.text[t.words[i].off:][:t.words[i].size] }

func (t *wordTable) grow() {
	t.slots = make([]uint32, max(1<<8, 2*len(t.slots)))
	mask := uint32(len(t.slots) - 1)
	for k := range t.words {
		i := uint32(t.words[k].hash) & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = uint32(k + 1)
	}
}

func (t *wordTable) reset() {
	clear(t.slots)
	t.words, t.text = t.words[:0], t.text[:0]
}

// hashBytes is a hash that is the same in every run (a seeded one would make
// sampling differ between runs).
func hashBytes(b []byte) uint64 {
	h := uint64(len(b)) * 0x9E3779B97F4A7C15
	for ; len(b) >= 8; b = b[8:] {
		h = mix(h, binary.LittleEndian.Uint64(b))
	}
	var tail uint64
	for i, c := range b {
		tail |= uint64(c) << (8 * i)
	}
	return mix(h, tail)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xA0761D6478BD642F, b^0xE7037ED1A0B428DB)
	return hi ^ lo
}

func mulHigh(a, b uint64) uint64 {
	hi, _ := bits.Mul64(a, b)
	return hi
}
