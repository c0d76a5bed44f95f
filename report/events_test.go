package report

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// event is what the reader of this test, written from TensorFlow's .proto
// files, finds in a record.
type event struct {
	wall          float64
	step          int64
	version       string
	session       uint64
	tag           string
	simple        float32
	plugin, text  string
	dtype, length uint64
}

// fields calls f for each field of a message: number, and the value as a number
// or as bytes.
func fields(t *testing.T, b []byte, f func(n protowire.Number, value uint64, content []byte)) {
	t.Helper()
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			t.Fatalf("bad tag in %x", b)
		}
		b = b[size:]
		var value uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			value, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			value, size = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, size = protowire.ConsumeFixed32(b)
			value = uint64(v)
		case protowire.BytesType:
			content, size = protowire.ConsumeBytes(b)
		default:
			t.Fatalf("field %d has type %d", n, kind)
		}
		if size < 0 {
			t.Fatalf("field %d is cut", n)
		}
		b = b[size:]
		f(n, value, content)
	}
}

func parseEvent(t *testing.T, data []byte) (e event) {
	fields(t, data, func(n protowire.Number, v uint64, b []byte) {
		switch n {
		case 1:
			e.wall = math.Float64frombits(v)
		case 2:
			e.step = int64(v)
		case 3:
			e.version = string(b)
		case 5:
			fields(t, b, func(_ protowire.Number, _ uint64, b []byte) { parseValue(t, b, &e) })
		case 7:
			fields(t, b, func(_ protowire.Number, v uint64, _ []byte) { e.session = v })
		}
	})
	return e
}

func parseValue(t *testing.T, data []byte, e *event) {
	fields(t, data, func(n protowire.Number, v uint64, b []byte) {
		switch n {
		case 1:
			e.tag = string(b)
		case 2:
			e.simple = math.Float32frombits(uint32(v))
		case 8:
			fields(t, b, func(n protowire.Number, v uint64, b []byte) {
				switch n {
				case 1:
					e.dtype = v
				case 2:
					fields(t, b, func(_ protowire.Number, _ uint64, dim []byte) {
						fields(t, dim, func(_ protowire.Number, v uint64, _ []byte) { e.length = v })
					})
				case 8:
					e.text = string(b)
				}
			})
		case 9:
			fields(t, b, func(_ protowire.Number, _ uint64, plugin []byte) {
				fields(t, plugin, func(_ protowire.Number, _ uint64, name []byte) { e.plugin = string(name) })
			})
		}
	})
}

func readEvents(t *testing.T, path string) (events []event) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(b []byte) uint32 {
		c := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
		return ((c >> 15) | (c << 17)) + 0xa282ead8
	}
	for len(data) > 0 {
		n := binary.LittleEndian.Uint64(data)
		if got := binary.LittleEndian.Uint32(data[8:]); got != sum(data[:8]) {
			t.Fatalf("checksum of a length is %x", got)
		}
		body := data[12 : 12+n]
		if got := binary.LittleEndian.Uint32(data[12+n:]); got != sum(body) {
			t.Fatalf("checksum of a record is %x", got)
		}
		events = append(events, parseEvent(t, body))
		data = data[16+n:]
	}
	return events
}

// TestMaskedCRC holds a value of TensorFlow's own test (crc32c_test.cc: the
// CRC-32C of 32 zero bytes is 8a9136aa).
func TestMaskedCRC(t *testing.T) {
	crc := uint32(0x8a9136aa)
	if got, want := maskedCRC(make([]byte, 32)), (crc>>15|crc<<17)+0xa282ead8; got != want {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestEvents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "甲")
	now := time.Unix(1_700_000_000, 500_000_000)
	e, err := NewEvents(dir, 0, now)
	if err != nil {
		t.Fatal(err)
	}
	e.Scalar("loss/train", 1, now, 3.25)
	e.Scalar("loss/train", 1<<40, now, math.NaN())
	e.Text("samples", 2, now, "床前明月光")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := NewEvents(dir, 2, now)
	if err != nil {
		t.Fatal(err)
	}
	again.Scalar("loss/train", 2, now, 3)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	slices.Sort(files)
	if len(files) != 2 || !strings.Contains(files[0], ".tfevents.1700000000.") {
		t.Fatalf("files %q", files)
	}
	first := readEvents(t, files[0])
	const wall = 1_700_000_000.5
	if len(first) != 4 || first[0] != (event{wall: wall, version: "brain.Event:2"}) || first[1] != (event{wall: wall, step: 1, tag: "loss/train", simple: 3.25}) {
		t.Errorf("%+v", first)
	}
	if first[2].step != 1<<40 || !math.IsNaN(float64(first[2].simple)) {
		t.Errorf("%+v", first[2])
	}
	if want := (event{wall: wall, step: 2, tag: "samples", plugin: "text", dtype: 7, length: 1, text: "床前明月光"}); first[3] != want {
		t.Errorf("%+v, want %+v", first[3], want)
	}
	if second := readEvents(t, files[1]); len(second) != 3 || second[1].session != 1 || second[1].step != 2 || second[2].simple != 3 {
		t.Errorf("%+v", second)
	}
}

func TestEventsRefuse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := NewEvents(file, 0, time.Now()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file for a directory: %v", err)
	}
	e, err := NewEvents(t.TempDir(), 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e.Scalar("a", 1, time.Now(), 1) == nil || e.Text("a", 1, time.Now(), "b") == nil || e.Flush() == nil {
		t.Error("a closed file takes events")
	}
}
