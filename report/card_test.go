package report

import "testing"

func TestCard(t *testing.T) {
	c := Card{
		Name: "tang-gpt", Summary: "A small model.", Languages: []string{"zh", "no"}, Licence: "apache-2.0",
		Datasets: []string{"org/data"}, BaseModel: "org/base", Tags: []string{"poetry", "唐诗: x"}, PipelineTag: "text-generation",
		Use: "    wenmo run -m tang-gpt",
		Data: []DataFile{
			{"a|b.txt", "https://example.com", "public domain", "ab12", 1000, 2.5},
			{Name: "b.txt", Tokens: 3000, Passes: 1},
		},
		Settings:   []Fact{{"learning rate", "6e-4"}},
		Evaluation: []Table{{"Validation", []string{"measure", "value"}, [][]string{{"bits per byte", "1.234"}}}},
		Limits:     []string{"It has read\nonly poems."},
	}
	want := `---
language:
- zh
- "no"
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
base_model: org/base
datasets:
- org/data
tags:
- poetry
- "唐诗: x"
---

# tang-gpt

A small model.

## Use

    wenmo run -m tang-gpt

## Training data

| file | source | licence | sha256 | tokens | passes |
| --- | --- | --- | --- | ---: | ---: |
| a\|b.txt | https://example.com | public domain | ` + "`ab12`" + ` | 1000 | 2.5 |
| b.txt | unknown | unknown | – | 3000 | 1 |
| in all |  |  |  | 4000 | 1.38 |

## Training

Trained from ` + "`org/base`" + `.

| setting | value |
| --- | ---: |
| learning rate | 6e-4 |

## Evaluation

### Validation

| measure | value |
| --- | ---: |
| bits per byte | 1.234 |

## Limits

- It has read only poems.
`
	got, err := c.Markdown("en")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCardChinese(t *testing.T) {
	want := `---
library_name: transformers
---

# 诗人

## 训练

从头训练。

## 局限

尚未说明本模型的局限。使用前请先用自己的数据加以检验。
`
	got, err := (&Card{Name: "诗人"}).Markdown("zh")
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := (&Card{Name: "x"}).Markdown("fr"); err == nil {
		t.Error("a card in French")
	}
	if _, err := (&Card{}).Markdown("zh"); err == nil {
		t.Error("a card without a name")
	}
}

func TestYAMLString(t *testing.T) {
	for in, want := range map[string]string{
		"apache-2.0": "apache-2.0", "Yes": `"Yes"`, "": `""`, "1.0": `"1.0"`, "a: b": `"a: b"`, "#x": `"#x"`,
		"a\nb": `"a\nb"`, "中文": `"中文"`, "<x>": `"<x>"`, "null": `"null"`,
	} {
		if got := yamlString(in); got != want {
			t.Errorf("%q is written %s, want %s", in, got, want)
		}
	}
}
