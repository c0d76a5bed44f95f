package tokenizer

// scanner returns the end of the match that begins at byte i of s; every place
// of a text has one.
type scanner func(s string, i int) int

func knownScanner(regex string) scanner { return nil }
