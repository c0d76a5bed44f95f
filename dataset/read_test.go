package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"wenmo/internal/testkit"
)

// write makes a file of that name in a new folder and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func zstdBytes(t testing.TB, data string) string {
	t.Helper()
	var buf bytes.Buffer
	z, err := zstd.NewWriter(&buf)
	if err == nil {
		_, err = io.WriteString(z, data)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func gzipBytes(t testing.TB, data string) string {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, err := io.WriteString(z, data)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// render writes a document as the tests below have it: "line:text" or
// "line:role=content|…".
func render(d Document) string {
	if d.Messages == nil {
		return fmt.Sprintf("%d:%s", d.Line, d.Text)
	}
	var turns []string
	for i := range d.Messages {
		turns = append(turns, d.Messages[i].Role+"="+d.Messages[i].Text())
	}
	return fmt.Sprintf("%d:%s", d.Line, strings.Join(turns, "|"))
}

func readAll(path string, opt ReadOptions) (docs, log []string, err error) {
	opt.Log = func(s string) { log = append(log, s) }
	for doc, err := range Read(context.Background(), path, opt) {
		if err != nil {
			return docs, log, err
		}
		docs = append(docs, render(doc))
	}
	return docs, log, nil
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, content string
		opt           ReadOptions
		want          []string
	}{
		{"file.txt", "\ufeff\n\n一行。\r\n\nTwo lines.\n\n", ReadOptions{Separator: SeparatorFile}, []string{"3:一行。\n\nTwo lines."}},
		{"pieces.txt", "short\n\nfile", ReadOptions{}, []string{"1:short\n\nfile"}},
		{"blank.txt", "a\nb\n\n\n \nc\n\nd", ReadOptions{Separator: SeparatorBlank}, []string{"1:a\nb", "6:c", "8:d"}},
		{"line.txt", "春眠不觉晓\n\n处处闻啼鸟\r\nlast", ReadOptions{Separator: SeparatorLine}, []string{"1:春眠不觉晓", "3:处处闻啼鸟", "4:last"}},
		{"sep.txt", "one\n<|end|>two <|en<|end|><|end|>three", ReadOptions{Separator: "<|end|>"}, []string{"1:one\n", "2:two <|en", "2:three"}},
		{"a.jsonl", `{"text":"你好"}` + "\n\n" + `{"text":"b","n":1}`, ReadOptions{}, []string{"1:你好", "3:b"}},
		{"field.jsonl", `{"body":"x","text":"y"}`, ReadOptions{TextField: "body"}, []string{"1:x"}},
		{"none.jsonl", `{"label":"x","text":null}`, ReadOptions{}, []string{"1:"}},
		{"messages.jsonl", `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"你好"}]}`, ReadOptions{}, []string{"1:user=hi|assistant=你好"}},
		{"sharegpt.jsonl", `{"system":"s","conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]}`, ReadOptions{}, []string{"1:system=s|user=q|assistant=a"}},
		{"minimind.jsonl", `{"conversations":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}`, ReadOptions{}, []string{"1:user=q|assistant=a"}},
		{"alpaca.json", "[\n{\"instruction\":\"翻译\",\"input\":\"cat\",\"output\":\"猫\"},\n {\"instruction\":\"x\",\"input\":\"\",\"output\":\"]}\\\"\",\"history\":[[\"p\",\"q\"]]}\n]", ReadOptions{}, []string{"2:user=翻译\ncat|assistant=猫", "3:user=p|assistant=q|user=x|assistant=]}\""}},
		{"objects.json", "{\"text\":\"a\"}\n{\"text\":\n\"b\"}", ReadOptions{}, []string{"1:a", "2:b"}},
		{"a.csv", "id,text\n1,\"two\nlines, \"\"quoted\"\"\"\r\n2,三\n", ReadOptions{}, []string{"2:two\nlines, \"quoted\"", "4:三"}},
		{"a.tsv", "text\tid\n\"as it is\t1\n中\t2", ReadOptions{}, []string{"2:\"as it is", "3:中"}},
		{"alpaca.csv", "instruction,input,output\ni,,o", ReadOptions{}, []string{"2:user=i|assistant=o"}},
		{"any.dat", "plain", ReadOptions{Format: "txt"}, []string{"1:plain"}},
	} {
		for _, ext := range []string{"", ".gz", ".zst"} {
			content := c.content
			switch ext {
			case ".gz":
				content = gzipBytes(t, content)
			case ".zst":
				content = zstdBytes(t, content)
			}
			got, log, err := readAll(write(t, c.name+ext, content), c.opt)
			if err != nil || log != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s%s: %q, log %q, error %v, want %q", c.name, ext, got, log, err, c.want)
			}
		}
	}
}

