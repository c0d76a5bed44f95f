package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"wenmo/internal/testkit"
)

// lesson is a page of docs/learn.
type lesson struct {
	name     string       // without the language
	file     string       // its path
	commands [][][]string // lines of shell, the commands of each, their words
}

// lessons are the pages whose names end so, in their order; README is the last.
func lessons(t *testing.T, end string) (pages []lesson) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testkit.Root(), "docs", "learn", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name, ok := strings.CutSuffix(filepath.Base(file), end)
		if !ok || strings.Contains(name, ".") { // of the other language
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		page := lesson{name: name, file: file}
		for _, line := range codeLines(string(data)) {
			page.commands = append(page.commands, commandsOf(line))
		}
		pages = append(pages, page)
	}
	return pages
}

// Each lesson is there in both languages, with the same commands but for what is
// said to the model.
func TestLessonsAgree(t *testing.T) {
	english, chinese := lessons(t, ".md"), lessons(t, ".zh-CN.md")
	if len(english) != 7 || len(chinese) != len(english) {
		t.Fatalf("%d pages, and %d in Chinese", len(english), len(chinese))
	}
	sameWords := func(a, b []string) bool { return slices.EqualFunc(a, b, sameButForText) }
	for i, e := range english {
		c := chinese[i]
		if e.name != c.name {
			t.Errorf("%s stands beside %s", e.name, c.name)
		}
		if len(e.commands) == 0 || len(e.commands) != len(c.commands) {
			t.Errorf("%s has %d lines of shell, and %d in Chinese", e.name, len(e.commands), len(c.commands))
			continue
		}
		for j, line := range e.commands {
			if !slices.EqualFunc(line, c.commands[j], sameWords) {
				t.Errorf("%s: %q is in Chinese %q", e.name, line, c.commands[j])
			}
		}
	}
}

// sameButForText says that two words of a command are the same, or both texts or
// the same page.
func sameButForText(a, b string) bool {
	isText := func(word string) bool {
		return strings.ContainsFunc(word, func(r rune) bool { return r == ' ' || r > unicode.MaxASCII })
	}
	return a == strings.Replace(b, ".zh-CN.md", ".md", 1) || isText(a) && isText(b)
}

var relativeLink = regexp.MustCompile(`\]\(([^)#:]+)[^)]*\)`)

func TestLessonLinks(t *testing.T) {
	for _, page := range slices.Concat(lessons(t, ".md"), lessons(t, ".zh-CN.md")) {
		data, err := os.ReadFile(page.file)
		if err != nil {
			t.Fatal(err)
		}
		links := relativeLink.FindAllStringSubmatch(string(data), -1)
		if len(links) == 0 {
			t.Errorf("%s has no links", page.file)
		}
		for _, link := range links {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page.file), link[1])); err != nil {
				t.Errorf("%s: %v", page.file, err)
			}
		}
	}
}

// The commands of the lessons run in their order, on the model inside and without
// a network; where they train, on texts so small that it takes seconds. What they
// leave behind has the name that the lessons tell.
func TestLessonCommands(t *testing.T) {
	pages := slices.Concat(lessons(t, ".md"), lessons(t, ".zh-CN.md"))
	t.Chdir(t.TempDir())
	smallTexts(t, pages)
	env := []string{"HF_HUB_OFFLINE=1", "XDG_CACHE_HOME=" + t.TempDir()}
	ran := map[string]bool{} // much is the same in both languages
	for _, page := range pages {
		for _, line := range page.commands {
			out := ""
			for _, words := range line {
				command := strings.Join(words, " ")
				if len(line) == 1 && ran[command] {
					continue
				}
				ran[command] = true
				out = wenmoFed(t, env, out, words...)
			}
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, "learn-") && !slices.Contains([]string{"docs", "examples", "LICENSE"}, name) {
			t.Errorf("a command has left %s behind", name)
		}
	}
}

// smallTexts puts in the folder at hand what the lessons read, a little of it.
func smallTexts(t *testing.T, pages []lesson) {
	t.Helper()
	talks, err := os.ReadFile(filepath.Join(testkit.Root(), "examples", "chat.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("A boat waited for the wind. 小船在等风。\n\n", 10)
	texts := map[string]string{
		"LICENSE":             text,
		"examples/chat.jsonl": strings.Join(strings.SplitAfter(string(talks), "\n")[:4], ""),
	}
	for _, page := range pages {
		texts["docs/learn/"+filepath.Base(page.file)] = text
	}
	for name, content := range texts {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
