package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

// fuzzRead reads data as a file of that format and checks what all documents
// keep to.
func fuzzRead(t *testing.T, name, data string, opt ReadOptions) {
	opt.MaxRecord = 1 << 10
	last := 0
	for doc, err := range Read(context.Background(), write(t, name, data), opt) {
		if err != nil {
			return
		}
		if !utf8.ValidString(doc.Text) || strings.Contains(doc.Text, "\x00") || len(doc.Text) > opt.MaxRecord {
			t.Errorf("text %q", doc.Text)
		}
		if doc.Line < last {
			t.Errorf("line %d after line %d", doc.Line, last)
		}
		last = doc.Line
	}
}

func FuzzReadText(f *testing.F) {
	for _, separator := range []string{SeparatorPieces, SeparatorFile, SeparatorBlank, SeparatorLine, "aab", "\n\n"} {
		f.Add("\ufeffa\r\n\nb aaaab\n\n\n \xffc\n\x00", separator)
	}
	f.Fuzz(func(t *testing.T, data, separator string) {
		fuzzRead(t, "f.txt", data, ReadOptions{Separator: separator})
	})
}

// FuzzUntil compares the scanner with strings.Split.
func FuzzUntil(f *testing.F) {
	f.Add("one<|end|>two", "<|end|>", 5)
	f.Add("aaaab", "aab", 2)
	f.Fuzz(func(t *testing.T, data, delim string, limit int) {
		if delim == "" || limit < 0 || limit > 1<<20 {
			return
		}
		s := scanner{in: bufio.NewReaderSize(strings.NewReader(data), 16), line: 1, limit: limit}
		want := strings.Split(data, delim)
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		for i := 0; ; i++ {
			rec, more, err := s.until([]byte(delim))
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				if i != len(want) {
					t.Fatalf("%d records, want %d", i, len(want))
				}
				return
			}
			if i == len(want) {
				t.Fatalf("more than %d records", i)
			}
			// Only data may fit into the limit with its delim, or not.
			if !rec.long && string(rec.data) != want[i] || rec.long && len(want[i])+len(delim) <= limit {
				t.Fatalf("record %d is %q (long: %v), want %q", i, rec.data, rec.long, want[i])
			}
		}
	})
}

func FuzzReadJSONL(f *testing.F) {
	f.Add(`{"text":"a"}` + "\n" + `{"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}`)
	f.Add(`{"conversations":[{"from":"human","value":"q"}]}` + "\n" + `{"instruction":"a","output":"b","history":[["a","b"]]}`)
	f.Fuzz(func(t *testing.T, data string) { fuzzRead(t, "f.jsonl", data, ReadOptions{}) })
}

func FuzzReadJSON(f *testing.F) {
	f.Add(`[{"text":"a\"]"}, {"text":["{"]}]`)
	f.Add(`{"text":"a"}{"text":"b"}`)
	f.Fuzz(func(t *testing.T, data string) { fuzzRead(t, "f.json", data, ReadOptions{}) })
}

func FuzzReadCSV(f *testing.F) {
	f.Add("text,n\n\"a\nb\"\"\",1\n5\" x,2\n")
	f.Fuzz(func(t *testing.T, data string) { fuzzRead(t, "f.csv", data, ReadOptions{}) })
}

func FuzzReadTSV(f *testing.F) {
	f.Add("text\tn\na\t1\nb\n")
	f.Fuzz(func(t *testing.T, data string) { fuzzRead(t, "f.tsv", data, ReadOptions{}) })
}

func FuzzReadZstd(f *testing.F) {
	f.Add([]byte(zstdBytes(f, "one\n\ntwo")))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzRead(t, "f.txt.zst", string(bytes.Clone(data)), ReadOptions{})
	})
}

func FuzzReadGzip(f *testing.F) {
	f.Add([]byte(gzipBytes(f, "one\n\ntwo")))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzRead(t, "f.txt.gz", string(bytes.Clone(data)), ReadOptions{})
	})
}

// FuzzSplitObject compares with encoding/json.
func FuzzSplitObject(f *testing.F) {
	for _, data := range []string{
		` { "a" : "x\\\\" , "b":[1,{"c":"]}\\""} , "]"], "\\u4e2d":-1.5e3,"a": true }`, `{}`, `[1]`, `null`, `{"a":1`, `{"a":{"b":{}},"c":""}`,
		`{"a":"\\ud800"}`,
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) {
			return
		}
		got, err := splitObject(data)
		var want map[string]json.RawMessage
		if wantErr := json.Unmarshal(data, &want); (wantErr != nil || want == nil) != (err != nil) {
			t.Fatalf("%q: error %v, want %v", data, err, wantErr)
		}
		if err == nil && !maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%q: %q, want %q", data, got, want)
		}
		for _, raw := range got {
			var want string
			wantErr := json.Unmarshal(raw, &want)
			if text, err := unquote(raw); (err != nil) != (wantErr != nil) || text != want {
				t.Fatalf("%q: %q, %v, want %q, %v", raw, text, err, want, wantErr)
			}
		}
	})
}
