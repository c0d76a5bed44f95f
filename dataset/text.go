package dataset

import "strings"

// readText reads a record of a text file.
func readText(rec record) (Document, error) {
	text := string(rec.data)
	if strings.Contains(text, "\r\n") {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	return Document{Text: text}, nil
}
