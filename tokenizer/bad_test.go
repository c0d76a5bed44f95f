package tokenizer

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// tinyFile is a small tokenizer.json; fields take the place of its own.
func tinyFile(fields map[string]string) string {
	all := map[string]string{
		"version": `"1.0"`,
		"model": `{"type":"BPE","unk_token":"<unk>","vocab":{"<unk>":0,"a":1,"b":2,"ab":3,"abb":4},` +
			`"merges":["a b",["ab","b"]]}`,
	}
	for k, v := range fields {
		all[k] = v
	}
	var parts []string
	for _, k := range []string{"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"} {
		if v, ok := all[k]; ok {
			parts = append(parts, fmt.Sprintf("%q:%s", k, v))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// steps is a Sequence of n times the same step.
func steps(field, step string, n int) string {
	return fmt.Sprintf(`{"type":"Sequence",%q:[%s]}`, field, strings.TrimSuffix(strings.Repeat(step+",", n), ","))
}

// template is a TemplateProcessing of n special tokens with that id.
func template(n int, id string) string {
	pieces := strings.Repeat(`{"SpecialToken":{"id":"a","type_id":0}},`, n)
	return `{"type":"TemplateProcessing","single":[` + strings.TrimSuffix(pieces, ",") +
		`],"pair":[],"special_tokens":{"a":{"id":"a","ids":[` + id + `],"tokens":["a"]}}}`
}

// Steps that make a text longer as real tokenizers do are taken.
func TestHarmlessGrowth(t *testing.T) {
	var emoji []string
	for i := range 60 {
		emoji = append(emoji, fmt.Sprintf(`{"type":"Replace","pattern":{"String":"%c"},"content":":smiling_face:"}`, 0x1f600+i))
	}
	spaces := `{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "}`
	llama := `{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	for name, fields := range map[string]map[string]string{
		"emoji":     {"normalizer": steps("normalizers", strings.Join(emoji, ","), 1)},
		"spaces":    {"normalizer": steps("normalizers", spaces, 60)},
		"llama":     {"normalizer": steps("normalizers", llama, 1)},
		"nfkd":      {"normalizer": steps("normalizers", llama+`,{"type":"NFKD"},{"type":"Lowercase"},{"type":"StripAccents"}`, 1)},
		"templates": {"post_processor": template(1000, "4")},
	} {
		tok, err := Parse([]byte(tinyFile(fields)), name)
		if err != nil {
			t.Error(err)
			continue
		}
		tok.Encode("a 😀 b", true)
	}
}

func TestParseErrors(t *testing.T) {
	deep := strings.Repeat(`{"type":"Sequence","normalizers":[`, 5000) + `{"type":"NFC"}` + strings.Repeat("]}", 5000)
	for _, c := range []struct{ field, value, want string }{
		{"version", `"2.0"`, "version"},
		{"normalizer", `{"type":"NFX"}`, `normalizer: type "NFX" is not supported (known: Bert,`},
		{"normalizer", `{}`, "normalizer: type is missing"},
		{"normalizer", `{"type":"Sequence"}`, "normalizers is missing"},
		{"normalizer", `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Nope"}]}`, `normalizer.normalizers[1]: type "Nope"`},
		{"normalizer", `{"type":"Replace","pattern":{"Regex":"(a"},"content":""}`, "a group without end"},
		{"normalizer", `{"type":"Replace","content":""}`, "pattern is missing"},
		{"normalizer", `{"type":"Replace","pattern":{"String":""},"content":""}`, "pattern is empty"},
		{"normalizer", `{"type":"Precompiled","precompiled_charsmap":"AAAA"}`, "cut short"},
		{"normalizer", `{"type":"Precompiled","precompiled_charsmap":"/////w=="}`, "longer than the map"},
		{"normalizer", deep, "nested deeper"},
		{"normalizer", "[" + strings.Repeat("[", 100_000), "nested deeper"},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"\\p{Klingon}"},"behavior":"Isolated","invert":false}`, "not a known property"},
		{"pre_tokenizer", `{"type":"Split","pattern":{"String":"a"},"behavior":"Exploded","invert":false}`, `behavior "Exploded"`},
		{"pre_tokenizer", `{"type":"CharDelimiterSplit","delimiter":"ab"}`, "not one character"},
		{"pre_tokenizer", `{"type":"FixedLength","length":0}`, "not positive"},
		{"pre_tokenizer", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"perhaps"}`, "prepend_scheme"},
		{"pre_tokenizer", `{"type":"Metaspace","replacement":"▁","add_prefix_space":false,"prepend_scheme":"always"}`, "does not go with"},
		{"pre_tokenizer", `{"type":"Sequence","pretokenizers":{}}`, "pre_tokenizer.pretokenizers"},
		{"pre_tokenizer", `17`, "pre_tokenizer"},
		{"post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}}],"pair":[],"special_tokens":{}}`, `"x" is not in special_tokens`},
		{"post_processor", `{"type":"TemplateProcessing","single":[{"Sequence":{"id":"C","type_id":0}}],"pair":[],"special_tokens":{}}`, "not A or B"},
		{"post_processor", `{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"pair":[],"special_tokens":{}}`, "uses the sequence B"},
		{"post_processor", `{"type":"TemplateProcessing","single":[{}],"pair":[],"special_tokens":{}}`, "neither Sequence nor SpecialToken"},
		{"normalizer", steps("normalizers", `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`, 60), "normalizer: step 10: Replace: the steps up to this one may make a text 2048 times longer"},
		{"normalizer", steps("normalizers", `{"type":"Replace","pattern":{"Regex":"a?"},"content":"一"}`, 60), "normalizer: step 5: Replace"},
		{"normalizer", steps("normalizers", `{"type":"Prepend","prepend":"aaa"}`, 60), "normalizer: step 5: Prepend"},
		{"normalizer", steps("normalizers", `{"type":"Replace","pattern":{"String":"α"},"content":"ᾷ"},{"type":"NFD"}`, 60), "times longer"},
		{"normalizer", steps("normalizers", `{"type":"ByteLevel"}`, 60), "normalizer: step 10: ByteLevel"},
		{"pre_tokenizer", steps("pretokenizers", `{"type":"ByteLevel"}`, 60), "pre_tokenizer: step 5: ByteLevel"},
		{"decoder", steps("decoders", `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`, 60), "decoder: step 10: Replace"},
		{"post_processor", template(1, "99999999"), `post_processor: TemplateProcessing: special token "a" has the id 99999999, and the vocabulary 5 ids`},
		{"post_processor", template(1, "5"), "has the id 5"},
		{"post_processor", template(1, "-1"), "has the id -1"},
		{"post_processor", `{"type":"Sequence","processors":[` + template(1, "5") + `]}`, "post_processor: step 0: TemplateProcessing"},
		{"post_processor", template(100_000, "1"), "TemplateProcessing: single has 100000 pieces (at most 1000)"},
		{"decoder", `{"type":"Strip","content":"","start":1,"stop":0}`, "not one character"},
		{"decoder", `{"type":"Unknown"}`, `decoder: type "Unknown"`},
		{"truncation", `{"max_length":-1,"strategy":"LongestFirst","stride":0}`, "negative"},
		{"truncation", `{"max_length":1,"strategy":"Shortest","stride":0}`, "strategy"},
		{"padding", `{"strategy":{"Fixed":99999999999},"direction":"Right","pad_id":0,"pad_type_id":0,"pad_token":""}`, "padding"},
		{"padding", `{"strategy":"Longest","direction":"Right"}`, "strategy"},
		{"added_tokens", `[{"id":3,"content":"x"}]`, `id 3 belongs to the token "ab" and to the added token "x"`},
		{"added_tokens", `[{"id":9,"content":"a"}]`, `added token "a" has the id 9, and 1 in the vocabulary`},
		{"added_tokens", `[{"id":5,"content":"x"},{"id":5,"content":"y"}]`, "id 5 belongs to the added tokens"},
		{"added_tokens", `[{"id":5,"content":"x"},{"id":6,"content":"x"}]`, "has the ids 5 and 6"},
		{"added_tokens", `[{"id":-1,"content":"x"}]`, "has the id -1"},
		{"added_tokens", `[{"id":2000000000,"content":"x"}]`, "far beyond"},
		{"added_tokens", `{}`, "added_tokens"},
		{"model", `null`, "model is missing"},
		{"model", `{"type":"RNN","vocab":{}}`, `type "RNN" is not supported (known: BPE,`},
		{"model", `{"type":"BPE","merges":[]}`, "vocab is missing"},
		{"model", `{"type":"BPE","vocab":{"a":0}}`, "merges is missing"},
		{"model", `{"type":"BPE","vocab":{"a":0},"vocab":{"a":0},"merges":[]}`, "vocab comes twice"},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":[],"merges":[]}`, "merges comes twice"},
		{"model", `{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}`, `id 0 belongs to the tokens "a" and "b"`},
		{"model", `{"type":"BPE","vocab":{"a":0,"a":1},"merges":[]}`, `token "a" has the ids 0 and 1`},
		{"model", `{"type":"BPE","vocab":{"a":-1},"merges":[]}`, "where an id is due"},
		{"model", `{"type":"BPE","vocab":{"a":1.5},"merges":[]}`, "where an id is due"},
		{"model", `{"type":"BPE","vocab":{"a":2147483647},"merges":[]}`, "more than a file of this size can hold"},
		{"model", `{"type":"BPE","vocab":{"a":99999999999},"merges":[]}`, "where an id is due"},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":["a b"]}`, `merge 0: "b" is not in the vocabulary`},
		{"model", `{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}`, `make "ab", which is not in the vocabulary`},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":["aa"]}`, "not two tokens"},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":["a a a"]}`, "not two tokens"},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}`, "a merge of 1 tokens"},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":[["a","a","a"]]}`, "more than two tokens"},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"u"}`, `unk_token "u"`},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}`, "dropout"},
		{"model", `{"type":"BPE","vocab":["a"],"merges":[]}`, "model"},
		{"model", `{"type":"Unigram","unk_id":0,"vocab":{"a":0}}`, "does not fit"},
		{"model", `{"type":"Unigram","unk_id":5,"vocab":[["a",0]]}`, "unk_id 5"},
		{"model", `{"type":"Unigram","vocab":[["a",0]]}`, "unk_id is missing"},
		{"model", `{"type":"Unigram","unk_id":0,"vocab":[["a"]]}`, "1 tokens have 0 scores"},
		{"model", `{"type":"Unigram","unk_id":0,"vocab":[["a",0,1]]}`, "more than a score"},
		{"model", `{"type":"WordPiece","vocab":{"a":0},"max_input_chars_per_word":5}`, "unk_token"},
		{"model", `{"type":"WordLevel","vocab":{"a":0}}`, "unk_token"},
	} {
		_, err := Parse([]byte(tinyFile(map[string]string{c.field: c.value})), "dir/tokenizer.json")
		if err == nil || !strings.HasPrefix(err.Error(), "dir/tokenizer.json: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: error %v, want %q", c.field, shorten(c.value), err, c.want)
		}
	}
	for _, text := range []string{"", "{", "[]", "null", `{"model"`, `{"a":1,}`, tinyFile(nil) + "x", "\xff", `{"a":"\ud800"}`, `{"a":tru}`, "{\"a\":\"\n\"}"} {
		if _, err := Parse([]byte(text), "f"); err == nil {
			t.Errorf("%q loads", text)
		}
	}
}

