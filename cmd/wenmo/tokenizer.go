package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/embedded"
	"wenmo/internal/readfile"
	"wenmo/tokenizer"
)

func tokenizerCommand() *cobra.Command {
	return parent("tokenizer", encodeCommand(), decodeCommand(), trainCommand())
}

// tokenizerFlags say which tokenizer: a model's, or a file of its own.
type tokenizerFlags struct{ model, file string }

func (t *tokenizerFlags) register(cmd *cobra.Command) {
	addModelFlag(cmd, &t.model)
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.StringVar(&t.file, "tokenizer", "", say("flag.tokenizer")) })
}

func (t *tokenizerFlags) open(ctx context.Context) (*tokenizer.Tokenizer, error) {
	switch {
	case t.model != "" && t.file != "":
		return nil, usagef("error.two_tokenizers")
	case t.model != "":
		return openTokenizer(ctx, t.model)
	case t.file != "":
		return openTokenizer(ctx, t.file)
	}
	return openTokenizer(ctx, embedded.Chat)
}

// openTokenizer opens the tokenizer of a directory, which may hold no more than
// a vocabulary, of a file, or of a model in the cache.
func openTokenizer(ctx context.Context, name string) (*tokenizer.Tokenizer, error) {
	info, err := os.Stat(name)
	if err != nil {
		return tokenizerOfModel(ctx, name)
	}
	if info.IsDir() {
		tok, err := tokenizer.LoadDir(name)
		if gguf, _ := filepath.Glob(filepath.Join(name, "*.gguf")); errors.Is(err, tokenizer.ErrNone) && len(gguf) == 1 {
			return tokenizerOfModel(ctx, gguf[0])
		}
		return tok, err
	}
	parse := map[string]func(data []byte, name string) (*tokenizer.Tokenizer, error){
		".json": tokenizer.Parse, ".model": tokenizer.ParseSentencePiece, ".spm": tokenizer.ParseSentencePiece,
	}[filepath.Ext(name)]
	if parse == nil {
		return tokenizerOfModel(ctx, name)
	}
	data, err := readfile.Regular(name)
	if err != nil {
		return nil, err
	}
	return parse(data, name)
}

// tokenizerOfModel opens the tokenizer of a checked model.
func tokenizerOfModel(ctx context.Context, name string) (*tokenizer.Tokenizer, error) {
	report, err := wenmo.Check(ctx, name)
	if err != nil {
		return nil, err
	}
	if report.Format != "gguf" {
		return tokenizer.LoadDir(folderOf(report))
	}
	meta := make(map[string]any, len(report.Metadata))
	for _, kv := range report.Metadata {
		meta[kv.Key] = kv.Value
	}
	return tokenizer.FromGGUF(meta, report.Path)
}

func encodeCommand() *cobra.Command {
	var t tokenizerFlags
	var e encoding
	cmd := describe(&cobra.Command{Use: "encode [-m MODEL] [TEXT]", Args: arguments(1, "TEXT")}, "encode")
	addFlag(cmd, "input", func(f *pflag.FlagSet) {
		f.StringVar(&e.file, "file", "", say("flag.encode_file"))
		f.BoolVar(&e.plain, "no-special-tokens", false, say("flag.no_special_tokens"))
	})
	t.register(cmd)
	addThreads(cmd, &e.threads)
	addFlag(cmd, "output", func(f *pflag.FlagSet) { f.BoolVar(&e.json, "json", false, say("flag.encode_json")) })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tok, err := t.open(cmd.Context())
		if err != nil {
			return err
		}
		return e.run(cmd, tok, args)
	}
	return cmd
}

// encoding is the command that turns texts into ids.
type encoding struct {
	file        string
	plain, json bool // plain: no special tokens
	threads     int
}

func (e *encoding) run(cmd *cobra.Command, tok *tokenizer.Tokenizer, args []string) error {
	switch {
	case e.file != "" && len(args) > 0:
		return usagef("error.text_and_file")
	case e.file != "":
		return e.measure(cmd, tok)
	case e.json && len(args) > 0:
		return e.printJSON(cmd, tok, args[0])
	case e.json:
		return eachLine(cmd, func(line []byte) error {
			var text *string
			if err := json.Unmarshal(line, &text); err != nil || text == nil {
				return errors.New(say("error.json_string"))
			}
			if err := checkUTF8(string(line), say("what.text")); err != nil {
				return err
			}
			return e.printJSON(cmd, tok, *text)
		})
	}
	p := prompt{}
	if err := p.read(cmd, args); err != nil {
		return err
	}
	return emit(cmd, joinIDs(tok.Encode(p.text, !e.plain)))
}

