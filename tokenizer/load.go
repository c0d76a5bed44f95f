package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"wenmo/internal/readfile"
)

// ErrNone is the error of a directory that holds no vocabulary.
var ErrNone = errors.New("no tokenizer: none of tokenizer.json, vocab.json with merges.txt, vocab.txt, " +
	"a SentencePiece model (.model, .spm), a .tiktoken")

// LoadDir opens the tokenizer of a directory, which may hold no more than a
// vocabulary: tokenizer.json where there is one; else vocab.json with
// merges.txt (GPT-2, RoBERTa, Qwen2), Marian's source.spm with vocab.json,
// vocab.txt (BERT), a SentencePiece model or a .tiktoken. What these files do
// not say is taken from tokenizer_config.json and its companions as
// transformers does it. A SentencePiece model without tokenizer_config.json is
// run as it is (see ParseSentencePiece). ErrNone tells that there is nothing.
func LoadDir(dir string) (*Tokenizer, error) {
	d, err := openModelDir(dir)
	if err != nil {
		return nil, err
	}
	if d.has("tokenizer.json") {
		data, err := d.read("tokenizer.json")
		if err != nil {
			return nil, err
		}
		return Parse(data, d.path("tokenizer.json"))
	}
	if err := d.readConfig(); err != nil {
		return nil, err
	}
	model, err := d.sentencePiece()
	switch {
	case err != nil:
		return nil, err
	case d.has("source.spm") && d.has("vocab.json"):
		return d.loadMarian("source.spm", "target.spm")
	case d.has("vocab.json") && d.has("merges.txt"):
		return d.loadBPE()
	case d.has("vocab.txt"):
		return d.loadWordPiece()
	case model != "":
		return d.loadSentencePiece(model)
	}
	ranks, err := d.only(".tiktoken")
	if err != nil {
		return nil, err
	}
	if ranks != "" {
		return d.loadTiktoken(ranks)
	}
	return nil, fmt.Errorf("%s: %w", dir, ErrNone)
}

// LoadTargetDir opens the tokenizer of the language that the model of a
// directory translates into: of Marian's pair of models target.spm.
func LoadTargetDir(dir string) (*Tokenizer, error) {
	d, err := openModelDir(dir)
	if err != nil {
		return nil, err
	}
	if !d.has("target.spm") || !d.has("vocab.json") {
		return nil, fmt.Errorf("%s: no target.spm with vocab.json", dir)
	}
	if err := d.readConfig(); err != nil {
		return nil, err
	}
	return d.loadMarian("target.spm", "target.spm")
}

// modelDir is a directory with the files of a tokenizer.
type modelDir struct {
	dir    string
	names  []string // of its files, sorted
	config configFile
}

func openModelDir(dir string) (*modelDir, error) {
	d := &modelDir{dir: dir}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		d.names = append(d.names, e.Name())
	}
	return d, nil
}

func (d *modelDir) path(name string) string { return filepath.Join(d.dir, name) }

func (d *modelDir) has(name string) bool {
	for _, n := range d.names {
		if n == name {
			return true
		}
	}
	return false
}

func (d *modelDir) read(name string) ([]byte, error) {
	data, err := readfile.Regular(d.path(name))
	var p *fs.PathError
	if errors.As(err, &p) {
		return nil, fmt.Errorf("%s: %w", d.path(name), p.Err)
	}
	return data, err
}

// only returns the one file with an ending; "" if there is none.
func (d *modelDir) only(ending string) (string, error) {
	found := ""
	for _, n := range d.names {
		if !strings.HasSuffix(n, ending) {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("%s: which is the vocabulary, %s or %s?", d.dir, found, n)
		}
		found = n
	}
	return found, nil
}

// sentencePiece returns the file with a SentencePiece model; "" if there is
// none.
func (d *modelDir) sentencePiece() (string, error) {
	for _, name := range []string{"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"} {
		if d.has(name) {
			return name, nil
		}
	}
	if d.has("source.spm") {
		return "", nil // Marian's
	}
	name, err := d.only(".model")
	if err != nil || name != "" {
		return name, err
	}
	return d.only(".spm")
}

// failed names the file in an error.
func (d *modelDir) failed(name string, err error) (*Tokenizer, error) {
	return nil, fmt.Errorf("%s: %w", d.path(name), err)
}

// lines cuts a file into lines; the last one may lack its end.
func lines(data []byte) []string {
	data = bytes.TrimSuffix(data, []byte("\n"))
	if len(data) == 0 {
		return nil
	}
	all := strings.Split(string(data), "\n")
	for i, l := range all {
		all[i] = strings.TrimSuffix(l, "\r")
	}
	return all
}
