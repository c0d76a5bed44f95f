package main

import (
	"encoding/json"
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
	var files []string
	for _, pages := range []string{"*.md", "docs/*.md", "docs/learn/*.md"} {
		found, err := filepath.Glob(filepath.Join(testkit.Root(), filepath.FromSlash(pages)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
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
	if found < 150 {
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

// The four commands of the READMEs make a model that answers, as they stand, on
// a text so small that they take seconds; they are the same in both languages but
// for what is said to the model.
func TestReadmeTraining(t *testing.T) {
	commands := trainingCommands(t, "README.md")
	other := trainingCommands(t, "README.zh-CN.md")
	if len(commands) != 4 || !slices.EqualFunc(commands[:3], other[:3], slices.Equal) {
		t.Fatalf("the commands are\n%q, in Chinese\n%q", commands, other)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	talks, err := os.ReadFile(filepath.Join(testkit.Root(), "examples", "chat.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	few := strings.Join(strings.SplitAfter(string(talks), "\n")[:8], "")
	text := strings.Repeat("A boat waited for the wind. In the evening the wind came.\n\n小船在等风。傍晚风来了。\n\n", 30)
	if err := os.Mkdir("examples", 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"my.txt": text, "examples/chat.jsonl": few} {
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, words := range commands {
		wenmoOutput(t, nil, words...)
	}
	wenmoOutput(t, nil, other[3]...)
	for _, dir := range []string{"my-model", "my-chat"} {
		if losses := lossesOf(t, dir); losses[len(losses)-1] > 0.9*losses[0] {
			t.Errorf("%s: the loss went from %v to %v", dir, losses[0], losses[len(losses)-1])
		}
	}
	for _, name := range []string{"my-model/README.md", "my-model/report.html", "my-model/run.toml", "my-chat/model.safetensors"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	// Every line of the talks is one that can be trained on.
	for i, line := range strings.Split(strings.TrimSpace(string(talks)), "\n") {
		var talk struct {
			Messages []struct{ Role, Content string }
		}
		if err := json.Unmarshal([]byte(line), &talk); err != nil || len(talk.Messages)%2 != 0 || len(talk.Messages) == 0 {
			t.Errorf("line %d: %d messages, %v", i+1, len(talk.Messages), err)
		}
	}
}

// lossesOf are the losses of the steps of a run.
func lossesOf(t *testing.T, dir string) (losses []float64) {
	t.Helper()
	for line := range strings.Lines(string(contents(t, dir, "metrics.jsonl"))) {
		var step struct{ Loss *float64 }
		if err := json.Unmarshal([]byte(line), &step); err != nil {
			t.Fatal(err)
		}
		if step.Loss != nil {
			losses = append(losses, *step.Loss)
		}
	}
	if len(losses) == 0 {
		t.Fatalf("%s: no step is noted", dir)
	}
	return losses
}

// trainingCommands are the commands of the block that begins with my.txt.
func trainingCommands(t *testing.T, name string) (commands [][]string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testkit.Root(), name))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "```sh\nwenmo tokenizer train --file my.txt")
	block, _, _ := strings.Cut("wenmo tokenizer train --file my.txt"+rest, "```")
	for line := range strings.Lines(block) {
		commands = append(commands, commandsOf(strings.TrimSpace(line))...)
	}
	return commands
}
