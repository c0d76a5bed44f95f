package dataset

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wenmo/chat"
	"wenmo/internal/testkit"
	"wenmo/tokenizer"
)

func newChat(t testing.TB, tokName, template string, opt ChatOptions) *Chat {
	t.Helper()
	tok, c := fixtureTokenizer(t, tokName)
	if template != "" {
		c.ChatTemplate = template
		c.BOS, c.EOS = cmp.Or(c.BOS, "<|endoftext|>"), cmp.Or(c.EOS, "<|im_end|>")
	}
	s, err := NewChat(tok, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// talk makes a conversation of "role: content" lines.
func talk(turns ...string) []chat.Message {
	var out []chat.Message
	for _, turn := range turns {
		role, content, _ := strings.Cut(turn, ": ")
		out = append(out, chat.Message{Role: role, Content: content})
	}
	return out
}

// labelled returns the text of each run of tokens with a label.
func labelled(t testing.TB, tok *tokenizer.Tokenizer, s Sequence) []string {
	t.Helper()
	if len(s.Labels) != len(s.IDs) {
		t.Fatalf("%d labels of %d tokens", len(s.Labels), len(s.IDs))
	}
	var out []string
	for i := 0; i < len(s.IDs); {
		j := i
		for j < len(s.IDs) && s.Labels[j] != NoLabel {
			if s.Labels[j] != s.IDs[j] {
				t.Fatalf("label %d of token %d", s.Labels[j], s.IDs[j])
			}
			j++
		}
		if j > i {
			out = append(out, tok.Decode(s.IDs[i:j], false))
		}
		i = max(j, i+1)
	}
	return out
}

// absent stands for a template that is not here.
const absent = "absent"

func chatTemplate(t testing.TB, name string) string {
	t.Helper()
	dir, _ := testkit.Dir()
	data, err := os.ReadFile(filepath.Join(dir, "chat_templates", name+".jinja"))
	if err != nil {
		t.Logf("left out: %v", err)
		return absent
	}
	return string(data)
}

func TestChatAnswers(t *testing.T) {
	messages := talk("system: Be brief.", "user: Hi", "assistant: Hello!", "user: 你好吗？", "assistant: 我很好，谢谢。")
	thinking := talk("user: 3*4?", "assistant: 12", "user: 5*6?", "assistant: 30")
	thinking[3].ReasoningContent = "five times six"
	for _, c := range []struct {
		name, tok, template string
		messages            []chat.Message
		want                string
	}{
		{"ChatML", "tok_qwen2", "", messages, "Hello!<|im_end|>/我很好，谢谢。<|im_end|>"},
		{"ChatML without its tokens", "tok_gpt2", "", messages, "Hello!<|endoftext|>/我很好，谢谢。<|endoftext|>"},
		{"minimind", "tok_minimind", "", messages, "Hello!<|im_end|>/我很好，谢谢。<|im_end|>"},
		{"minimind with reasoning", "tok_minimind", "", thinking,
			"12<|im_end|>/five times six\n</think>\n\n30<|im_end|>"},
		{"Qwen 2.5", "tok_qwen2", chatTemplate(t, "Qwen-Qwen2.5-7B-Instruct"), messages, "Hello!<|im_end|>/我很好，谢谢。<|im_end|>"},
		{"marked by the template", "tok_qwen2", chatTemplate(t, "js-LiquidAI-LFM2.5-VL-450M"), messages, "Hello!<|im_end|>\n/我很好，谢谢。<|im_end|>\n"},
		{"marked with its header", "tok_qwen2", chatTemplate(t, "js-HuggingFaceTB-SmolLM3-3B"), talk("user: Hi", "assistant: Hello!"),
			"<|im_start|>assistant\nHello!<|im_end|>\n"},
		{"Llama 2", "tok_llama2_metaspace", chatTemplate(t, "own-llama2"), messages, "Hello! </s>/我很好，谢谢。 </s>"},
		{"Llama 2, legacy", "tok_llama2_legacy", chatTemplate(t, "own-llama2"), messages, "Hello! </s>/我很好，谢谢。 </s>"},
		{"Llama 3", "tok_llama3", chatTemplate(t, "meta-llama-Llama-3.1-8B-Instruct"), messages, "Hello!<|eot_id|>/我很好，谢谢。<|eot_id|>"},
		{"Gemma 2", "tok_gemma", chatTemplate(t, "google-gemma-2-2b-it"), messages[1:], "Hello!<end_of_turn>\n/我很好，谢谢。<end_of_turn>\n"},
		{"without special tokens", "tok_qwen2",
			"{% for m in messages %}{{ '### ' + m.role + ':\n' + m.content + '\n\n' }}{% endfor %}{% if add_generation_prompt %}### assistant:\n{% endif %}",
			talk("user: Hi", "assistant: Hello!"), "Hello!\n\n"},
	} {
		if c.template == absent || !have(t, c.tok) {
			continue
		}
		s := newChat(t, c.tok, c.template, ChatOptions{})
		seqs, _, err := s.Sequences(&Document{Messages: c.messages})
		if err != nil || len(seqs) != 1 {
			t.Errorf("%s: %d sequences, %v", c.name, len(seqs), err)
			continue
		}
		if got := strings.Join(labelled(t, s.tok, seqs[0]), "/"); got != c.want {
			t.Errorf("%s: labels on %q, want %q, of %q", c.name, got, c.want, s.tok.Decode(seqs[0].IDs, false))
		}
	}
}

func TestChatRewritingTemplate(t *testing.T) {
	template := chatTemplate(t, "Qwen-Qwen3-0.6B")
	if template == absent {
		testkit.SharedFile(t, "fixtures") // or the test is skipped
		t.Fatal("the fixtures have no such template")
	}
	doc := &Document{Messages: talk("user: Hi", "assistant: Hello!", "user: Bye", "assistant: See you."), File: "talks.jsonl", Line: 3}
	_, _, err := newChat(t, "tok_qwen2", template, ChatOptions{}).Sequences(doc)
	if err == nil || !strings.HasPrefix(err.Error(), "talks.jsonl:3: the chat template rewrites earlier turns: where message 2 ") {
		t.Errorf("error %v", err)
	}
	s := newChat(t, "tok_qwen2", template, ChatOptions{SplitTurns: true})
	seqs, cut, err := s.Sequences(doc)
	if err != nil || len(seqs) != 2 || cut != (Cut{}) {
		t.Fatalf("%d sequences, cut %v, %v", len(seqs), cut, err)
	}
	for i, want := range []string{"Hello!", "See you."} {
		if got := labelled(t, s.tok, seqs[i]); len(got) != 1 || got[0] != "<think>\n\n</think>\n\n"+want+"<|im_end|>" {
			t.Errorf("sequence %d: labels on %q", i, got)
		}
	}
}

// TestChatTemplates goes through the templates that are in use: each marks the
// whole answer, or says that it rewrites turns or does not take the
// conversation.
func TestChatTemplates(t *testing.T) {
	dir, _ := testkit.Dir()
	files, err := filepath.Glob(filepath.Join(dir, "chat_templates", "*.jinja"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	whole := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, split := range []bool{false, true} {
			s := newChat(t, "tok_qwen2", string(data), ChatOptions{SplitTurns: split})
			seqs, _, err := s.Sequences(&Document{Messages: talk("user: Hi", "assistant: Hello there", "user: 你好", "assistant: 您好您好")})
			if err != nil {
				t.Logf("%s (split %v): %v", filepath.Base(file), split, err)
				continue
			}
			var all []string
			for _, seq := range seqs {
				all = append(all, labelled(t, s.tok, seq)...)
			}
			if len(all) != 2 || !strings.Contains(all[0], "Hello there") || !strings.Contains(all[1], "您好您好") ||
				strings.Contains(strings.Join(all, ""), "Hi") || strings.Contains(all[1], "你好") {
				t.Errorf("%s (split %v): labels on %q", filepath.Base(file), split, all)
			}
			whole++
		}
	}
	if whole < len(files) {
		t.Errorf("only %d of %d runs gave labels", whole, 2*len(files))
	}
}

func TestChatTooLong(t *testing.T) {
	messages := talk("system: Be brief.", "user: Hi", "assistant: Hello!", "user: one", "user: more", "assistant: two", "user: three", "assistant: four")
	length := func(keep ...int) int {
		var some []chat.Message
		for _, i := range keep {
			some = append(some, messages[i])
		}
		s := newChat(t, "tok_qwen2", "", ChatOptions{})
		n, err := s.length(conversation{messages: some})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	all, two, one := length(0, 1, 2, 3, 4, 5, 6, 7), length(0, 3, 4, 5, 6, 7), length(0, 6, 7)
	for _, c := range []struct {
		max  int
		over Overlong
		want string
		cut  Cut
	}{
		{all, Refuse, "Hello!/two/four", Cut{}},
		{0, Refuse, "Hello!/two/four", Cut{}},
		{all - 1, Truncate, "two/four", Cut{Truncated: 1}},
		{two, Truncate, "two/four", Cut{Truncated: 1}},
		{two - 1, Truncate, "four", Cut{Truncated: 1}},
		{one, Truncate, "four", Cut{Truncated: 1}},
		{one - 1, Truncate, "", Cut{Dropped: 1}},
		{all - 1, Drop, "", Cut{Dropped: 1}},
		{all - 1, Refuse, "error", Cut{}},
	} {
		s := newChat(t, "tok_qwen2", "", ChatOptions{MaxLength: c.max, Overlong: c.over})
		seqs, cut, err := s.Sequences(&Document{Messages: messages, File: "f", Line: 1})
		got := ""
		switch {
		case err != nil:
			got = "error"
		case len(seqs) == 1:
			got = strings.ReplaceAll(strings.Join(labelled(t, s.tok, seqs[0]), "/"), "<|im_end|>", "")
			if !strings.Contains(s.tok.Decode(seqs[0].IDs, false), "Be brief.") {
				t.Errorf("max %d: the system message is gone", c.max)
			}
			if c.max > 0 && len(seqs[0].IDs) > c.max {
				t.Errorf("max %d: %d tokens", c.max, len(seqs[0].IDs))
			}
		}
		if got != c.want || cut != c.cut {
			t.Errorf("max %d, %v: %q %v (%v), want %q %v", c.max, c.over, got, cut, err, c.want, c.cut)
		}
	}
}

func TestChatErrors(t *testing.T) {
	s := newChat(t, "tok_qwen2", "", ChatOptions{})
	for _, c := range []struct {
		doc  Document
		want string
	}{
		{Document{Text: "plain"}, "d:7: no turn of the assistant"},
		{Document{Messages: talk("user: Hi")}, "d:7: no turn of the assistant"},
	} {
		c.doc.File, c.doc.Line = "d", 7
		if _, _, err := s.Sequences(&c.doc); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	bytes, err := tokenizer.ByteLevel(300)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewChat(bytes, tokenizer.Config{}, ChatOptions{}); err == nil {
		t.Error("a tokenizer that cannot end a turn passes")
	}
	raising := newChat(t, "tok_qwen2", "{{ raise_exception('roles must alternate') }}", ChatOptions{})
	if _, _, err := raising.Sequences(&Document{Messages: talk("assistant: a"), File: "d", Line: 7}); err == nil ||
		!strings.Contains(err.Error(), "roles must alternate") || !strings.HasPrefix(err.Error(), "d:7: ") {
		t.Errorf("error %v", err)
	}
}

// TestChatData decodes the labels of real conversations.
func TestChatData(t *testing.T) {
	for _, file := range []string{
		"en/sft-permissive", "en/sft-dialog-persona", "en/sft-tools-sgd", "zh/zh_sft_templates", "zh/zh_sft_wikiqa", "zh/zh_dialog_smile",
	} {
		path := testkit.SharedFile(t, "data", file+".jsonl.zst")
		for _, tokName := range []string{"tok_qwen2", "tok_minimind"} {
			s := newChat(t, tokName, "", ChatOptions{})
			rows := 0
			for doc, err := range Read(t.Context(), path, ReadOptions{}) {
				if err != nil {
					t.Fatal(err)
				}
				if rows++; rows > 40 {
					break
				}
				seqs, _, err := s.Sequences(&doc)
				if err != nil {
					t.Fatal(err)
				}
				checkAnswers(t, s.tok, doc, seqs[0])
			}
		}
	}
}

func checkAnswers(t *testing.T, tok *tokenizer.Tokenizer, doc Document, seq Sequence) {
	t.Helper()
	got := labelled(t, tok, seq)
	var want []string
	for _, m := range doc.Messages {
		if isAnswer(m) {
			want = append(want, m.Content)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s:%d: %d answers, want %d", doc.File, doc.Line, len(got), len(want))
	}
	for i, m := 0, 0; i < len(want); m++ {
		if !isAnswer(doc.Messages[m]) {
			continue
		}
		text, ended := strings.CutSuffix(got[i], "<|im_end|>")
		calls := len(doc.Messages[m].ToolCalls)
		same := strings.TrimLeft(text, "\n") == strings.TrimLeft(want[i], "\n")
		if calls > 0 {
			same = strings.HasPrefix(text, want[i]) && strings.Count(text, "</tool_call>") == calls
		}
		if !ended || !same {
			t.Fatalf("%s:%d: answer %d is labelled %q, want %q", doc.File, doc.Line, i, got[i], want[i])
		}
		i++
	}
}

func FuzzChat(f *testing.F) {
	f.Add("Hi", "Hello!", "\n你好", "<|im_end|>x")
	f.Add("", "", "", "")
	var chats []*Chat
	for _, tok := range []string{"tok_qwen2", "tok_minimind"} {
		if have(f, tok) {
			chats = append(chats, newChat(f, tok, "", ChatOptions{}))
		}
	}
	f.Fuzz(func(t *testing.T, u1, a1, u2, a2 string) {
		doc := &Document{Messages: []chat.Message{
			{Role: "user", Content: u1}, {Role: "assistant", Content: a1},
			{Role: "user", Content: u2}, {Role: "assistant", Content: a2},
		}}
		for i, s := range chats {
			seqs, _, err := s.Sequences(doc)
			if err != nil {
				if i == 0 { // ChatML takes everything
					t.Fatal(err)
				}
				continue
			}
			if labels := labelled(t, s.tok, seqs[0]); len(labels) == 0 {
				t.Fatal("no labels")
			}
		}
	})
}

func BenchmarkChat(b *testing.B) {
	s := newChat(b, "tok_minimind", "", ChatOptions{})
	doc := &Document{}
	for i := range 6 {
		doc.Messages = append(doc.Messages, talk("user: "+fmt.Sprint(i)+english, "assistant: "+chinese)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		seqs, _, err := s.Sequences(doc)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(4 * len(seqs[0].IDs)))
	}
}