// Files that only look dangerous load, and take time that grows with the text.
func TestHostileFiles(t *testing.T) {
	flat := `{"type":"Sequence","normalizers":[` + strings.Repeat(`{"type":"NFC"},`, 4999) + `{"type":"NFC"}]}`
	catastrophe := `{"type":"Split","pattern":{"Regex":"(a+)+$|(a|aa)+b|a"},"behavior":"Isolated","invert":false}`
	text := strings.Repeat("a", 1<<20)
	for name, fields := range map[string]map[string]string{
		"5,000 steps": {"normalizer": flat},
		"a pattern":   {"pre_tokenizer": catastrophe},
		"one word":    {},
		"merges out of order": {"model": `{"type":"BPE","vocab":{"a":0,"aa":1,"aaaa":2,"aaaaaaaa":3},` +
			`"merges":["aaaa aaaa","aa aa","a a"]}`},
		"a suffix": {"model": `{"type":"BPE","vocab":{"a":0,"aa":1,"a</w>":2,"aa</w>":3},"end_of_word_suffix":"</w>",` +
			`"merges":["a a","a a</w>"]}`},
		"an added token": {"added_tokens": `[{"id":5,"content":"` + strings.Repeat("a", 4000) + `b"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := Parse([]byte(tinyFile(fields)), name)
			if err != nil {
				t.Fatal(err)
			}
			n := len(text)
			if name == "5,000 steps" || name == "an added token" {
				n = 1 << 14
			}
			began := time.Now()
			tok.Encode(text[:n], true)
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestInvalidUTF8(t *testing.T) {
	byteLevel := `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	var letters []string
	for b, r := range byteLetters {
		letters = append(letters, fmt.Sprintf("%q:%d", string(r), b))
	}
	bytes := tinyFile(map[string]string{
		"pre_tokenizer": byteLevel, "decoder": byteLevel, "normalizer": `{"type":"NFC"}`,
		"model": `{"type":"BPE","vocab":{` + strings.Join(letters, ",") + `},"merges":[]}`,
	})
	tok, err := Parse([]byte(bytes), "bytes")
	if err != nil {
		t.Fatal(err)
	}
	text := "a\xff\xe4\xb8 e\u0301\xc3"
	e, err := tok.EncodeFull(text, EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, text, "ids", e.IDs, []int32{'a', 0xff, 0xe4, 0xb8, ' ', 0xc3, 0xa9, 0xc3})
	same(t, text, "offsets", e.Offsets, [][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {5, 6}, {8, 9}})
	same(t, text, "quick ids", tok.Encode(text, false), e.IDs)
	same(t, text, "decoded", tok.Decode(e.IDs, false), "a\uFFFD\uFFFD é\uFFFD")

	words := tinyFile(map[string]string{"model": `{"type":"BPE","unk_token":"<unk>","vocab":{"<unk>":0,"a":1,"\ufffd":2},"merges":[]}`})
	if tok, err = Parse([]byte(words), "words"); err != nil {
		t.Fatal(err)
	}
	if e, err = tok.EncodeFull("a\xffa\xe4\xb8x", EncodeOptions{}); err != nil {
		t.Fatal(err)
	}
	same(t, "words", "ids", e.IDs, []int32{1, 2, 1, 2, 2, 0})
	same(t, "words", "offsets", e.Offsets, [][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}})
}

func TestIDsOutOfRange(t *testing.T) {
	tok, err := Parse([]byte(tinyFile(nil)), "tiny")
	if err != nil {
		t.Fatal(err)
	}
	ids := []int32{-1, 1, 5, 1 << 30, -1 << 31, 2}
	if got := tok.Decode(ids, true); got != "a b" {
		t.Errorf("decoded %q", got)
	}
	s := tok.NewStream(false)
	for _, id := range ids {
		s.Push(id)
	}
	s.Flush()
	for _, id := range ids {
		_, ok := tok.Token(id)
		if want := id == 1 || id == 2; ok != want || tok.IsSpecial(id) {
			t.Errorf("Token(%d) is %v, want %v", id, ok, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(tinyFile(nil)), "abab\xff")
	f.Add([]byte(tinyFile(map[string]string{
		"normalizer":     `{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},{"type":"Prepend","prepend":"▁"}]}`,
		"pre_tokenizer":  `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}`,
		"post_processor": `{"type":"BertProcessing","sep":["b",2],"cls":["a",1]}`,
		"decoder":        `{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":1}]}`,
		"added_tokens":   `[{"id":5,"content":" x","lstrip":true,"rstrip":true,"normalized":true,"special":true}]`,
	})), "a x b")
	f.Add([]byte(tinyFile(map[string]string{"model": `{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["u",-1],["a",-2],["<0x41>",-3]]}`})), "aA")
	f.Add([]byte(tinyFile(map[string]string{"model": `{"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"##","max_input_chars_per_word":9,"vocab":{"u":0,"a":1,"##b":2}}`})), "ab")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tok, err := Parse(data, "fuzz")
		if err != nil || len(text) > 1000 {
			return
		}
		checkEncodeDecode(t, tok, text)
		saved, err := tok.MarshalJSON()
		if err != nil {
			return // scores that JSON does not have
		}
		again, err := Parse(saved, "again")
		if err != nil {
			t.Fatalf("what was saved does not load: %v\n%s", err, saved)
		}
		same(t, text, "ids after saving", again.Encode(text, true), tok.Encode(text, true))
	})
}

func checkEncodeDecode(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	e, err := tok.EncodeFull(text, EncodeOptions{AddSpecialTokens: true})
	if err != nil {
		t.Fatal(err)
	}
	same(t, text, "ids", tok.Encode(text, true), e.IDs)
	for i, o := range e.Offsets {
		if o[0] < 0 || o[1] < o[0] || o[1] > len(text) {
			t.Fatalf("%q: token %d has the offsets %v", text, i, o)
		}
	}
	s := tok.NewStream(true)
	for _, id := range e.IDs {
		s.Push(id)
	}
	s.Flush()
	tok.Decode(e.IDs, false)
}
