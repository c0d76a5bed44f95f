package main

import (
	"fmt"
	"strings"
)

// tongue holds the texts of the command in the user's language, by key.
var tongue = english

// chooseTongue picks the language: WENMO_LANG (zh or en), else the first of the
// variables of the locale that is set.
func chooseTongue(getenv func(string) string) map[string]string {
	for _, name := range []string{"WENMO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		switch value := strings.ToLower(getenv(name)); {
		case strings.HasPrefix(value, "zh"):
			return chinese
		case value != "":
			return english
		}
	}
	return english
}

// language is the code of the user's language: en or zh.
func language() string {
	if tongue["root.short"] == chinese["root.short"] {
		return "zh"
	}
	return "en"
}

// say returns the text of a key, with its arguments put in.
func say(key string, args ...any) string {
	text, ok := tongue[key]
	if !ok {
		panic("no text for " + key)
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}
