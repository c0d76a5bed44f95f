package chat

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"wenmo/internal/testkit"
)

// fixtureCase is a row of chat_templates.jsonl.
type fixtureCase struct {
	Name         string          `json:"name"`
	TemplateFile string          `json:"template_file"`
	Template     *string         `json:"template"`
	Messages     json.RawMessage `json:"messages"`
	Tools        json.RawMessage `json:"tools"`
	Documents    json.RawMessage `json:"documents"`
	Generation   bool            `json:"add_generation_prompt"`
	Kwargs       json.RawMessage `json:"kwargs"`
	BOS          *string         `json:"bos_token"`
	EOS          *string         `json:"eos_token"`
	Now          string          `json:"now"`
	Expected     *string         `json:"expected"`
	Error        *string         `json:"error"`
	ErrorKind    string          `json:"error_kind"`
}

// TestFixtureChat renders every case, once from plain JSON values and once, if
// its messages are such as the API knows, from Messages.
func TestFixtureChat(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		dir := path
		if _, err := os.Stat(path + ".jsonl"); errors.Is(err, os.ErrNotExist) {
			path = filepath.Join(path, filepath.Base(path))
		}
		f, err := os.Open(path + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 16<<20)
		n := 0
		for lines.Scan() {
			var c fixtureCase
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			n++
			t.Run(c.Name, func(t *testing.T) { c.run(t, dir) })
		}
		if err := lines.Err(); err != nil || n == 0 {
			t.Fatalf("read %d cases: %v", n, err)
		}
	}, "chat_templates")
}

func (c *fixtureCase) run(t *testing.T, dir string) {
	source := ""
	if c.Template != nil {
		source = *c.Template
	} else {
		data, err := os.ReadFile(filepath.Join(dir, c.TemplateFile))
		if err != nil {
			t.Fatal(err)
		}
		source = string(data)
	}
	now, err := time.Parse("2006-01-02T15:04:05", c.Now)
	if err != nil && c.Now != "" {
		t.Fatal(err)
	}
	tmpl, err := Parse(source, c.Name)
	if err != nil {
		c.check(t, "", err)
		return
	}
	got, err := tmpl.RenderValues(c.values(t), now)
	c.check(t, got, err)

	in := Input{AddGenerationPrompt: c.Generation, Now: now, Kwargs: map[string]any{}}
	for _, part := range []struct {
		data json.RawMessage
		into any
	}{{c.Messages, &in.Messages}, {c.Tools, &in.Tools}, {c.Documents, &in.Documents}} {
		if part.data != nil && json.Unmarshal(part.data, part.into) != nil {
			return // such as no server would accept
		}
	}
	for k, v := range fixtureValue(t, c.Kwargs).(*Dict).All() {
		in.Kwargs[k] = v
	}
	if c.BOS != nil {
		in.Kwargs["bos_token"] = *c.BOS
	}
	if c.EOS != nil {
		in.Kwargs["eos_token"] = *c.EOS
	}
	got, err = tmpl.Render(in)
	c.check(t, got, err)
}

func (c *fixtureCase) values(t *testing.T) *Dict {
	vars := NewDict("messages", fixtureValue(t, c.Messages), "tools", nil, "documents", nil,
		"add_generation_prompt", c.Generation)
	if c.Tools != nil {
		vars.Set("tools", fixtureValue(t, c.Tools))
	}
	if c.Documents != nil {
		vars.Set("documents", fixtureValue(t, c.Documents))
	}
	if c.BOS != nil {
		vars.Set("bos_token", *c.BOS)
	}
	if c.EOS != nil {
		vars.Set("eos_token", *c.EOS)
	}
	for k, v := range fixtureValue(t, c.Kwargs).(*Dict).All() {
		vars.Set(k, v)
	}
	return vars
}

func fixtureValue(t *testing.T, data json.RawMessage) Value {
	t.Helper()
	if data == nil || string(data) == "null" {
		return &Dict{}
	}
	v, err := ParseJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (c *fixtureCase) check(t *testing.T, got string, err error) {
	t.Helper()
	if c.Expected != nil {
		if err != nil {
			t.Fatalf("error: %v\nwant text %q", err, *c.Expected)
		}
		if got != *c.Expected {
			t.Fatalf("got  %q\nwant %q", got, *c.Expected)
		}
		return
	}
	if err == nil {
		t.Fatalf("got %q, want an error of kind %s", got, c.ErrorKind)
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got an error that is no *Error: %v", err)
	}
	if c.ErrorKind == "raised" && c.Error != nil && (e.Kind != Raised || e.Message != *c.Error) {
		t.Fatalf("got error %q of kind %d, want it raised: %q", e.Message, e.Kind, *c.Error)
	}
}