func TestReadBroken(t *testing.T) {
	for _, c := range []struct {
		name, content string
		want          []string
		broken        string // in the log
	}{
		{"json.jsonl", "{\"text\":\"a\"}\n{\"text\":\n[1]\n{\"text\":\"b\"}", []string{"1:a", "4:b"}, "json.jsonl:2: not a JSON object"},
		{"utf8.jsonl", "{\"text\":\"a\"}\n{\"text\":\"\xd6\xd0\"}\n", []string{"1:a"}, "utf8.jsonl:2: not UTF-8"},
		{"nul.jsonl", "{\"text\":\"a\"}\n{\"text\":\"a\\u0000b\"}\n", []string{"1:a"}, "nul.jsonl:2: the text holds a NUL"},
		{"type.jsonl", "{\"text\":\"a\"}\n{\"text\":7}\n", []string{"1:a"}, `type.jsonl:2: field "text" is no text`},
		{"long.jsonl", "{\"text\":\"a\"}\n{\"text\":\"" + strings.Repeat("x", 100) + "\"}\n{\"text\":\"b\"}\n", []string{"1:a", "3:b"}, "long.jsonl:2: longer than 64 bytes"},
		{"roles.jsonl", "{\"text\":\"a\"}\n{\"conversations\":[{\"from\":\"x\",\"value\":\"y\"}]}\n", []string{"1:a"}, `roles.jsonl:2: conversations[0]: from "x" is not known`},
		{"empty.jsonl", "{\"text\":\"a\"}\n{\"messages\":[]}\n", []string{"1:a"}, "empty.jsonl:2: a conversation without messages"},
		{"fields.csv", "text,n\na,1\nb\nc,3\n", []string{"2:a", "4:c"}, "fields.csv:3: 1 fields, but the header has 2"},
		{"quote.csv", "text,n\na,1\n5\" pipe,2\nc,3\n", []string{"2:a", "4:c"}, "quote.csv:3: column 2: bare"},
		{"long.txt", "a\n" + strings.Repeat("长", 40) + "\nb", []string{"1:a", "3:b"}, "long.txt:2: longer than 64 bytes"},
		{"utf8.txt", "a\n\xff\nb", []string{"1:a", "3:b"}, "utf8.txt:2: not UTF-8"},
	} {
		path := write(t, c.name, c.content)
		opt := ReadOptions{Separator: SeparatorLine, MaxRecord: 64}
		got, log, err := readAll(path, opt)
		if err != nil || !slices.Equal(got, c.want) || len(log) < 2 || !strings.Contains(log[0], c.broken) ||
			!strings.Contains(log[len(log)-1], "broken records left out") {
			t.Errorf("%s: %q, log %q, error %v, want %q", c.name, got, log, err, c.want)
		}
		opt.MaxBroken = -1
		if _, _, err := readAll(path, opt); err == nil || !strings.Contains(err.Error(), c.broken) {
			t.Errorf("%s: error %v without broken records allowed", c.name, err)
		}
	}
}

func TestReadTooManyBroken(t *testing.T) {
	path := write(t, "a.jsonl", strings.Repeat("{\"text\":\"a\"}\nx\n", 200))
	_, log, err := readAll(path, ReadOptions{})
	if err == nil || !strings.Contains(err.Error(), "more than 100 broken records, the last: "+path+":202: not a JSON") {
		t.Errorf("error %v", err)
	}
	if len(log) != brokenShown {
		t.Errorf("%d broken records logged", len(log))
	}
}

