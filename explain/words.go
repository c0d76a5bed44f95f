package explain

import "fmt"

// words are the texts of the page, by language.
var words = map[string]map[string]string{
	"en": {
		"kind": "A text, explained", "title": "How %s reads a text", "made": "Made by wenmo",
		"tokens": "Tokens", "characters": "Characters", "surprise": "Mean surprise", "heads": "Layers × heads",
		"bits": "%.1f bits", "heads_value": "%d × %d",

		"tokens_note":   "The text as the model reads it, cut into tokens. Colour: how much each one surprised the model.",
		"tokens_plain":  "The text as the model reads it, cut into tokens.",
		"legend_low":    "expected",
		"legend_high":   "surprising (12 bits or more)",
		"choose":        " Point at a token, or choose one by click or with the arrow keys.",
		"expected":      "What the model expected",
		"expected_note": "In the place of the chosen token, given those before it alone.",
		"masked_note":   "In the place of the chosen mask, given all other tokens.",
		"no_mask":       "This model fills in masks, and the text has none: write %s where a token is missing.",
		"nothing":       "This model gives no words: it was trained for another task.",
		"here":          "probability %p, rank %r of all tokens, surprise %b bits",
		"first":         "The first token: nothing comes before it, so nothing was expected.",
		"unmasked":      "Not a mask: the model sees this token and has nothing to guess.",
		"next":          "after the end",
		"part_of":       "part of %s",

		"attention":      "Attention",
		"attention_note": "Where the chosen token looks for what it needs: the stronger the colour, the larger the share. The shares of a token sum to 100%. Layers, heads and tokens are counted from 0.",
		"layer":          "Layer", "head": "Head", "mean": "mean of all",
		"looks":       "%q looks at",
		"matrix":      "The same for all tokens at once: a row for each token that looks, a column for each that is looked at.",
		"matrix_name": "Attention as a matrix",
		"no_data":     "This browser is too old to unpack the attention.",
		"no_script":   "Attention needs JavaScript; the rest stands in the table below.",

		"table": "All tokens as a table", "token": "token", "id": "id", "bytes": "bytes",
		"probability": "probability", "rank": "rank", "candidates": "expected",
	},
	"zh": {
		"kind": "看懂一段文字", "title": "%s 怎样读一段文字", "made": "由文墨生成",
		"tokens": "词元", "characters": "字符", "surprise": "平均意外程度", "heads": "层数 × 头数",
		"bits": "%.1f 比特", "heads_value": "%d × %d",

		"tokens_note":   "模型读到的文字：先切成词元（token）。颜色表示每个词元让模型多意外。",
		"tokens_plain":  "模型读到的文字：先切成词元（token）。",
		"legend_low":    "意料之中",
		"legend_high":   "出乎意料（12 比特以上）",
		"choose":        "把鼠标移到词元上，或单击、用方向键选择一个。",
		"expected":      "模型的预测",
		"expected_note": "只看前面的词元时，模型认为所选位置会出现什么。",
		"masked_note":   "看过其余所有词元后，模型认为所选掩码处是什么。",
		"no_mask":       "这个模型会填补掩码，而文字里没有：请在缺词的地方写 %s。",
		"nothing":       "这个模型不预测词元：它是为别的任务训练的。",
		"here":          "概率 %p，在所有词元中排第 %r，意外程度 %b 比特",
		"first":         "第一个词元：前面什么都没有，无从预测。",
		"unmasked":      "这里不是掩码：模型看得到这个词元，无需猜测。",
		"next":          "文字之后",
		"part_of":       "“%s”的一部分",

		"attention":      "注意力",
		"attention_note": "所选词元从哪里获取信息：颜色越浓，所占份额越大。每个词元的份额合计 100%。层、头和词元都从 0 数起。",
		"layer":          "层", "head": "头", "mean": "全部平均",
		"looks":       "%q 关注",
		"matrix":      "所有词元一起看：每行是一个在看的词元，每列是一个被看的词元。",
		"matrix_name": "注意力矩阵",
		"no_data":     "浏览器太旧，无法解开注意力数据。",
		"no_script":   "注意力部分需要 JavaScript，其余内容见下表。",

		"table": "全部词元的表格", "token": "词元", "id": "id", "bytes": "字节",
		"probability": "概率", "rank": "排名", "candidates": "预测",
	},
}

// wordsOf returns the texts of a language, "en" or "zh".
func wordsOf(lang string) (map[string]string, error) {
	w, ok := words[lang]
	if !ok {
		return nil, fmt.Errorf("explain: language %q is not known (known: en, zh)", lang)
	}
	return w, nil
}
