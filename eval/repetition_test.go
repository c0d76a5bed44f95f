package eval

import (
	"math"
	"slices"
	"strings"
	"testing"
)

const goodStory = "One day, Tom saw a red kite in the park. He ran to it, but the wind took it away. " +
	"A kind girl gave him her own kite, and they played until it was dark."

func TestRepetition(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		looped bool
	}{
		"nothing":           {"", false},
		"a story":           {goodStory, false},
		"a tail":            {goodStory + " Then he ran. Then he ran. Then he ran.", true},
		"a tail cut off":    {goodStory + " then he ran and then he ran and then he ran and then", true},
		"a tail of one":     {goodStory + " It was very, very, very, very big.", false},
		"two in a row":      {goodStory + " Then he ran. Then he ran.", false},
		"a Chinese tail":    {"从前有一个小男孩住在山里，小猫跑了，小猫跑了，小猫跑了", true},
		"a Chinese story":   {"从前有一个小男孩住在山里。有一天他看见一只猫，猫说：你好！他们成了好朋友。", false},
		"sentence again":    {"He was so happy. " + goodStory + " He was so happy! They ate. He was so happy, he sang.", false},
		"sentence thrice":   {"He was so happy. " + goodStory + " He was so happy! They ate. He was so happy.", true},
		"short sentences":   {"Come on, Tom. " + goodStory + " Come on, Tom. The cake was good. Come on, Tom.", false},
		"everything again":  {goodStory + " " + goodStory, true},
		"everything, other": {goodStory + " " + strings.ToUpper(goodStory), true},
	} {
		if r := FindRepetition(c.text); r.Looped() != c.looped {
			t.Errorf("%s: %+v, want looped %v", name, r, c.looped)
		}
	}
}

func TestWords(t *testing.T) {
	got := wordsOf("Don't stop, 小猫's “3.5” CAFÉS' e\u0301!")
	want := []string{"don't", "stop", "小", "猫", "s", "3", "5", "cafés", "e\u0301"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	texts := [][]string{{"a", "b", "a"}, {"b", "a"}}
	if one, two := distinct(texts, 1), distinct(texts, 2); one != 2./5 || two != 2./3 {
		t.Errorf("distinct %v and %v", one, two)
	}
	words := strings.Split("a b c d a b c d e", " ")
	if got := repeatedShare(words, 4); got != 1./6 || math.Abs(1-got-distinct([][]string{words}, 4)) > 1e-15 {
		t.Errorf("share of repeated runs %v", got)
	}
}

func TestEndsSentence(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "The end": false, "The end.": true, "\"Stop!\" \n": true, "他说：“好吧。”": true, "什么？」": true,
		"and then,": false, "然后，": false, "Well…": true, "(He left.)": true, "。x": false, "\"": false,
	} {
		if endsSentence(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
