package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
)

// smallBERTs writes a random BERT of one layer under each head, with a
// vocabulary of 35 tokens, and returns their folder.
func smallBERTs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, of := range map[string]struct {
		arch   string
		labels []string
		extra  string
		head   []checkpoint.Out
	}{
		"body": {arch: "BertModel"},
		"fill": {arch: "BertForMaskedLM", head: []checkpoint.Out{
			noise("cls.predictions.transform.dense.weight", 16, 16), noise("cls.predictions.transform.dense.bias", 16),
			noise("cls.predictions.transform.LayerNorm.weight", 16), noise("cls.predictions.transform.LayerNorm.bias", 16),
			noise("cls.predictions.bias", 35)}},
		"classify": {arch: "BertForSequenceClassification", labels: []string{"bad", "good", "中"}, head: classifier("classifier", 3, true)},
		"labels": {arch: "BertForSequenceClassification", labels: []string{"a", "b"}, extra: `"problem_type": "multi_label_classification",`,
			head: classifier("classifier", 2, true)},
		"value": {arch: "BertForSequenceClassification", labels: []string{"stars"}, extra: `"problem_type": "regression",`,
			head: classifier("classifier", 1, true)},
		"tokens": {arch: "BertForTokenClassification", labels: []string{"B-PER", "B-LOC"}, head: classifier("classifier", 2, false)},
		"answer": {arch: "BertForQuestionAnswering", head: classifier("qa_outputs", 2, false)},
	} {
		writeBERT(t, filepath.Join(dir, name), of.arch, of.labels, of.extra, of.head)
	}
	return dir
}

func classifier(name string, classes int, pooled bool) []checkpoint.Out {
	out := []checkpoint.Out{noise(name+".weight", classes, 16), noise(name+".bias", classes)}
	if pooled {
		out = append(out, noise("bert.pooler.dense.weight", 16, 16), noise("bert.pooler.dense.bias", 16))
	}
	return out
}

func writeBERT(t *testing.T, dir, arch string, labels []string, extra string, head []checkpoint.Out) {
	t.Helper()
	var fixture struct{ Tokenizer json.RawMessage }
	data, err := os.ReadFile(filepath.Join(testkit.Root(), "testdata", "fixtures", "pipeline_fill_mask.json"))
	if err == nil {
		err = json.Unmarshal(data, &fixture)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	if labels != nil {
		names := map[string]string{}
		for i, l := range labels {
			names[fmt.Sprint(i)] = l
		}
		text, _ := json.Marshal(names)
		extra += `"id2label": ` + string(text) + ","
	}
	config := fmt.Sprintf(`{"architectures": [%q], "model_type": "bert", %s "hidden_size": 16, "num_hidden_layers": 1,
		"num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 35, "max_position_embeddings": 24, "pad_token_id": 0}`, arch, extra)
	special := `{"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}`
	for name, text := range map[string]string{"config.json": config, "tokenizer.json": string(fixture.Tokenizer), "tokenizer_config.json": special} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	const e, l = "bert.embeddings.", "bert.encoder.layer.0."
	tensors := []checkpoint.Out{
		noise(e+"word_embeddings.weight", 35, 16), noise(e+"position_embeddings.weight", 24, 16), noise(e+"token_type_embeddings.weight", 2, 16),
	}
	for _, norm := range []string{e + "LayerNorm", l + "attention.output.LayerNorm", l + "output.LayerNorm"} {
		tensors = append(tensors, noise(norm+".weight", 16), noise(norm+".bias", 16))
	}
	for _, part := range []struct {
		name    string
		out, in int
	}{
		{"attention.self.query", 16, 16}, {"attention.self.key", 16, 16}, {"attention.self.value", 16, 16},
		{"attention.output.dense", 16, 16}, {"intermediate.dense", 32, 16}, {"output.dense", 16, 32},
	} {
		tensors = append(tensors, noise(l+part.name+".weight", part.out, part.in), noise(l+part.name+".bias", part.out))
	}
	if err := checkpoint.WriteSafetensors(filepath.Join(dir, "model.safetensors"), append(tensors, head...), nil); err != nil {
		t.Fatal(err)
	}
}
