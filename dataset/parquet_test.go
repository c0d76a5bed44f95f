package dataset

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

type parquetMessage struct {
	Role    string `parquet:"role"`
	Content string `parquet:"content,optional"`
}

type parquetRow struct {
	Text     *string          `parquet:"text"`
	Label    int64            `parquet:"label"`
	Messages []parquetMessage `parquet:"messages,list"`
}

func parquetBytes(t testing.TB, rows []parquetRow) string {
	t.Helper()
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[parquetRow](&buf, parquet.Compression(&parquet.Zstd))
	_, err := w.Write(rows)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func parquetRowsOf(texts ...string) []parquetRow {
	var rows []parquetRow
	for i, text := range texts {
		rows = append(rows, parquetRow{Text: &text, Label: int64(i)})
	}
	return append(rows, parquetRow{Messages: []parquetMessage{{"user", "你好"}, {"assistant", "Hello"}}})
}

func TestReadParquet(t *testing.T) {
	var lines, want []string
	for i := range 50 {
		lines = append(lines, strings.Repeat("一行 <text> & more\n", i+1))
	}
	path := write(t, "a.parquet", parquetBytes(t, parquetRowsOf(lines...)))
	i := 0
	for doc, err := range Read(t.Context(), path, ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if label, _ := doc.String("label"); i < 50 && (doc.Text != lines[i] || doc.Line != i+1 || label == "") {
			t.Errorf("row %d: %q, label %s", doc.Line, doc.Text, label)
		}
		want = append(want, render(doc))
		i++
	}
	if i != 51 || want[50] != "51:user=你好|assistant=Hello" {
		t.Errorf("%d rows, the last %q", i, want[50])
	}
	c := mustPrepare(t, []Source{{Path: path, Encoder: byteEncoder(t), Read: ReadOptions{MaxRecord: 800}}}, PrepareOptions{}, shardTokens)
	if m := c.Manifest.Sources[0]; m.Broken == 0 || m.Documents+m.Broken != 51 {
		t.Errorf("manifest %+v", m)
	}
}

func TestReadParquetErrors(t *testing.T) {
	data := parquetBytes(t, parquetRowsOf("a", "b"))
	flipped := []byte(data)
	for i := 4; i < len(flipped)/2; i += 3 {
		flipped[i] ^= 0x55
	}
	for name, content := range map[string]string{"cut.parquet": data[:len(data)/2], "empty.parquet": "", "footer.parquet": data[:len(data)-5] + "\x7fPAR1", "flipped.parquet": string(flipped), "a.parquet.gz": gzipBytes(t, data)} {
		path := write(t, name, content)
		if docs, _, err := readAll(path, ReadOptions{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %q, error %v", name, docs, err)
		}
	}
	if docs, _, err := readAll(write(t, "a.parquet", data), ReadOptions{TextField: "text"}); err != nil || !slices.Equal(docs, []string{"1:a", "2:b"}) {
		t.Errorf("%q, error %v", docs, err)
	}
}

func FuzzReadParquet(f *testing.F) {
	f.Add([]byte(parquetBytes(f, parquetRowsOf("a", "b"))))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, "f.parquet", string(data), ReadOptions{}) })
}
