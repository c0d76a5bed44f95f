// Package embedded carries the model that wenmo trained itself. Importing it makes
// it known by its name to package wenmo, which then opens it without a file or a
// network:
//
//	import _ "wenmo/embedded"
//
//	m, err := wenmo.Open(ctx, embedded.Chat, wenmo.Options{})
//
// The recipe that made it lies in runs/wenmo-mini, beside the card that says what it
// is good for, what it is not, and what it was trained on.
package embedded

import (
	_ "embed"

	"wenmo"
)

// Chat is the name of the model that continues texts and answers.
const Chat = "wenmo-mini"

//go:embed wenmo-mini.gguf
var chat []byte

func init() {
	wenmo.Register(wenmo.Builtin{Name: Chat, Data: chat})
}
