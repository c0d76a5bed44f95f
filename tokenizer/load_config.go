package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Config is what stands beside a vocabulary: the names of special tokens, ""
// where there is none, and chat templates.
type Config struct {
	BOS, EOS, UNK, SEP, PAD, CLS, MASK string
	// AdditionalSpecial are special tokens without a role of their own.
	AdditionalSpecial []string
	// ChatTemplate is the default template, NamedTemplates are others by name
	// ("tool_use", "rag").
	ChatTemplate   string
	NamedTemplates map[string]string
	// MaxLength is model_max_length in tokens; 0: not given.
	MaxLength int
}

// LoadConfig reads tokenizer_config.json, special_tokens_map.json and the files
// of chat templates in a directory. Files that are not there say nothing.
func LoadConfig(dir string) (Config, error) {
	d, err := openModelDir(dir)
	if err == nil {
		err = d.readConfig()
	}
	if err != nil {
		return Config{}, err
	}
	f := &d.config
	c := Config{
		BOS: f.BOS.Content, EOS: f.EOS.Content, UNK: f.UNK.Content, SEP: f.SEP.Content,
		PAD: f.PAD.Content, CLS: f.CLS.Content, MASK: f.MASK.Content,
	}
	for _, t := range f.Additional {
		c.AdditionalSpecial = append(c.AdditionalSpecial, t.Content)
	}
	if n := f.MaxLength; n >= 1 && n < math.MaxInt32 { // 1e30 stands for no limit
		c.MaxLength = int(n)
	}
	return c, d.chatTemplates(&c)
}

// configFile is tokenizer_config.json with what special_tokens_map.json and
// added_tokens.json add to it.
type configFile struct {
	Class     string  `json:"tokenizer_class"`
	MaxLength float64 `json:"model_max_length"`
	specialTokens

	// By id, in digits.
	AddedTokens  map[string]configToken `json:"added_tokens_decoder"`
	ChatTemplate json.RawMessage        `json:"chat_template"`

	// Settings of single classes; nil: the default of the class.
	AddPrefixSpace       *bool `json:"add_prefix_space"`
	AddBOS               *bool `json:"add_bos_token"`
	AddEOS               *bool `json:"add_eos_token"`
	Legacy               *bool `json:"legacy"`
	DoLowerCase          *bool `json:"do_lower_case"`
	TokenizeChineseChars *bool `json:"tokenize_chinese_chars"`
	StripAccents         *bool `json:"strip_accents"`
	ExtraIDs             *int  `json:"extra_ids"`

	byContent map[string]int32 // added_tokens.json
	given     bool             // there is a tokenizer_config.json
}

// specialTokens are the fields that tokenizer_config.json and
// special_tokens_map.json share.
type specialTokens struct {
	BOS        configToken   `json:"bos_token"`
	EOS        configToken   `json:"eos_token"`
	UNK        configToken   `json:"unk_token"`
	SEP        configToken   `json:"sep_token"`
	PAD        configToken   `json:"pad_token"`
	CLS        configToken   `json:"cls_token"`
	MASK       configToken   `json:"mask_token"`
	Additional []configToken `json:"additional_special_tokens"`
}

func (s *specialTokens) roles() []*configToken {
	return []*configToken{&s.BOS, &s.EOS, &s.UNK, &s.SEP, &s.PAD, &s.CLS, &s.MASK}
}

// configToken is a token as a config gives it: its name, or an AddedToken.
type configToken struct {
	AddedToken
	detailed bool // as an AddedToken
}

func (t *configToken) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		*t = configToken{}
		return json.Unmarshal(b, &t.Content)
	}
	*t = configToken{detailed: true}
	t.Normalized = true
	return json.Unmarshal(b, &t.AddedToken)
}

func (d *modelDir) readConfig() error {
	f := &d.config
	f.given = d.has("tokenizer_config.json")
	if err := d.readJSON("tokenizer_config.json", f); err != nil {
		return err
	}
	f.Class = strings.TrimSuffix(f.Class, "Fast")
	var special specialTokens
	if err := d.readJSON("special_tokens_map.json", &special); err != nil {
		return err
	}
	into := f.roles()
	for i, t := range special.roles() {
		if t.Content != "" && (len(f.AddedTokens) == 0 || into[i].Content == "") {
			*into[i] = *t
		}
	}
	if len(f.Additional) == 0 {
		f.Additional = special.Additional
	}
	return d.readJSON("added_tokens.json", &f.byContent)
}

