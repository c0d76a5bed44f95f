// Package embedded carries the models that wenmo trained itself. Importing it makes
// them known by their names to package wenmo, which then opens them without a file or
// a network:
//
//	import "wenmo/embedded"
//
//	m, err := wenmo.Open(ctx, embedded.Chat, wenmo.Options{})
//
// The recipe that made them lies in runs/wenmo-mini, beside the card that says what
// they are good for, what they are not, and what they were trained on.
package embedded

import (
	_ "embed"

	"wenmo"
)

// Names of the models.
const (
	// Chat continues texts and answers.
	Chat = "wenmo-mini"
	// Moderation says what a text may harm by: hate, harassment, sexual, violence,
	// self-harm, each with a probability of its own.
	Moderation = "wenmo-mini-moderation"
	// Intent says what a sentence wants of an assistant.
	Intent = "wenmo-mini-intent"
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
