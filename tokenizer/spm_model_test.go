package tokenizer

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// protoMessage writes fields of a protobuf message: string, int, bool and
// float32 values, and messages as []byte.
func protoMessage(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		number := uint64(fields[i].(int)) << 3
		switch v := fields[i+1].(type) {
		case string:
			b = binary.AppendUvarint(b, number|2)
			b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
		case []byte:
			b = binary.AppendUvarint(b, number|2)
			b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
		case int:
			b = binary.AppendUvarint(b, number)
			b = binary.AppendUvarint(b, uint64(v))
		case bool:
			b = binary.AppendUvarint(b, number)
			b = append(b, map[bool]byte{true: 1}[v])
		case float32:
			b = binary.AppendUvarint(b, number|5)
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	return b
}

// smallSPM makes a model file: unknown, control, and the given pieces with
// descending scores.
func smallSPM(trainer, normalizer []byte, pieces ...spmPiece) []byte {
	pieces = append([]spmPiece{{"<unk>", 0, spmUnknown}, {"<s>", 0, spmControl}, {"</s>", 0, spmControl}}, pieces...)
	var b []byte
	for i, p := range pieces {
		if p.score == 0 {
			p.score = -float32(i)
		}
		b = append(b, protoMessage(1, protoMessage(1, p.text, 2, p.score, 3, int(p.kind)))...)
	}
	return append(b, protoMessage(2, trainer, 3, normalizer)...)
}

func normalPieces(texts ...string) []spmPiece {
	var list []spmPiece
	for _, t := range texts {
		list = append(list, spmPiece{text: t, kind: spmNormal})
	}
	return list
}

func TestSentencePieceKinds(t *testing.T) {
	bpeTrainer := protoMessage(3, 2)
	unigramTrainer := protoMessage(3, 1)
	letters := normalPieces("ab", "abc", "abcd", "▁a", "▁", "a", "b", "c", "d", "美", "你好")
	unused := func(pieces []spmPiece, text string) []spmPiece {
		pieces = slices.Clone(pieces)
		for i := range pieces {
			if pieces[i].text == text {
				pieces[i].kind = spmUnused
			}
		}
		return pieces
	}
	user := append(slices.Clone(letters), spmPiece{text: "b<x>", kind: spmUserDefined, score: -100})
	for _, c := range []struct {
		name, text string
		data       []byte
		want       []string
		back       string
	}{
		{"bpe", "abcd", smallSPM(bpeTrainer, nil, letters...), []string{"▁", "abcd"}, "abcd"},
		{"bpe unused", "abcd", smallSPM(bpeTrainer, nil, unused(letters, "abcd")...), []string{"▁", "abc", "d"}, "abcd"},
		{"bpe unused twice", "abcd", smallSPM(bpeTrainer, nil, unused(unused(letters, "abcd"), "abc")...), []string{"▁", "ab", "c", "d"}, "abcd"},
		{"bpe user-defined", "ab<x>c", smallSPM(bpeTrainer, nil, user...), []string{"▁a", "b<x>", "c"}, "ab<x>c"},
		{"bpe unknown", "axyb", smallSPM(bpeTrainer, nil, letters...), []string{"▁a", "xy", "b"}, "a ⁇ b"},
		{"bpe control is text", "<s>", smallSPM(bpeTrainer, nil, letters...), []string{"▁", "<s>"}, " ⁇ "},
		{"unigram", "你好abcd美", smallSPM(unigramTrainer, nil, letters...), []string{"▁", "你好", "abcd", "美"}, "你好abcd美"},
		{"unigram unused", "abcd", smallSPM(unigramTrainer, nil, unused(letters, "abcd")...), []string{"▁", "abc", "d"}, "abcd"},
		{"unigram user-defined", "ab<x>c", smallSPM(unigramTrainer, nil, user...), []string{"▁a", "b<x>", "c"}, "ab<x>c"},
		{"spaces go", "  a   b ", smallSPM(bpeTrainer, nil, letters...), []string{"▁a", "▁", "b"}, "a b"},
		{"spaces stay", "  a ", smallSPM(bpeTrainer, protoMessage(4, false), letters...), []string{"▁", "▁", "▁a", "▁"}, "  a "},
		{"no dummy prefix", "a b", smallSPM(bpeTrainer, protoMessage(3, false, 4, false), letters...), []string{"a", "▁", "b"}, "a b"},
		{"suffix", "a b", smallSPM(protoMessage(3, 2, 24, true), nil, letters...), []string{"a", "▁", "b", "▁"}, "a b "},
		{"not UTF-8", "a\xffb", smallSPM(bpeTrainer, nil, letters...), []string{"▁a", "\uFFFD", "b"}, "a ⁇ b"},
		{"empty", "", smallSPM(bpeTrainer, nil, letters...), nil, ""},
		{"only spaces", "   ", smallSPM(bpeTrainer, nil, letters...), nil, ""},
		{"unk surface", "x", smallSPM(protoMessage(3, 2, 44, "<?>"), nil, letters...), []string{"▁", "x"}, "<?>"},
	} {
		tok, err := ParseSentencePiece(c.data, c.name)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		e, err := tok.EncodeFull(c.text, EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, c.name, "tokens", e.Tokens, c.want)
		same(t, c.name, "decoded", tok.Decode(e.IDs, false), c.back)
		if _, err := tok.MarshalJSON(); err == nil {
			t.Errorf("%s: it has a tokenizer.json", c.name)
		}
	}
}

func TestSentencePieceByteFallback(t *testing.T) {
	pieces := normalPieces("▁", "a")
	for b := range 256 {
		pieces = append(pieces, spmPiece{text: fmt.Sprintf("<0x%02X>", b), kind: spmByte})
	}
	for _, kind := range []int{1, 2} {
		tok, err := ParseSentencePiece(smallSPM(protoMessage(3, kind, 35, true), protoMessage(4, false), pieces...), "bytes")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"a美", "<0x41>", "é é", "🙂"} {
			ids := tok.Encode(text, false)
			same(t, text, "decoded", tok.Decode(ids, false), text)
			stream := tok.NewStream(false)
			var all strings.Builder
			for _, id := range ids {
				all.WriteString(stream.Push(id))
			}
			same(t, text, "streamed", all.String()+stream.Flush(), text)
		}
		if got := tok.Decode(tok.Encode("美", false)[1:3], false); got != "\uFFFD\uFFFD" {
			t.Errorf("two bytes of three give %q", got)
		}
	}
}

