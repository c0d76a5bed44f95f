package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"wenmo/internal/testkit"
)

// Every command line in the documents and in the help texts is one that wenmo
// understands.
func TestDocumentedCommands(t *testing.T) {
	lines := map[string]string{} // by line, where it stands
	files, err := filepath.Glob(filepath.Join(testkit.Root(), "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(testkit.Root(), "README.md"), filepath.Join(testkit.Root(), "README.zh-CN.md")) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range codeLines(string(data)) {
			lines[line] = file
		}
	}
	if len(lines) == 0 {
		t.Fatal("the documents show no commands")
	}
	for _, texts := range []map[string]string{english, chinese} {
		for key, text := range texts {
			if strings.HasSuffix(key, ".example") {
				for line := range strings.Lines(text) {
					lines[strings.TrimSpace(line)] = key
				}
			}
		}
	}
	found := 0
	for line, where := range lines {
		for _, words := range commandsOf(line) {
			found++
			if err := understood(words); err != nil {
				t.Errorf("%s: %s: %v", where, line, err)
			}
		}
	}
	if found < 60 {
		t.Errorf("only %d commands were found", found)
	}
}

// codeLines returns the lines of the blocks of shell commands.
func codeLines(text string) []string {
	var lines []string
	in := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			in = !in && slices.Contains([]string{"```sh", "```console", "```bash"}, line)
			continue
		}
		if in {
			lines = append(lines, line)
		}
	}
	return lines
}

// commandsOf returns the words of each wenmo command in a line of shell.
func commandsOf(line string) [][]string {
	var commands [][]string
	var words []string
	end := func() {
		if i := slices.IndexFunc(words, func(w string) bool { return w == "wenmo" || w == "./cmd/wenmo" }); i >= 0 {
			commands = append(commands, words[i+1:])
		}
		words = nil
	}
	word, quote, inWord := "", rune(0), false
	put := func() {
		if inWord {
			words = append(words, word)
		}
		word, inWord = "", false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ':
			put()
		case strings.ContainsRune("|<>&;()", r):
			put()
			end()
		case r == '#' && !inWord:
			put()
			end()
			return commands
		default:
			word, inWord = word+string(r), true
		}
	}
	put()
	end()
	return commands
}

// understood parses a command line as cobra does, and runs nothing.
func understood(words []string) error {
	root := newRoot()
	root.InitDefaultHelpCmd()
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return flagError(cmd, err)
	}
	if cmd.Args == nil {
		cmd.Args = cobra.ArbitraryArgs
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
