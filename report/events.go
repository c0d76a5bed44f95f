package report

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Events writes an event file for TensorBoard: records of TensorFlow's TFRecord
// format, each an Event message (tensorflow/core/util/event.proto and
// framework/summary.proto). It is not for concurrent use; after an error every
// later call returns it.
type Events struct {
	file *os.File
	w    *bufio.Writer
	err  error
}

const eventsVersion = "brain.Event:2"

// Fields of the messages.
const (
	eventWallTime, eventStep, eventVersion, eventSummary, eventSession = 1, 2, 3, 5, 7
	sessionStatus, sessionStart                                        = 1, 1
	summaryValue                                                       = 1
	valueTag, valueSimple, valueTensor, valueMetadata                  = 1, 2, 8, 9
	metadataPlugin, pluginName                                         = 1, 1
	tensorType, tensorShape, tensorStrings                             = 1, 2, 8
	typeString                                                         = 7
	shapeDim, dimSize                                                  = 2, 1
)

// NewEvents makes a new event file in dir, which it makes if need be. A run
// that goes on gives the step that it goes on from: TensorBoard then forgets
// what earlier files in dir say of that step and later ones. A new run gives 0.
func NewEvents(dir string, from int64, now time.Time) (*Events, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	file, err := newEventFile(dir, now)
	if err != nil {
		return nil, err
	}
	e := &Events{file: file, w: bufio.NewWriter(file)}
	e.write(now, 0, protowire.AppendString(tagged(nil, eventVersion, protowire.BytesType), eventsVersion))
	if from > 0 {
		session := protowire.AppendVarint(tagged(nil, sessionStatus, protowire.VarintType), sessionStart)
		e.write(now, from, message(nil, eventSession, session))
	}
	return e, e.Flush()
}

// newEventFile makes a file whose name comes after those that are there, as
// TensorBoard reads the files of a run in the order of their names.
func newEventFile(dir string, now time.Time) (*os.File, error) {
	for second := now.Unix(); ; second++ {
		name := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%010d.wenmo", second))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// Scalar adds a point to the curve named tag. Slashes in tags make groups.
func (e *Events) Scalar(tag string, step int64, at time.Time, value float64) error {
	v := protowire.AppendString(tagged(nil, valueTag, protowire.BytesType), tag)
	v = protowire.AppendFixed32(tagged(v, valueSimple, protowire.Fixed32Type), math.Float32bits(float32(value)))
	return e.value(at, step, v)
}

// Text adds a text, which TensorBoard shows as Markdown.
func (e *Events) Text(tag string, step int64, at time.Time, text string) error {
	v := protowire.AppendString(tagged(nil, valueTag, protowire.BytesType), tag)
	plugin := protowire.AppendString(tagged(nil, pluginName, protowire.BytesType), "text")
	v = message(v, valueMetadata, message(nil, metadataPlugin, plugin))
	tensor := protowire.AppendVarint(tagged(nil, tensorType, protowire.VarintType), typeString)
	one := protowire.AppendVarint(tagged(nil, dimSize, protowire.VarintType), 1)
	tensor = message(tensor, tensorShape, message(nil, shapeDim, one))
	tensor = protowire.AppendString(tagged(tensor, tensorStrings, protowire.BytesType), text)
	return e.value(at, step, message(v, valueTensor, tensor))
}

func (e *Events) value(at time.Time, step int64, value []byte) error {
	e.write(at, step, message(nil, eventSummary, message(nil, summaryValue, value)))
	return e.err
}

// write adds a record of an event with the given content.
func (e *Events) write(at time.Time, step int64, content []byte) {
	if e.err != nil {
		return
	}
	seconds := float64(at.UnixNano()) / float64(time.Second)
	event := protowire.AppendFixed64(tagged(nil, eventWallTime, protowire.Fixed64Type), math.Float64bits(seconds))
	event = protowire.AppendVarint(tagged(event, eventStep, protowire.VarintType), uint64(step))
	_, e.err = e.w.Write(record(append(event, content...)))
}

// Flush hands what was written to the operating system.
func (e *Events) Flush() error {
	if e.err == nil {
		e.err = e.w.Flush()
	}
	return e.err
}

// Close flushes and closes the file.
func (e *Events) Close() error {
	flushed := e.Flush()
	closed := e.file.Close()
	e.err = errors.Join(e.err, fs.ErrClosed)
	return errors.Join(flushed, closed)
}

func tagged(b []byte, field protowire.Number, kind protowire.Type) []byte {
	return protowire.AppendTag(b, field, kind)
}

func message(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(tagged(b, field, protowire.BytesType), content)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record frames data as a TFRecord: its length, a checksum of the length, the
// data, its checksum (tensorflow/core/lib/io/record_writer.h).
func record(data []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out = binary.LittleEndian.AppendUint32(out, maskedCRC(out))
	out = append(out, data...)
	return binary.LittleEndian.AppendUint32(out, maskedCRC(data))
}

// maskedCRC is a checksum that may itself be summed (tensorflow/core/lib/hash/crc32c.h).
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}
