package eval

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wenmo/dataset"
	"wenmo/internal/testkit"
)

// charTable has the characters that 登鹳雀楼 is judged by, and some to change it with.
const charTable = `char	pinyin	tone	pingze	pingshui
日	rì	4	仄	入四质
山	shān	1	平	上平十五删
河	hé	2	平	下平五歌
海	hǎi	3	仄	上十贿
穷	qióng	2	平	上平一东
里	lǐ	3	仄	上四纸
上	shàng/shǎng	4/3	仄	去二十三漾/上二十二养
层	céng	2	平	下平十蒸
流	liú	2	平	下平十一尤
楼	lóu	2	平	下平十一尤
看	kàn/kān	4/1	多	上平十四寒/去十五翰
花	huā	1	平	下平六麻
家	jiā	1		
鸦	yā	1	平	
`

func characters(t *testing.T) Characters {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chars.tsv")
	if err := os.WriteFile(path, []byte(charTable), 0o666); err != nil {
		t.Fatal(err)
	}
	table, err := ReadCharacters(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestReadPoem(t *testing.T) {
	table := characters(t)
	for name, c := range map[string]struct {
		text, form string
		want       Poem
	}{
		"good":                 {"白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。", "五绝", Poem{Lines: true, Lengths: true, Rhyme: true, Tones: 7, Kept: 7}},
		"lines alone":          {"白日依山尽\n黄河入海流\n\n欲穷千里目\n更上一层楼", "五绝", Poem{Lines: true, Lengths: true, Rhyme: true, Tones: 7, Kept: 7}},
		"quoted":               {" “白日依山尽，黄河入海流；欲穷千里目，更上一层楼。”", "五绝", Poem{Lines: true, Lengths: true, Rhyme: true, Tones: 7, Kept: 7}},
		"another form":         {"白日依山尽，黄河入海流。欲穷千里目，更上一层楼。", "七绝", Poem{Lines: true}},
		"too few lines":        {"白日依山尽，黄河入海流。", "五绝", Poem{Lengths: true}},
		"a short line":         {"白日依山尽，黄河入海流。欲穷千里，更上一层楼。", "五绝", Poem{Lines: true}},
		"a line twice":         {"白日依山尽，白日依山尽。欲穷千里目，更上一层楼。", "五绝", Poem{Lines: true, Lengths: true, Repeated: true, Tones: 7, Kept: 5}},
		"letters":              {"白日依山尽，黄河入海流。欲穷千里x，更上一层楼。", "五绝", Poem{Lines: true, Foreign: true}},
		"letters beside":       {"白日依山尽，黄河入海流。欲穷千里目，更上一层楼！ok", "五绝", Poem{Foreign: true}},
		"no rhyme":             {"白日依山尽，黄河入海花。欲穷千里目，更上一层楼。", "五绝", Poem{Lines: true, Lengths: true, Tones: 7, Kept: 7}},
		"an oblique rhyme":     {"白日依山尽，黄河入海上。欲穷千里目，更上一层里。", "五绝", Poem{Lines: true, Lengths: true, Tones: 7, Kept: 7}},
		"a word for two":       {"白日依山尽，黄河入海楼。欲穷千里目，更上一层楼。", "五绝", Poem{Lines: true, Lengths: true, Tones: 7, Kept: 7}},
		"a modern rhyme":       {"白日依山尽，黄河入海家。欲穷千里目，更上一层鸦。", "五绝", Poem{Lines: true, Lengths: true, Rhyme: true, Tones: 7, Kept: 7}},
		"one of two tones":     {"白日依山尽，黄看入看流。欲穷千里目，更上一层楼。", "五绝", Poem{Lines: true, Lengths: true, Rhyme: true, Tones: 7, Kept: 7}},
		"an unknown character": {"白日依山尽，黄鹤入海流。欲穷千里目，更上一层楼。", "五绝", Poem{Lines: true, Lengths: true, Rhyme: true, Tones: 4, Kept: 4}},
		"not kept":             {"白日依日尽，黄日入海流。欲穷千里目，更上一层楼。", "五绝", Poem{Lines: true, Lengths: true, Rhyme: true, Tones: 7, Kept: 3}},
		"nothing":              {"", "五绝", Poem{Lengths: true}},
	} {
		if got := ReadPoem(c.text, c.form, table); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if got := ReadPoem("白日依山尽，黄河入海流。欲穷千里目，更上一层楼。", "五绝", nil); got != (Poem{Lines: true, Lengths: true}) {
		t.Errorf("without a table: %+v", got)
	}
}

func TestRhymeClass(t *testing.T) {
	for syllables, class := range map[string]string{
		"zhī shí rì zì cí sī": "支", "yī lǐ ér jū yú lǜ": "齐", "yè yuè xué lüè jiē": "皆", "hé wǒ bō yō": "波",
		"wū shù fú": "姑", "wēng qióng yòng dōng bīng": "庚", "yún yīn wén xūn": "文", "yuán quán yān lián": "寒",
		"yāo liǎo": "豪", "yóu qiū hòu": "尤", "wēi guī fēi": "微", "guāng yáng": "唐", "yá huā": "麻", "huái lái": "开", "m̀ ǹg hng": "",
	} {
		for s := range strings.FieldsSeq(syllables) {
			if got := rhymeClass(s); got != class {
				t.Errorf("%s: class %q, want %q", s, got, class)
			}
		}
	}
}

func TestReadCharactersErrors(t *testing.T) {
	for text, want := range map[string]string{
		"char\tpinyin\n日\trì\n": `chars.tsv:2: no field "tone"`,
		"char\tpinyin\ttone\tpingze\tpingshui\n日月\trì\t4\t仄\t入四质\n": `chars.tsv:2: field "char": "日月" is not one character`,
		"char\tpinyin\ttone\tpingze\tpingshui\n日\trì\t4\t去\t入四质\n":  `chars.tsv:2: field "pingze": "去" is none of 平, 仄, 多`,
		"char\tpinyin\ttone\tpingze\tpingshui\n日\trì\t4/1\t仄\t\n":   `chars.tsv:2: the fields "pinyin" and "tone"`,
	} {
		path := filepath.Join(t.TempDir(), "chars.tsv")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadCharacters(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// Of the regulated verse of Tang and Song that is known to rhyme, all but what has a
// rhyme word twice is found to, and the rules of tone are kept.
func TestRealPoems(t *testing.T) {
	table, err := ReadCharacters(t.Context(), testkit.SharedFile(t, "data", "zh", "zh_chars.tsv.zst"))
	if err != nil {
		t.Fatal(err)
	}
	const enough = 5000
	var n, rhyme, tones, kept float64
	for d, err := range dataset.Read(t.Context(), testkit.SharedFile(t, "data", "zh", "zh_poems.jsonl.zst"), dataset.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		form, _ := d.String("form")
		group, _ := d.String("rhyme")
		if _, ok := poemForms[form]; !ok || !strings.HasPrefix(group, "上平") && !strings.HasPrefix(group, "下平") {
			continue
		}
		var lines []string
		if err := json.Unmarshal(d.Fields["lines"], &lines); err != nil {
			t.Fatal(err)
		}
		p := ReadPoem(strings.Join(lines, "\n"), form, table)
		if !p.OK() || p.Foreign {
			t.Errorf("%s %q: %+v", form, lines, p)
		}
		rhyme += boolean(p.Rhyme)
		tones += float64(p.Tones)
		kept += float64(p.Kept)
		if n++; n == enough {
			break
		}
	}
	if n < enough || rhyme/n < 0.99 || kept/tones < 0.95 {
		t.Errorf("of %v poems %.4f rhyme; of the rules of tone %.4f are kept", n, rhyme/n, kept/tones)
	}
}

// The checks of what a model wrote take any text.
func FuzzWritten(f *testing.F) {
	f.Add(goodStory, 0)
	f.Add("白日依山尽，黄河入海流。欲穷千里目，更上一层楼。", 0)
	f.Add("啊啊啊啊啊啊啊。啊啊啊啊啊啊啊。\xff\u0301'’...", 1)
	table := Characters{'啊': {level: true, modern: []string{"麻"}}, '白': {oblique: true}}
	f.Fuzz(func(t *testing.T, text string, which int) {
		r := FindRepetition(text)
		if !(r.Share >= 0 && r.Share < 1) || r.Sentences < 0 {
			t.Errorf("%q: %+v", text, r)
		}
		form := []string{"五绝", "七绝", "五律", "七律"}[uint(which)%4]
		p := ReadPoem(text, form, table)
		if p.Kept > p.Tones || p.Foreign && p.Lengths || !p.OK() && (p.Rhyme || p.Tones > 0) {
			t.Errorf("%s %q: %+v", form, text, p)
		}
		if again := ReadPoem(text+"\n", form, table); again != p {
			t.Errorf("%s %q: a line end makes %+v of %+v", form, text, again, p)
		}
		if endsSentence(text) != endsSentence(text+"”") {
			t.Errorf("%q: a closing quotation mark changes the end", text)
		}
	})
}
