package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"wenmo"
	"wenmo/tokenizer"
)

// pieceLength is how long the pieces are that a file is encoded in, in UTF-16
// units and up to the line's end: as the peers cut it, so that counts compare.
const pieceLength = 8192

// measure encodes a file, without special tokens, and tells how fast that was.
func (e *encoding) measure(cmd *cobra.Command, tok *tokenizer.Tokenizer) error {
	data, err := os.ReadFile(e.file)
	if err != nil {
		return err
	}
	if err := checkUTF8(string(data), e.file); err != nil {
		return err
	}
	pieces := cutPieces(string(data))
	start := time.Now()
	tokens := encodePieces(tok, pieces, cmp.Or(e.threads, wenmo.DefaultThreads()))
	seconds := time.Since(start).Seconds()
	result := struct {
		Tokens  int     `json:"tokens"`
		Bytes   int     `json:"bytes"`
		Seconds float64 `json:"seconds"`
		Speed   float64 `json:"mb_per_s"`
	}{tokens, len(data), seconds, float64(len(data)) / 1e6 / max(seconds, 1e-9)}
	if e.json {
		return emitJSON(cmd, result)
	}
	return emit(cmd, say("encode.result", result.Tokens, bytesText(int64(result.Bytes)), fmt.Sprintf("%.2f", result.Seconds), fmt.Sprintf("%.1f", result.Speed)))
}

func cutPieces(text string) []string {
	var pieces []string
	for text != "" {
		units, end := 0, len(text)
		for i, r := range text {
			if units >= pieceLength {
				end = i
				break
			}
			units++
			if r > 0xffff {
				units++
			}
		}
		if line := strings.IndexByte(text[end:], '\n'); line >= 0 {
			end += line + 1
		} else {
			end = len(text)
		}
		pieces = append(pieces, text[:end])
		text = text[end:]
	}
	return pieces
}

// encodePieces encodes pieces on some threads and counts their tokens.
func encodePieces(tok *tokenizer.Tokenizer, pieces []string, threads int) int {
	var next, tokens atomic.Int64
	var wait sync.WaitGroup
	for range threads {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(pieces)); i = next.Add(1) - 1 {
				tokens.Add(int64(len(tok.Encode(pieces[i], false))))
			}
		})
	}
	wait.Wait()
	return int(tokens.Load())
}
