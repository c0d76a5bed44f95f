package kernel

import (
	"encoding/binary"
	"unsafe"
)

// transpose is the argument of the assembly that lays sixteen rows of 32-bit
// words out side by side, which float32, pairs of bfloat16 and quads of bytes
// all are. internal/asmgen reads the fields by offset.
type transpose struct {
	dst    unsafe.Pointer // where the sixteen first words go
	src    unsafe.Pointer // the first row
	stride int            // bytes between rows
	groups int            // groups of four words of a row, at least one
	flip   uint32         // all words are XORed with it
	to     int            // bytes from one place of sixteen words to the next
}

// packGroups is how many groups of four words one call of assembly takes, so
// that it stays below about 50 µs.
const packGroups = 1024

// sideBySide lays out the first words of sixteen rows (stride bytes apart), as
// many as a fast path takes, and returns their number. Of both slices only what
// that touches is needed.
func sideBySide[T float32 | uint16](dst, src []T, stride, words int) int {
	size := int(unsafe.Sizeof(src[:1][0]))
	done := 0
	for rest := words / 4; rest > 0; rest -= packGroups {
		groups := min(rest, packGroups)
		from := src[done*4/size:][:15*stride/size+groups*16/size]
		to := dst[done*4/size*panelWidth:][:groups*16/size*panelWidth]
		t := transpose{
			dst: unsafe.Pointer(&to[0]), src: unsafe.Pointer(&from[0]), stride: stride, groups: groups, to: 4 * panelWidth,
		}
		if !t.run() {
			return 0
		}
		done += 4 * groups
	}
	return done
}

// Transpose sets dst[c·ldd + r] = src[r·ld + c] for rows × cols elements.
func Transpose(dst []float32, ldd int, src []float32, ld, rows, cols int) {
	for r0 := 0; r0 < rows; r0 += panelWidth {
		n, done := min(panelWidth, rows-r0), 0
		if n == panelWidth {
			done = transposeRows(dst[r0:], ldd, src[r0*ld:], ld, cols)
		}
		block := src[r0*ld:]
		for c := done; c < cols; c++ {
			d := dst[c*ldd+r0:][:n]
			for r := range d {
				d[r] = block[r*ld+c]
			}
		}
	}
}

// transposeRows is Transpose of sixteen rows for as many columns as a fast path
// takes, whose number it returns.
func transposeRows(dst []float32, ldd int, src []float32, ld, cols int) int {
	done := 0
	for rest := cols / 4; rest > 0; rest -= packGroups {
		groups := min(rest, packGroups)
		from := src[done:][:15*ld+4*groups]
		to := dst[done*ldd:][:(4*groups-1)*ldd+panelWidth]
		t := transpose{
			dst: unsafe.Pointer(&to[0]), src: unsafe.Pointer(&from[0]), stride: 4 * ld, groups: groups, to: 4 * ldd,
		}
		if !t.run() {
			return 0
		}
		done += 4 * groups
	}
	return done
}

// quantSideBySide lays out the weights of one block of sixteen rows, rowBytes
// apart, where the type is common and a fast path there, and says whether it
// did.
func quantSideBySide(typ QuantType, quants, rows []byte, rowBytes int) bool {
	f := &quantFormats[typ]
	from, bytes, flip := 0, 0, uint32(0)
	switch typ {
	case Q8_0:
		from, bytes, flip = 2, 32, 0x80*eachByte
	case Q4_0:
		from, bytes = 2, 16
	case Q4_1:
		from, bytes = 4, 16
	case Q4_K:
		from, bytes = 16, 128
	default:
		return false
	}
	rows = rows[:15*rowBytes+f.blockBytes]
	quants = quants[:bytes*panelWidth]
	t := transpose{
		dst: unsafe.Pointer(&quants[0]), src: unsafe.Pointer(&rows[from]), stride: rowBytes, groups: bytes / 16, flip: flip, to: 4 * panelWidth,
	}
	if !t.run() {
		return false
	}
	switch typ {
	case Q4_0, Q4_1: // bytes hold weights i and i + 16
		mixNibbles(quants, 4)
	case Q4_K: // bytes hold weights i and i + 32
		for at := 0; at < len(quants); at += 8 * 64 {
			mixNibbles(quants[at:], 8)
		}
	}
	return true
}

// mixNibbles turns n rows of 64 bytes, in which the low nibbles belong to
// earlier weights than all the high ones, into the order of panels: the low
// nibbles of two rows make a row, then the high nibbles of two rows do.
func mixNibbles(b []byte, n int) {
	const low = 0x0f0f0f0f0f0f0f0f
	le := binary.LittleEndian
	var v [8]uint64
	for at := 0; at < 64; at += 8 {
		for i := range n {
			v[i] = le.Uint64(b[64*i+at:])
		}
		for i := 0; i < n; i += 2 {
			le.PutUint64(b[32*i+at:], v[i]&low|v[i+1]&low<<4)
			le.PutUint64(b[32*(i+n)+at:], v[i]>>4&low|v[i+1]&^low)
		}
	}
}
