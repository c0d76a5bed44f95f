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
	Chat       = "wenmo-mini"            // continues texts and answers
	Moderation = "wenmo-mini-moderation" // finds harmful content
	Intent     = "wenmo-mini-intent"     // finds what a user wants of an assistant
)

var (
	//go:embed wenmo-mini.gguf
	chat []byte
	//go:embed wenmo-mini-moderation.gguf
	moderation []byte
	//go:embed wenmo-mini-intent.gguf
	intent []byte
)

func init() {
	wenmo.Register(wenmo.Builtin{Name: Chat, Data: chat})
	wenmo.Register(wenmo.Builtin{Name: Moderation, Data: moderation})
	wenmo.Register(wenmo.Builtin{Name: Intent, Data: intent})
}
