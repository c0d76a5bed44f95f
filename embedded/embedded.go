// Package embedded carries the models that wenmo trained itself. Importing it
// makes them known by their names to package wenmo, which then opens them
// without a file or a network:
//
//	import _ "wenmo/embedded"
//
//	m, err := wenmo.Open(ctx, embedded.Chat, wenmo.Options{})
//
// The recipes that made them lie in runs/wenmo-mini, beside the card that says
// what they are good for, what they are not, and what they were trained on.
package embedded

import (
	_ "embed"

	"wenmo"
)

// Names of the models.
const (
	Chat = "wenmo-mini" // continues texts and answers
)

//go:embed wenmo-mini.gguf
var chat []byte

func init() {
	wenmo.Register(wenmo.Builtin{Name: Chat, Data: chat})
}