func TestReadErrors(t *testing.T) {
	zst := zstdBytes(t, strings.Repeat("{\"text\":\"some text\"}\n", 100000))
	gz := gzipBytes(t, strings.Repeat("{\"text\":\"some text\"}\n", 100000))
	for _, c := range []struct{ name, content, want string }{
		{"a.jsonl", "", "no documents"},
		{"a.jsonl", "\n \n", "no documents"},
		{"a.csv", "", "a table without a header"},
		{"a.csv", "a,a\n", `two columns are named "a"`},
		{"a.csv", "a,text\n1,\"x\n2,y\n", "a.csv:2: a quoted field that begins in this record does not end"},
		{"a.json", `[{"text":"a"}`, "the list does not end"},
		{"a.json", `[{"text":"a"`, "the object does not end"},
		{"a.json", `[1,2]`, `'1' where an object should begin`},
		{"a.txt.zst", "not zstd", "magic number mismatch"},
		{"cut.jsonl.zst", zst[:len(zst)/2], "unexpected EOF"},
		{"cut.jsonl.gz", gz[:len(gz)/2], "unexpected EOF"},
		{"empty.jsonl.gz", "", "unexpected EOF"},
		{"a.xyz", "a", "the name does not tell the format"},
	} {
		path := write(t, c.name, c.content)
		if _, _, err := readAll(path, ReadOptions{}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s %.20q: error %v, want %s", c.name, c.content, err, c.want)
		}
	}
	if _, _, err := readAll(write(t, "a.csv", "a\n1\n"), ReadOptions{TextField: "text"}); err == nil || !strings.Contains(err.Error(), `no column "text", only a`) {
		t.Errorf("missing column: %v", err)
	}
	if _, _, err := readAll(filepath.Join(t.TempDir(), "*.txt"), ReadOptions{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("glob without a match: %v", err)
	}
	if _, _, err := readAll(t.TempDir(), ReadOptions{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty folder: %v", err)
	}
}

func TestReadFolder(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"b.txt": "b", "a.txt": "a", "sub/c.jsonl": `{"text":"c"}`, "ignored.bin": "x", ".hidden.txt": "x", ".git/d.txt": "x",
		"README.md": "x", "sub/dataset_infos.json": "[1]",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string][]string{
		dir:                            {"1:a", "1:b", "1:c"},
		filepath.Join(dir, "*.txt"):    {"1:a", "1:b"},
		filepath.Join(dir, "[bs]*"):    {"1:b", "1:c"},
		filepath.Join(dir, "b.txt"):    {"1:b"},
		filepath.Join(dir, "?", "..*"): nil,
	} {
		if got, _, err := readAll(path, ReadOptions{}); !slices.Equal(got, want) || (err != nil) != (want == nil) {
			t.Errorf("%s: %q, error %v, want %q", path, got, err, want)
		}
	}
}

func TestReadPieces(t *testing.T) {
	paragraph := strings.Repeat("一段话。A paragraph.\n", 30) + "\n"
	text := strings.Repeat(paragraph, 100)
	docs, _, err := readAll(write(t, "a.txt", text), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var whole []string
	for _, doc := range docs {
		_, doc, _ = strings.Cut(doc, ":")
		if len(doc) > 2*pieceBytes {
			t.Errorf("a piece of %d bytes", len(doc))
		}
		whole = append(whole, doc)
	}
	if want := strings.TrimSpace(text); strings.Join(whole, "\n\n") != want || len(docs) < len(text)/(2*pieceBytes) {
		t.Errorf("%d pieces do not give the text again", len(docs))
	}
}

func TestReadShared(t *testing.T) {
	for _, name := range []string{"en/stories-asp.jsonl.zst", "zh/zh_stories_recipes.jsonl.zst", "zh/zh_chars.tsv.zst", "en/sft-dialog-persona.jsonl.zst"} {
		path := testkit.SharedFile(t, "data", filepath.FromSlash(name))
		docs, log, err := readAll(path, ReadOptions{})
		if err != nil || log != nil || len(docs) < 100 {
			t.Errorf("%s: %d documents, log %q, error %v", name, len(docs), log, err)
		}
	}
}

func TestReadStops(t *testing.T) {
	path := write(t, "a.txt", strings.Repeat("line\n", 1000))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for _, err := range Read(ctx, path, ReadOptions{Separator: SeparatorLine}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			break
		}
		n++
		cancel()
	}
	if n > 64 {
		t.Errorf("%d documents after the end of the context", n)
	}
}

func TestDocumentFields(t *testing.T) {
	path := write(t, "a.jsonl", `{"text":"a","label":2,"tags":["x"],"none":null}`)
	for doc, err := range Read(t.Context(), path, ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		var tags []string
		if ok, err := doc.Field("tags", &tags); !ok || err != nil || !slices.Equal(tags, []string{"x"}) {
			t.Errorf("tags %q, %v, %v", tags, ok, err)
		}
		if _, err := doc.Field("label", &tags); err == nil || !strings.HasPrefix(err.Error(), path+":1: field") {
			t.Errorf("label as list: %v", err)
		}
		if s, ok := doc.String("label"); s != "2" || !ok {
			t.Errorf("label %q", s)
		}
		if _, ok := doc.String("none"); ok {
			t.Error("null is there")
		}
	}
}

func TestOpenText(t *testing.T) {
	contents := map[string]string{
		"plain.txt": "a\n\n b\n",
		"c.txt.gz":  gzipBytes(t, "a\n\n b\n"),
		"of.jsonl":  `{"text":"one\ntwo"}` + "\n" + `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"你好"}]}`,
		"empty.txt": "",
		"none.json": `[{"label":1}]`,
	}
	for _, c := range []struct{ name, want, err string }{
		{"plain.txt", "a\n\n b\n", ""},
		{"c.txt.gz", "a\n\n b\n", ""},
		{"of.jsonl", "one\ntwo\nhi\n你好\n", ""},
		{"empty.txt", "", "no documents"},
		{"none.json", "", "no text"},
	} {
		f, _, err := OpenText(t.Context(), write(t, c.name, contents[c.name]), nil)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(f)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
		if string(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q and error %v, want %q and %q", c.name, got, err, c.want, c.err)
		}
	}
}

// TestTemplates makes texts and conversations of records in other forms.
func TestTemplates(t *testing.T) {
	poems := `{"title":"静夜思","form":"五绝","lines":["床前明月光，疑是地上霜。","举头望明月，低头思故乡。"],"n":20}
{"title":"蜀道难","form":"古体","lines":["噫吁嚱"]}
{"title":"登鹳雀楼","form":"五绝","lines":["白日依山尽，黄河入海流。"]}`
	for _, c := range []struct {
		templates Templates
		want      []string
		err       string
	}{
		{Templates{Text: "{{ title }}\n{{ lines | join('\n') }}{{ n }}"}, []string{"1:静夜思\n床前明月光，疑是地上霜。\n举头望明月，低头思故乡。20", "2:蜀道难\n噫吁嚱", "3:登鹳雀楼\n白日依山尽，黄河入海流。"}, ""},
		{
			Templates{User: "{% if form == '五绝' %}{{ ['写', '作'][line % 2] }}《{{ title }}》{% endif %}", Answer: "{{ lines[0] }}"},
			[]string{"1:user=作《静夜思》|assistant=床前明月光，疑是地上霜。", "3:user=作《登鹳雀楼》|assistant=白日依山尽，黄河入海流。"}, "",
		},
		{Templates{User: "x"}, nil, "one of the text, or those of user and answer"},
		{Templates{Text: "{{ title"}, nil, "template"},
		{Templates{Text: "{{ title.x.y }}"}, nil, "no documents"},
	} {
		got, _, err := readAll(write(t, "poems.jsonl", poems), ReadOptions{Templates: c.templates})
		if !slices.Equal(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %q and error %v, want %q and %q", c.templates, got, err, c.want, c.err)
		}
	}
}
