package main

import (
	"bufio"
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"wenmo"
	"wenmo/internal/progress"
)

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"--temprature", "--temperature", 1},
	} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// Pieces make up the text, end at line ends and are as long as they must be.
func TestCutPieces(t *testing.T) {
	for _, text := range []string{
		"", "one line", strings.Repeat("x", 3*pieceLength), strings.Repeat("a line\n", 5000),
		strings.Repeat("春眠不觉晓，处处闻啼鸟。\n", 3000), strings.Repeat("😀\n", 9000), strings.Repeat("\n", pieceLength+1),
	} {
		pieces := cutPieces(text)
		if strings.Join(pieces, "") != text {
			t.Errorf("the pieces of %.20q do not make it up", text)
		}
		for i, p := range pieces {
			units := 0
			for _, r := range p {
				units++
				if r > 0xffff {
					units++
				}
			}
			if last := i == len(pieces)-1; !last && (units < pieceLength || !strings.HasSuffix(p, "\n")) {
				t.Errorf("piece %d of %.20q has %d units and ends in %q", i, text, units, p[len(p)-1:])
			}
			if body := strings.TrimSuffix(p, "\n"); strings.Count(body, "\n") > 0 && units > pieceLength+2+len(body)-strings.LastIndex(body, "\n") {
				t.Errorf("piece %d of %.20q is too long: %d units", i, text, units)
			}
		}
	}
}

func TestShorten(t *testing.T) {
	ids := func(n int) []int32 {
		out := make([]int32, n)
		for i := range out {
			out[i] = int32(i + 1)
		}
		return out
	}
	for _, c := range []struct {
		prompt, context, newTokens int
		bos                        int32
		want                       []int32
	}{
		{5, 10, 3, -1, ids(5)},
		{9, 10, 3, -1, ids(9)}, // fits with a new token
		{9, 10, 100, -1, ids(9)},
		{10, 10, 3, -1, ids(10)[3:]},
		{10, 10, 3, 1, append(ids(1), ids(10)[4:]...)},
		{10, 10, 100, -1, ids(10)[5:]}, // half of the context is kept
		{12, 8, 0, -1, ids(12)[6:]},    // a quarter
		{12, 1, 0, 1, ids(12)[11:]},
	} {
		p := wenmo.DefaultParams()
		p.MaxNewTokens, p.BOSTokenID = c.newTokens, c.bos
		if got := shorten(ids(c.prompt), c.context, p); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestLegible(t *testing.T) {
	if got := legible("a\x1b文\nb"); got != "a\ufffd文\nb" {
		t.Errorf("%q", got)
	}
	got := legible("begin " + strings.Repeat("文", 1<<20) + " end")
	if len(got) > 4100 || !strings.HasPrefix(got, "begin 文") || !strings.HasSuffix(got, "文 end") || !utf8.ValidString(got) {
		t.Errorf("%d bytes: %.20q", len(got), got)
	}
}

func TestTable(t *testing.T) {
	got := table([][]string{{"name", ">n", ""}, {"模型", "1", "x"}, {"a", "200", ""}})
	want := "name    n\n模型    1  x\na     200"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTame(t *testing.T) {
	if got, want := progress.Tame("a\x1b[31m\tb\r\n\x07文\u0085"), "a\ufffd[31m\tb\ufffd\n\ufffd文\ufffd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAmounts(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 12_345_678: "12.3 MB", 999_600_000: "1.0 GB", 2_345_000_000_000_000: "2345 TB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{12: "12", 134_515_008: "135M", 1_234_000_000: "1.2B"} {
		if got := countText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestUTF8(t *testing.T) {
	if err := checkUTF8("文a\ufffd", "x"); err != nil {
		t.Error(err)
	}
	if err := checkUTF8("文a\ufffd\xff", "x"); err == nil || !strings.Contains(err.Error(), "byte 7") {
		t.Errorf("%v", err)
	}
}

// Every list among the keys of generation is one that a flag given again adds
// to, and a flag given twice holds both.
func TestListsAccumulate(t *testing.T) {
	texts := map[string][2]string{
		"stop_strings": {"petal", "whisper,leaf"}, "bad_words_ids": {"1,2", "3"},
		"sequence_bias": {"1,2=1", "3=2"}, "logit_bias": {"1=1", "2=2"},
	}
	fields := map[string]bool{}
	for field := range reflect.TypeFor[wenmo.Params]().Fields() {
		if field.Type.Kind() == reflect.Slice && field.Name != "Unknown" {
			fields[strings.ToLower(field.Name)] = true
		}
	}
	for _, key := range wenmo.ParamKeys() {
		isList := fields[strings.ReplaceAll(key.Name, "_", "")]
		if (lists[key.Name] != nil) != isList {
			t.Errorf("%s is a list: %v, in lists: %v", key.Name, isList, !isList)
		}
		if !isList {
			continue
		}
		pair, ok := texts[key.Name]
		if !ok {
			pair = [2]string{"5,6", "7"}
		}
		params, both := wenmo.DefaultParams(), wenmo.DefaultParams()
		flag := &paramFlag{&params, key}
		for _, text := range pair {
			if err := flag.Set(text); err != nil {
				t.Fatal(err)
			}
		}
		separator := map[bool]string{true: ";", false: ","}[key.Name == "bad_words_ids" || key.Name == "sequence_bias"]
		if err := both.Set(key.Name, pair[0]+separator+pair[1]); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(params, both) {
			t.Errorf("%s: %+v, want %+v", key.Name, params, both)
		}
	}
}

// What is suggested for a new model is what it can do.
func TestCreatedKey(t *testing.T) {
	for _, shape := range wenmo.Shapes() {
		want := "wenmo run -m dir"
		if slices.Contains([]string{"bert-base", "mlm-12m", "classify-12m"}, shape) {
			want = "wenmo logits -m dir"
		}
		if text := say(createdKey(shape), "dir"); !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %s", shape, text, want)
		}
	}
}

// The note comes when loading takes long, and leaves no trace.
func TestLoadNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		n := &loadNote{w: &out, text: "载入 m"}
		n.wait(patience)
		time.Sleep(patience - 1)
		n.end()
		time.Sleep(2 * patience)
		if out.String() != "" {
			t.Errorf("%q after an end in time", out.String())
		}
		n.wait(patience)
		time.Sleep(patience + 1)
		n.end()
		n.end()
		if want := "\r载入 m\r      \r"; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
	if n := newLoadNote(&strings.Builder{}, "x"); n != nil {
		t.Error("a note where nobody looks")
	}
	(*loadNote)(nil).wait(0)
	(*loadNote)(nil).end()
}

func TestWriteList(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 12, 10_000} {
		list := make([]string, n)
		for i := range list {
			list[i] = strings.Repeat("<文\u0085", i%3)
		}
		want, err := lineJSON(list)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		if err := errors.Join(writeList(w, list), w.Flush()); err != nil || b.String() != string(want) {
			t.Errorf("%d elements: %v, %.40s", n, err, b.String())
		}
	}
}
