package tokenizer

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// spmFile is a SentencePiece model file
// (google/sentencepiece, src/sentencepiece_model.proto).
type spmFile struct {
	pieces       []spmPiece
	unigram      bool // else BPE
	byteFallback bool
	spaceAfter   bool // treat_whitespace_as_suffix
	unkSurface   string
	normalizer   spmNormalizerSpec
	denormalizer spmNormalizerSpec
	unk          int32 // the piece of type spmUnknown
}

type spmPiece struct {
	text  string
	score float32
	kind  spmKind
}

type spmKind uint8

const (
	spmNormal spmKind = iota + 1
	spmUnknown
	spmControl
	spmUserDefined
	spmUnused
	spmByte
)

type spmNormalizerSpec struct {
	charsmap         []byte
	addDummyPrefix   bool
	removeSpaces     bool // remove_extra_whitespaces
	escapeWhitespace bool
}

// maxPiece keeps what is done for every part of a piece in proportion to the
// file.
const maxPiece = 1 << 10 // bytes

// spmSpace stands for a space in pieces.
const spmSpace = "▁"

func parseSPM(data []byte) (*spmFile, error) {
	f := &spmFile{
		unigram:    true,
		unkSurface: " ⁇ ",
		normalizer: spmNormalizerSpec{addDummyPrefix: true, removeSpaces: true, escapeWhitespace: true},
	}
	kind := uint64(1) // model_type
	err := eachProtoField(data, func(p protoField) error {
		switch p.number {
		case 1:
			return f.addPiece(p.bytes)
		case 2:
			return eachProtoField(p.bytes, func(p protoField) error {
				switch p.number {
				case 3:
					kind = p.value
				case 24:
					f.spaceAfter = p.value != 0
				case 35:
					f.byteFallback = p.value != 0
				case 44:
					f.unkSurface = string(p.bytes)
				}
				return nil
			})
		case 3:
			return f.normalizer.parse(p.bytes)
		case 5:
			return f.denormalizer.parse(p.bytes)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	switch kind {
	case 1, 2:
		f.unigram = kind == 1
	default:
		return nil, fmt.Errorf("model type %d is not supported (known: 1 Unigram, 2 BPE)", kind)
	}
	return f, f.check()
}

func (f *spmFile) addPiece(b []byte) error {
	p := spmPiece{kind: spmNormal}
	err := eachProtoField(b, func(field protoField) error {
		switch field.number {
		case 1:
			p.text = string(field.bytes)
		case 2:
			p.score = math.Float32frombits(uint32(field.value))
		case 3:
			if field.value < uint64(spmNormal) || field.value > uint64(spmByte) {
				return fmt.Errorf("type %d is not supported", field.value)
			}
			p.kind = spmKind(field.value)
		}
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("piece %d: %w", len(f.pieces), err)
	case p.text == "":
		return fmt.Errorf("piece %d is empty", len(f.pieces))
	case len(p.text) > maxPiece:
		return fmt.Errorf("piece %d, %s, is longer than %d bytes", len(f.pieces), shorten(p.text), maxPiece)
	case !utf8.ValidString(p.text):
		return fmt.Errorf("piece %d, %s, is not UTF-8", len(f.pieces), shorten(p.text))
	case p.score != p.score:
		return fmt.Errorf("piece %d, %s: its score is not a number", len(f.pieces), shorten(p.text))
	}
	f.pieces = append(f.pieces, p)
	return nil
}

func (s *spmNormalizerSpec) parse(b []byte) error {
	return eachProtoField(b, func(p protoField) error {
		switch p.number {
		case 2:
			s.charsmap = p.bytes
		case 3:
			s.addDummyPrefix = p.value != 0
		case 4:
			s.removeSpaces = p.value != 0
		case 5:
			s.escapeWhitespace = p.value != 0
		}
		return nil
	})
}

func (f *spmFile) check() error {
	f.unk = -1
	bytes := 0
	for i, p := range f.pieces {
		switch p.kind {
		case spmUnknown:
			if f.unk >= 0 {
				return fmt.Errorf("pieces %d and %d are both for what is unknown", f.unk, i)
			}
			f.unk = int32(i)
		case spmByte:
			if _, ok := byteToken(p.text); !ok {
				return fmt.Errorf("piece %d, %s, stands for no byte", i, shorten(p.text))
			}
			bytes++
		}
	}
	if f.unk < 0 {
		return fmt.Errorf("none of the %d pieces is for what is unknown", len(f.pieces))
	}
	if f.byteFallback && bytes != 256 {
		return fmt.Errorf("byte_fallback with %d pieces for bytes, not 256", bytes)
	}
	return nil
}

// texts returns the pieces by id.
func (f *spmFile) texts() vocab {
	v := make(vocab, len(f.pieces))
	for i, p := range f.pieces {
		v[i] = p.text
	}
	return v
}
