package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

var arrowTypes = arrow.NewSchema([]arrow.Field{
	{Name: "text", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "large \"text\"", Type: arrow.BinaryTypes.LargeString, Nullable: true},
	{Name: "messages", Nullable: true, Type: arrow.ListOf(arrow.StructOf(
		arrow.Field{Name: "role", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "content", Type: arrow.BinaryTypes.String, Nullable: true}))},
	{Name: "language", Nullable: true, Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}},
	{Name: "tags", Type: arrow.LargeListOf(arrow.BinaryTypes.String), Nullable: true},
	{Name: "small", Type: arrow.PrimitiveTypes.Int16},
	{Name: "great", Type: arrow.PrimitiveTypes.Uint64},
	{Name: "single", Type: arrow.PrimitiveTypes.Float32},
	{Name: "double", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "good", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	{Name: "bytes", Type: arrow.BinaryTypes.Binary, Nullable: true},
	{Name: "nothing", Type: arrow.Null, Nullable: true},
	{Name: "vector", Type: arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int32), Nullable: true},
}, nil)

// arrowRows is JSON for arrowTypes, two batches; the dictionary grows.
var arrowRows = []string{
	`[{"text":"a <b>\n\"é\" 中\\","large \"text\"":"L","messages":[{"role":"user","content":"你好"},{"role":"assistant","content":null}],"language":"en",
	   "tags":["x",null,""],"small":-3,"great":18446744073709551615,"single":1.5,"double":1e300,"good":true,"bytes":"AAEC","nothing":null,"vector":[1,-2]},
	  {"text":"","large \"text\"":null,"messages":null,"language":null,"tags":null,"small":0,"great":1,"single":-0.25,"double":null,"good":null,"bytes":null,"nothing":null,"vector":null}]`,
	`[{"text":null,"large \"text\"":"M","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}],"language":"en",
	   "tags":[],"small":7,"great":0,"single":3,"double":0.1,"good":false,"bytes":"","nothing":null,"vector":[3,4]},
	  {"text":"d","large \"text\"":"","messages":[],"language":"zh","tags":null,"small":0,"great":1,"single":0,"double":0,"good":true,"bytes":null,"nothing":null,"vector":null}]`,
}

// arrowBytes writes the rows as the library does, as a stream or as a file,
// which cannot have dictionaries that grow.
func arrowBytes(t testing.TB, file bool, opt ...ipc.Option) string {
	t.Helper()
	var buf bytes.Buffer
	opt = append(opt, ipc.WithSchema(arrowTypes), ipc.WithDictionaryDeltas(true))
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	} = ipc.NewWriter(&buf, opt...)
	if file {
		fw, err := ipc.NewFileWriter(&buf, opt...)
		if err != nil {
			t.Fatal(err)
		}
		w = fw
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrowTypes)
	for _, rows := range arrowRows {
		if file {
			rows = strings.ReplaceAll(rows, `"zh"`, `"en"`)
		}
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(rows), &list); err != nil {
			t.Fatal(err)
		}
		for _, row := range list {
			if err := b.UnmarshalJSON(row); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Write(b.NewRecordBatch()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestReadArrow(t *testing.T) {
	for _, file := range []bool{false, true} {
		var want []map[string]any
		for _, rows := range arrowRows {
			var list []map[string]any
			if err := json.Unmarshal([]byte(rows), &list); err != nil {
				t.Fatal(err)
			}
			want = append(want, list...)
		}
		if file {
			want[3]["language"] = "en"
		}
		path := write(t, "data-00000-of-00001.arrow", arrowBytes(t, file))
		var got []map[string]any
		var docs []string
		for doc, err := range Read(t.Context(), path, ReadOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			fields := map[string]any{}
			for name, raw := range doc.Fields {
				var value any
				if err := json.Unmarshal(raw, &value); err != nil {
					t.Fatal(err)
				}
				fields[name] = value
			}
			got = append(got, fields)
			docs = append(docs, render(doc))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("file %v: %v, want %v", file, got, want)
		}
		if len(docs) != 4 || docs[2] != "3:user=Hi|assistant=Hello" {
			t.Errorf("file %v: %q", file, docs)
		}
	}
}

// TestReadArrowFolder reads what save_to_disk leaves.
func TestReadArrowFolder(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"dataset_dict.json": `{"splits":["train"]}`, "train/dataset_info.json": "{}", "train/state.json": "{}",
		"train/data-00000-of-00002.arrow": arrowBytes(t, false), "train/data-00001-of-00002.arrow": arrowBytes(t, false),
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c := mustPrepare(t, []Source{{Path: dir, Read: ReadOptions{TextField: "text"}, Encoder: byteEncoder(t)}}, PrepareOptions{}, shardTokens)
	if m := c.Manifest.Sources[0]; m.Documents != 4 || m.Broken != 2 || m.Duplicates != 2 {
		t.Errorf("manifest %+v", m.ManifestCounts)
	}
}

func TestReadArrowErrors(t *testing.T) {
	stream, file := arrowBytes(t, false), arrowBytes(t, true)
	for name, c := range map[string]struct{ content, want string }{
		"empty.arrow":      {"", "unexpected EOF"},
		"text.arrow":       {"some text that is none", "no message of Arrow's"},
		"cut.arrow":        {stream[:len(stream)-100], ":3: arrow"},
		"end.arrow":        {stream[:len(stream)-8], "unexpected EOF"},
		"head.arrow":       {file[:100], "unexpected EOF"},
		"compressed.arrow": {arrowBytes(t, false, ipc.WithZstd()), "compressed columns"},
		"a.arrow.gz":       {gzipBytes(t, stream), "another compression"},
	} {
		path := write(t, name, c.content)
		docs, _, err := readAll(path, ReadOptions{})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, error %v", name, docs, err)
		}
	}
	if docs, _, err := readAll(write(t, "a.arrow", stream), ReadOptions{TextField: "text", MaxRecord: 230}); err != nil || !slices.Equal(docs, []string{"2:", "4:d"}) {
		t.Errorf("%q, error %v", docs, err)
	}
}

// TestReadArrowLies changes every byte of a file: no panic, no great memory.
func TestReadArrowLies(t *testing.T) {
	stream := arrowBytes(t, false)
	path := filepath.Join(t.TempDir(), "a.arrow")
	for i := range len(stream) {
		for _, x := range []byte{0xff, 0x80, 1} {
			data := []byte(stream)
			data[i] ^= x
			if err := os.WriteFile(path, data, 0o666); err != nil {
				t.Fatal(err)
			}
			if docs, _, err := readAll(path, ReadOptions{MaxRecord: 1 << 10}); len(docs) > 8*len(stream) {
				t.Fatal(fmt.Sprint(len(docs)), err)
			}
		}
	}
}

func FuzzReadArrow(f *testing.F) {
	f.Add([]byte(arrowBytes(f, false)))
	f.Add([]byte(arrowBytes(f, true)))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, "f.arrow", string(data), ReadOptions{}) })
}
