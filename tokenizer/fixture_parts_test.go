package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// withParts puts config, which holds parts by their field, into the text of a
// tokenizer.json; fuse_unk goes to the model.
func withParts(t *testing.T, base []byte, config map[string]json.RawMessage) []byte {
	t.Helper()
	var file, model map[string]json.RawMessage
	if err := json.Unmarshal(base, &file); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file["model"], &model); err != nil {
		t.Fatal(err)
	}
	for field, part := range config {
		if field == "fuse_unk" {
			model[field] = part
		} else {
			file[field] = part
		}
	}
	file["model"], _ = json.Marshal(model)
	out, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFixtureTokenizerComponents(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		base, err := os.ReadFile(filepath.Join(dir, "base_tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		type component struct {
			Component string                     `json:"component"`
			Config    map[string]json.RawMessage `json:"config"`
			Cases     []tokenizerCase            `json:"cases"`
		}
		for _, c := range jsonLines[component](t, filepath.Join(dir, "components.jsonl")) {
			t.Run(c.Component, func(t *testing.T) {
				tok, err := Parse(withParts(t, base, c.Config), c.Component)
				if err != nil {
					t.Fatal(err)
				}
				for _, tc := range c.Cases {
					tc.check(t, tok)
				}
			})
		}
	}, "tok_components")
}

// optionCase is a line of tok_options.
type optionCase struct {
	Text             string  `json:"text"`
	Pair             *string `json:"pair"`
	AddSpecialTokens bool    `json:"add_special_tokens"`
	Options          struct {
		Truncation *struct {
			MaxLength int    `json:"max_length"`
			Strategy  string `json:"strategy"`
			Direction string `json:"direction"`
			Stride    int    `json:"stride"`
		} `json:"truncation"`
		Padding *struct {
			Direction       string `json:"direction"`
			PadID           int32  `json:"padId"`
			PadTypeID       int32  `json:"padTypeId"`
			PadToken        string `json:"padToken"`
			MaxLength       int    `json:"maxLength"`
			PadToMultipleOf int    `json:"padToMultipleOf"`
		} `json:"padding"`
	} `json:"options"`
	Result      optionResult   `json:"result"`
	Overflowing []optionResult `json:"overflowing"`
	Error       *string        `json:"error"`
}

type optionResult struct {
	IDs       []int32  `json:"ids"`
	Tokens    []string `json:"tokens"`
	Offsets   [][2]int `json:"offsets"`
	TypeIDs   []int32  `json:"type_ids"`
	Attention []int32  `json:"attention"`
	Special   []int32  `json:"special"`
}

// sideName is the name of a side as a tokenizer.json writes it.
var sideName = map[string]string{"left": "Left", "right": "Right", "Left": "Left", "Right": "Right", "": "Right"}

func (c *optionCase) check(t *testing.T, tok *Tokenizer) {
	t.Helper()
	opt := EncodeOptions{AddSpecialTokens: c.AddSpecialTokens, Pair: c.Pair}
	if tr := c.Options.Truncation; tr != nil {
		opt.Truncation = &Truncation{MaxLength: tr.MaxLength, Strategy: tr.Strategy, Direction: sideName[tr.Direction], Stride: tr.Stride}
	}
	if p := c.Options.Padding; p != nil {
		opt.Padding = &Padding{Length: p.MaxLength, Direction: sideName[p.Direction], PadToMultipleOf: p.PadToMultipleOf, PadID: p.PadID, PadTypeID: p.PadTypeID, PadToken: p.PadToken}
	}
	e, err := tok.EncodeFull(c.Text, opt)
	if (err != nil) != (c.Error != nil) {
		t.Errorf("%q, %+v: error %v, want %v", c.Text, c.Options, err, c.Error)
	}
	if err != nil || c.Error != nil {
		return
	}
	c.checkResult(t, e, c.Result)
	if len(e.Overflow) != len(c.Overflowing) {
		t.Errorf("%q, %+v: %d windows in the overflow, want %d", c.Text, c.Options, len(e.Overflow), len(c.Overflowing))
		return
	}
	for i, want := range c.Overflowing {
		c.checkResult(t, e.Overflow[i], want)
	}
}

func (c *optionCase) checkResult(t *testing.T, e Encoding, want optionResult) {
	t.Helper()
	same(t, c.Text, "ids", e.IDs, want.IDs)
	offsets := (&tokenizerCase{Text: c.Text, Pair: c.Pair}).charOffsets(e)
	if want.Tokens != nil {
		same(t, c.Text, "tokens", e.Tokens, want.Tokens)
	}
	if want.Offsets != nil {
		same(t, c.Text, "offsets", offsets, want.Offsets)
	}
	if want.TypeIDs != nil {
		same(t, c.Text, "type ids", e.TypeIDs, want.TypeIDs)
	}
	if want.Attention != nil {
		same(t, c.Text, "attention mask", e.AttentionMask, want.Attention)
	}
	if want.Special != nil {
		same(t, c.Text, "special mask", e.SpecialMask, want.Special)
	}
}

func TestFixtureTokenizerOptions(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no cases (%v)", dir, err)
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
			t.Run(name, func(t *testing.T) {
				tok, err := LoadDir(filepath.Join(filepath.Dir(dir), "tok_"+name))
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range jsonLines[optionCase](t, file) {
					c.check(t, tok)
				}
			})
		}
	}, "tok_options")
}