// readJSON reads a file that may be missing.
func (d *modelDir) readJSON(name string, into any) error {
	if !d.has(name) {
		return nil
	}
	data, err := d.read(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", d.path(name), err)
	}
	return nil
}

// addedTokens returns the added tokens of added_tokens_decoder, or of the
// special tokens and added_tokens.json, by ascending id. Those without an id
// get the next ones after the vocabulary, in their order. normalized says
// whether a special token given by its name alone is looked for in the
// normalized text.
func (f *configFile) addedTokens(x *vocabIndex, normalized bool) ([]AddedToken, error) {
	byID := map[int32]AddedToken{}
	for digits, t := range f.AddedTokens {
		id, err := strconv.ParseInt(digits, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("added_tokens_decoder: id %s is no number", shorten(digits))
		}
		t.ID = int32(id)
		byID[t.ID] = t.AddedToken
	}
	if len(byID) == 0 {
		for content, id := range f.byContent {
			byID[id] = AddedToken{ID: id, Content: content, Normalized: true}
		}
	}
	ids := map[string]int32{}
	next := int32(len(x.tokens))
	for id, t := range byID {
		ids[t.Content] = id
		next = max(next, id+1)
	}
	for _, t := range f.special() {
		id, known := ids[t.Content]
		if known && len(f.AddedTokens) > 0 {
			continue
		}
		if !known {
			if id = x.id(t.Content); id < 0 {
				id = next
				next++
			}
			ids[t.Content] = id
		}
		if !t.detailed {
			t.Normalized = normalized
		}
		t.ID, t.Special = id, true
		byID[id] = t.AddedToken
	}
	list := make([]AddedToken, 0, len(byID))
	for _, t := range byID {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b AddedToken) int { return int(a.ID) - int(b.ID) })
	return list, nil
}

// special returns the special tokens, each once.
func (f *configFile) special() []configToken {
	var list []configToken
	seen := map[string]bool{"": true}
	for _, t := range f.roles() {
		if !seen[t.Content] {
			seen[t.Content] = true
			list = append(list, *t)
		}
	}
	for _, t := range f.Additional {
		if !seen[t.Content] {
			seen[t.Content] = true
			list = append(list, t)
		}
	}
	return list
}

// otherwise fills in tokens that the config does not name.
func (f *configFile) otherwise(bos, eos, unk, sep, pad, cls, mask string) {
	for i, name := range []string{bos, eos, unk, sep, pad, cls, mask} {
		if t := f.roles()[i]; t.Content == "" {
			t.Content = name
		}
	}
}

// chatTemplates reads the templates of tokenizer_config.json (one, or a list
// with names) and of files, which come first.
func (d *modelDir) chatTemplates(c *Config) error {
	c.NamedTemplates = map[string]string{}
	if raw := d.config.ChatTemplate; len(raw) > 0 {
		if err := parseTemplates(raw, c); err != nil {
			return fmt.Errorf("%s: chat_template: %w", d.path("tokenizer_config.json"), err)
		}
	}
	var file struct {
		ChatTemplate json.RawMessage `json:"chat_template"`
	}
	if err := d.readJSON("chat_template.json", &file); err != nil {
		return err
	}
	if len(file.ChatTemplate) > 0 {
		if err := parseTemplates(file.ChatTemplate, c); err != nil {
			return fmt.Errorf("%s: %w", d.path("chat_template.json"), err)
		}
	}
	if d.has("chat_template.jinja") {
		text, err := d.read("chat_template.jinja")
		if err != nil {
			return err
		}
		c.ChatTemplate = string(text)
	}
	const folder = "additional_chat_templates"
	more, err := os.ReadDir(d.path(folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range more {
		name, ok := strings.CutSuffix(e.Name(), ".jinja")
		if !ok {
			continue
		}
		text, err := d.read(folder + "/" + e.Name())
		if err != nil {
			return err
		}
		c.NamedTemplates[name] = string(text)
	}
	return nil
}

func parseTemplates(raw json.RawMessage, c *Config) error {
	var list []struct{ Name, Template string }
	if raw[0] != '[' {
		return json.Unmarshal(raw, &c.ChatTemplate)
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	for _, t := range list {
		if t.Name == "default" {
			c.ChatTemplate = t.Template
		} else {
			c.NamedTemplates[t.Name] = t.Template
		}
	}
	return nil
}
