package terminalchat

import (
	"strings"

	"wenmo/internal/progress"
)

var lineEnds = strings.NewReplacer("\r\n", "\n", "\t", "    ")

// clean makes a message, or an answer, fit for the screen: tabs, which would break
// its lines' widths, become spaces.
func clean(text string) string { return progress.Tame(lineEnds.Replace(text)) }