func (e *encoding) printJSON(cmd *cobra.Command, tok *tokenizer.Tokenizer, text string) error {
	full, err := tok.EncodeFull(text, tokenizer.EncodeOptions{AddSpecialTokens: !e.plain})
	if err != nil {
		return err
	}
	// A list at a time, and the elements of a long one in parts: the text of all
	// would take many times the memory of the encoding.
	w := bufio.NewWriter(cmd.OutOrStdout())
	_, _ = w.WriteString(`{"ids":`) // a failure is Flush's
	err = errors.Join(writeList(w, full.IDs), err)
	_, _ = w.WriteString(`,"tokens":`)
	err = errors.Join(writeList(w, full.Tokens), err)
	_, _ = w.WriteString(`,"offsets":`)
	err = errors.Join(writeList(w, full.Offsets), err)
	_, _ = w.WriteString("}\n")
	return errors.Join(err, w.Flush())
}

// writeList writes a list as JSON, some elements at a time.
func writeList[T any](w *bufio.Writer, list []T) error {
	const part = 1 << 12
	_ = w.WriteByte('[')
	for from := 0; from < len(list); from += part {
		text, err := lineJSON(list[from:min(from+part, len(list))])
		if err != nil {
			return err
		}
		if from > 0 {
			_ = w.WriteByte(',')
		}
		_, _ = w.Write(text[1 : len(text)-1])
	}
	return w.WriteByte(']')
}

// eachLine calls f for each line of standard input that is not empty; its error
// is told with the number of the line.
func eachLine(cmd *cobra.Command, f func(line []byte) error) error {
	in := bufio.NewReader(cmd.InOrStdin())
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := f(line); err != nil {
				return fmt.Errorf(say("error.line"), n, err)
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

func decodeCommand() *cobra.Command {
	var t tokenizerFlags
	var plain, asJSON bool
	cmd := describe(&cobra.Command{Use: "decode [-m MODEL] [IDS]", Args: arguments(1, "IDS")}, "decode")
	t.register(cmd)
	addFlag(cmd, "output", func(f *pflag.FlagSet) {
		f.BoolVar(&plain, "no-special-tokens", false, say("flag.decode_no_special_tokens"))
		f.BoolVar(&asJSON, "json", false, say("flag.decode_json"))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tok, err := t.open(cmd.Context())
		if err != nil {
			return err
		}
		decode := func(ids []int32) error {
			for _, id := range ids {
				if _, ok := tok.Token(id); !ok {
					return errors.New(say("error.ids_range", id, tok.VocabSize()))
				}
			}
			text := tok.Decode(ids, plain)
			if asJSON {
				return emitJSON(cmd, text)
			}
			return emit(cmd, text)
		}
		if len(args) > 0 {
			ids, err := parseIDs(args[0])
			if err != nil {
				return &usageError{err.Error()}
			}
			return decode(ids)
		}
		return eachLine(cmd, func(line []byte) error {
			ids, err := idsOfLine(line)
			if err != nil {
				return err
			}
			return decode(ids)
		})
	}
	return cmd
}

// idsOfLine reads what encode prints, {"ids":[1,2]} or 1,2, or [1,2].
func idsOfLine(line []byte) ([]int32, error) {
	var ids []int32
	switch line[0] {
	case '{':
		var object struct {
			IDs *[]int32 `json:"ids"`
		}
		if json.Unmarshal(line, &object) != nil || object.IDs == nil {
			return nil, errors.New(say("error.json_ids"))
		}
		return *object.IDs, nil
	case '[':
		if json.Unmarshal(line, &ids) != nil {
			return nil, errors.New(say("error.json_ids"))
		}
		return ids, nil
	}
	return parseIDs(string(line))
}

func parseIDs(text string) (ids []int32, err error) {
	err = idList{&ids}.Set(text)
	return ids, err
}
