package wenmo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wenmo/chat"
)

// TestPromptKnowsToday: a template that writes the date writes today's.
func TestPromptKnowsToday(t *testing.T) {
	dir := smallModel(t)
	writeFile(t, filepath.Join(dir, "chat_template.jinja"), `{{ strftime_now("%Y") }}`)
	m, err := Open(t.Context(), dir, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before := time.Now().Format("2006")
	ids, err := m.Prompt([]chat.Message{{Role: "user", Content: "Hi"}})
	if got, after := m.Tokenizer().Decode(ids, false), time.Now().Format("2006"); err != nil || got != before && got != after {
		t.Errorf("%q, %v, want %s", got, err, after)
	}
}

// TestAdapterSides: a chat template and generation settings beside an adapter go
// over those of its base, also into what it is converted to.
func TestAdapterSides(t *testing.T) {
	base, adapter := smallModel(t), t.TempDir()
	writeFile(t, filepath.Join(base, "chat_template.jinja"), "base")
	writeFile(t, filepath.Join(base, "generation_config.json"), `{"top_k": 7, "eos_token_id": 3}`)
	writeFile(t, filepath.Join(adapter, "chat_template.jinja"), "adapter")
	writeFile(t, filepath.Join(adapter, "generation_config.json"), `{"eos_token_id": [4, 5]}`)
	s, err := openSource(base)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.adapterDir = adapter
	_, c, err := s.tokenizer()
	if err != nil || c.ChatTemplate != "adapter" {
		t.Errorf("template %q, %v", c.ChatTemplate, err)
	}
	p, err := s.params()
	if err != nil || p.TopK != 7 || len(p.EOSTokenID) != 2 {
		t.Errorf("top_k %d, eos %v, %v", p.TopK, p.EOSTokenID, err)
	}
	writeFile(t, filepath.Join(adapter, "generation_config.json"), `[]`)
	if _, err := s.params(); err == nil || !strings.Contains(err.Error(), filepath.Join(adapter, "generation_config.json")) {
		t.Errorf("error %v", err)
	}
}

// TestBracketInPath: a folder's name is no pattern.
func TestBracketInPath(t *testing.T) {
	for _, name := range []string{"model[1", "model[v1]"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(dir, os.DirFS(smallModel(t))); err != nil {
			t.Fatal(err)
		}
		more := filepath.Join(dir, "additional_chat_templates")
		if err := os.Mkdir(more, 0o777); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(more, "rag.jinja"), "of it")
		s, err := openSource(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, c, err := s.tokenizer()
		if err != nil || c.NamedTemplates["rag"] != "of it" {
			t.Errorf("%s: %v, %v", name, c.NamedTemplates, err)
		}
		s.close()
		copied := filepath.Join(t.TempDir(), "copy")
		if err := Convert(t.Context(), dir, copied, ConvertOptions{}); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(filepath.Join(copied, "additional_chat_templates", "rag.jinja")); err != nil || string(data) != "of it" {
			t.Errorf("%s, converted: %q, %v", name, data, err)
		}
	}
}

// TestBrokenFolderOfBuiltin: what a killed process has left of a model that
// travels inside the program is no model.
func TestBrokenFolderOfBuiltin(t *testing.T) {
	packed := filepath.Join(t.TempDir(), "x.gguf")
	if err := Convert(t.Context(), smallModel(t), packed, ConvertOptions{Packed: true}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	builtins = append(builtins, Builtin{"test-builtin", data})
	t.Cleanup(func() { builtins = builtins[:len(builtins)-1] })
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	dir, err := folderOf(t.Context(), "test-builtin")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, ".wenmo-1.part"), 0o777); err != nil {
		t.Fatal(err)
	}
	again, err := folderOf(t.Context(), "test-builtin")
	if err != nil || again != dir || !exists(filepath.Join(dir, "config.json")) {
		t.Errorf("%s, %v", again, err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