func TestSentencePieceRefuses(t *testing.T) {
	good := smallSPM(protoMessage(3, 2), nil, normalPieces("▁", "a")...)
	piece := func(text string, score float32, kind int) []byte {
		return slices.Concat(good, protoMessage(1, protoMessage(1, text, 2, score, 3, kind)))
	}
	nan := float32(math.NaN())
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "none of the 0 pieces is for what is unknown"},
		{"cut", good[:len(good)-3], "cut short"},
		{"text", []byte("the quick brown fox"), "protobuf"},
		{"word model", smallSPM(protoMessage(3, 3), nil), "model type 3"},
		{"twice", piece("a", 1, 1), "has the ids 4 and 5"},
		{"two unknown", piece("<unk2>", 1, 2), "pieces 0 and 5 are both"},
		{"no byte", piece("<0xZZ>", 1, 6), "stands for no byte"},
		{"type", piece("x", 1, 9), "type 9"},
		{"empty piece", piece("", 1, 1), "piece 5 is empty"},
		{"long piece", piece(strings.Repeat("x", maxPiece+1), 1, 1), "longer than 1024 bytes"},
		{"not UTF-8", piece("\xff", 1, 1), "not UTF-8"},
		{"NaN", piece("x", nan, 1), "not a number"},
		{"bytes", smallSPM(protoMessage(3, 2, 35, true), nil), "0 pieces for bytes"},
		{"charsmap", smallSPM(protoMessage(3, 2), protoMessage(2, "\xff\xff\xff\xffxx")), "charsmap"},
	} {
		if _, err := ParseSentencePiece(c.data, "m.model"); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "m.model: ") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzSentencePiece(f *testing.F) {
	pieces := normalPieces("▁", "a", "b", "ab", "▁a", "美")
	f.Add(smallSPM(protoMessage(3, 2), nil, pieces...), "ab 美")
	f.Add(smallSPM(protoMessage(3, 1, 24, true), protoMessage(3, false, 5, false), pieces...), "a  b")
	f.Add(smallSPM(protoMessage(3, 2), protoMessage(2, "\x04\x00\x00\x00\x00\x00\x00\x00ab\x00")), "x")
	f.Add(smallSPM(protoMessage(3, 2), nil, append(pieces, spmPiece{"<x>", 0, spmUserDefined}, spmPiece{"abab", 0, spmUnused})...), "abab<x>")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tok, err := ParseSentencePiece(data, "fuzz")
		if err != nil {
			return
		}
		e, err := tok.EncodeFull(text, EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range e.Offsets {
			if o[0] < 0 || o[1] < o[0] || o[1] > len(text) {
				t.Fatalf("token %d has the offsets %v in %d bytes", i, o, len(text))
			}
		}
		tok.Decode(e.IDs, false)
	})
}
