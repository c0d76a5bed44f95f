package tokenizer

import (
	"os"
	"path/filepath"
	"testing"

	"wenmo/internal/testkit"
)

// What Save writes must encode as what it was read from.
func TestFixtureTokenizerSave(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		file := filepath.Join(dir, "tokenizer.json")
		if !exists(file) {
			t.SkipNow()
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Parse(data, file)
		if err != nil {
			t.Fatal(err)
		}
		saved := filepath.Join(t.TempDir(), "tokenizer.json")
		if err := tok.Save(saved); err != nil {
			t.Fatal(err)
		}
		if data, err = os.ReadFile(saved); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(data, saved)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range jsonLines[tokenizerCase](t, filepath.Join(dir, "cases.jsonl")) {
			c.check(t, again)
		}
		twice, err := again.MarshalJSON()
		if err != nil || string(twice) != string(data) {
			t.Errorf("saving twice gives two files (%v)", err)
		}
	}, "tok_")
}
