package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
)

// inChinese runs f with the Chinese texts.
func inChinese(t *testing.T) {
	t.Helper()
	tongue = chinese
	t.Cleanup(func() { tongue = english })
}

func TestChooseTongue(t *testing.T) {
	for _, c := range []struct {
		env     map[string]string
		chinese bool
	}{
		{nil, false},
		{map[string]string{"LANG": "zh_CN.UTF-8"}, true},
		{map[string]string{"LANG": "C.UTF-8"}, false},
		{map[string]string{"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, false},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8"}, true},
		{map[string]string{"LC_MESSAGES": "zh_CN.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LC_ALL": "zh"}, true},
		{map[string]string{"LC_ALL": "zh_CN.UTF-8", "WENMO_LANG": "en"}, false},
		{map[string]string{"WENMO_LANG": "zh"}, true},
	} {
		got := chooseTongue(func(name string) string { return c.env[name] })
		if isChinese := got["root.short"] == chinese["root.short"]; isChinese != c.chinese {
			t.Errorf("%v: Chinese is %v, want %v", c.env, isChinese, c.chinese)
		}
	}
}

// Both tables have the same keys; Chinese has the keys of generation, too.
func TestSameKeys(t *testing.T) {
	params := map[string]string{}
	for _, key := range wenmo.ParamKeys() {
		params["param."+key.Name] = key.Help
	}
	for key := range chinese {
		if english[key] == "" && params[key] == "" && key != "help.wrap" {
			t.Errorf("lang_en.go has no %q", key)
		}
	}
	for _, keys := range []map[string]string{english, params} {
		for key := range keys {
			if _, ok := chinese[key]; !ok {
				t.Errorf("lang_zh.go has no %q", key)
			}
		}
	}
}

// The arguments of a text are the same, in the same order, in both languages.
func TestSameVerbs(t *testing.T) {
	verb := regexp.MustCompile(`%(\[\d\])?[.\d]*[a-z]`)
	for key, text := range english {
		want, got := verb.FindAllString(text, -1), verb.FindAllString(chinese[key], -1)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v in Chinese, %v in English", key, got, want)
		}
	}
}

// neutral are the texts that are the same in every language.
var neutral = map[string]bool{
	"bench.gflops": true, "bench.gb_per_s": true, "logits.id": true, "logits.logit": true, "logits.token": true,
	"flag.size": true, "progress.perplexity": true, "progress.amount": true, "error.flag_value": true, "help.wrap": true,
}

func hasHan(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0
}

func TestTranslated(t *testing.T) {
	for key, text := range chinese {
		if !hasHan(text) && !neutral[key] && !strings.HasSuffix(key, ".example") && key != "list.or" && key != "stats.between" {
			t.Errorf("%s is not Chinese: %q", key, text)
		}
	}
	for key, text := range english {
		if hasHan(text) && key != "welcome" && key != "root.long" && key != "eval.long" { // it names forms of poems
			t.Errorf("%s is not English: %q", key, text)
		}
	}
}

// No command and no flag is left in English, cobra's own among them.
func TestTranslatedTree(t *testing.T) {
	inChinese(t)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, text := range []string{cmd.Short, cmd.Long} {
			if !hasHan(text) {
				t.Errorf("%s: %q is not Chinese", cmd.CommandPath(), text)
			}
		}
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		cmd.InitDefaultHelpFlag() // as cobra does before it runs one
		cmd.InitDefaultVersionFlag()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !hasHan(f.Usage) && f.Name != "size" && !f.Hidden {
				t.Errorf("%s --%s: %q is not Chinese", cmd.CommandPath(), f.Name, f.Usage)
			}
			if len(f.Annotations[groupKey]) != 1 || !slices.Contains(flagGroups, f.Annotations[groupKey][0]) {
				t.Errorf("%s --%s is in no group of the help", cmd.CommandPath(), f.Name)
			}
		})
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	root := newRoot()
	root.InitDefaultHelpCmd()
	walk(root)
}

// Every key that the code names is there, and every key is named in the code:
// whole, or by its beginning or end.
func TestKeysUsed(t *testing.T) {
	literals := sourceLiterals(t, ".")
	named := func(key string) bool {
		if literals[key] {
			return true
		}
		for i := range key {
			if key[i] == '.' || key[i] == '_' {
				if literals[key[:i+1]] || literals[key[i:]] {
					return true
				}
			}
		}
		return false
	}
	for _, key := range slices.Sorted(maps.Keys(english)) {
		if !named(key) {
			t.Errorf("%q is used nowhere", key)
		}
	}
	for text := range literals {
		if regexp.MustCompile(`^(error|flag|interrupted|progress|stats|verbose|what)\.[a-z_.]*[a-z]$`).MatchString(text) && english[text] == "" {
			if _, prefix := english[text+".eos"]; !prefix {
				t.Errorf("the code names %q, which lang_en.go lacks", text)
			}
		}
	}
}

// Every text of a chat is said somewhere. That each one said is there, its
// scripts and screens show.
func TestChatKeysUsed(t *testing.T) {
	literals := sourceLiterals(t, filepath.Join("..", "..", "internal", "terminalchat"))
	for key := range english {
		name, ok := strings.CutPrefix(key, "chat.")
		if ok && !literals[name] && name != "short" && name != "long" && name != "example" {
			t.Errorf("%q is used nowhere", key)
		}
	}
}

// sourceLiterals returns the string literals of a package, tests and tables left
// out.
func sourceLiterals(t *testing.T, dir string) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	literals := map[string]bool{}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "lang_") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				literals[text] = true
			}
			return true
		})
	}
	return literals
}
