package chat

import (
	"encoding/json"
	"testing"
)

func dictJSON(t *testing.T, d *Dict) string {
	t.Helper()
	b, err := d.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMessageDict(t *testing.T) {
	for _, c := range []struct {
		m    Message
		want string
	}{
		{Message{Role: "user", Content: "Hi"}, `{"role":"user","content":"Hi"}`},
		{Message{Role: "assistant"}, `{"role":"assistant","content":""}`},
		{Message{Role: "user", Parts: []*Dict{TextPart("看"), NewDict("type", "image")}},
			`{"role":"user","content":[{"type":"text","text":"看"},{"type":"image"}]}`},
		{Message{Role: "assistant", Content: "c", ReasoningContent: "r",
			ToolCalls: []ToolCall{{ID: "1", Name: "f", Arguments: NewDict("a", int64(1))}}, Name: "n", Extra: NewDict("x", true)},
			`{"role":"assistant","content":"c","reasoning_content":"r","tool_calls":[{"id":"1","type":"function",` +
				`"function":{"name":"f","arguments":{"a":1}}}],"name":"n","x":true}`},
		{Message{Role: "tool", Content: "21", ToolCallID: "1"}, `{"role":"tool","content":"21","tool_call_id":"1"}`},
	} {
		if got := dictJSON(t, c.m.Dict()); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestMessageChanged: what was decoded keeps its order and unknown keys, and
// shows the changes made since.
func TestMessageChanged(t *testing.T) {
	const given = `{"x":1,"content":"Hi","role":"user","name":null,"tool_calls":[{"function":{"arguments":"{\"a\": 1}","name":"f"},"k":2}]}`
	for _, c := range []struct {
		name   string
		change func(m *Message)
		want   string
	}{
		{"nothing", func(m *Message) {}, given},
		{"content", func(m *Message) { m.Content = "Bye" },
			`{"x":1,"content":"Bye","role":"user","name":null,"tool_calls":[{"function":{"arguments":"{\"a\": 1}","name":"f"},"k":2}]}`},
		{"arguments", func(m *Message) { m.ToolCalls[0].Arguments = NewDict("a", int64(1)) },
			`{"x":1,"content":"Hi","role":"user","name":null,"tool_calls":[{"function":{"arguments":{"a":1},"name":"f"},"k":2}]}`},
		{"parts and a name, no role, no calls", func(m *Message) {
			m.Parts, m.Role, m.Name, m.ToolCalls = []*Dict{}, "", "n", m.ToolCalls[:0]
		}, `{"x":1,"content":[],"name":"n"}`},
	} {
		var m Message
		if err := json.Unmarshal([]byte(given), &m); err != nil {
			t.Fatal(err)
		}
		c.change(&m)
		if got := dictJSON(t, m.Dict()); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestMessageErrors(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{`[]`, "message: want a JSON object, found list"},
		{`{"role":5}`, "message: role: want a string, found int"},
		{`{"content":{}}`, "content: want a string, found dict"},
		{`{"content":["a"]}`, "content[0]: want an object, found str"},
		{`{"tool_calls":{}}`, "message: tool_calls: want a list, found dict"},
		{`{"tool_calls":[{"function":1}]}`, "message: tool_calls: function: want an object, found int"},
	} {
		err := json.Unmarshal([]byte(c.json), new(Message))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.json, err, c.want)
		}
	}
	m := Message{Parts: []*Dict{TextPart("你"), NewDict("type", "image"), TextPart("好")}}
	if m.Text() != "你好" {
		t.Errorf("got %q", m.Text())
	}
}

func TestParseJSON(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{`{"b":1,"a":{"z":[],"y":{}},"b":2}`, `{'b': 2, 'a': {'z': [], 'y': {}}}`},
		{`[1, -2, 1.0, 1e3, 12345678901234567890, 1.5e-7, "é\u00e9\n", null, true, false]`,
			`[1, -2, 1.0, 1000.0, 12345678901234567890, 1.5e-07, 'éé\n', None, True, False]`},
	} {
		v, err := ParseJSON([]byte(c.json))
		if err != nil {
			t.Fatal(err)
		}
		ip := &interp{tmpl: &Template{limits: defaultLimits}, limits: defaultLimits}
		if got, _ := ip.repr(v); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	for _, bad := range []string{"", "{", `{"a"}`, "[1,]", "1 2", `{"a":1,}`, "nul", "\"\x01\"", "[" + "[[[[[[[[[["} {
		if v, err := ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%q: got %v, want an error", bad, v)
		}
	}
}

func TestDictGrows(t *testing.T) {
	d := &Dict{}
	for i := range 100 {
		d.Set(string(rune('a'+i%30)), int64(i))
	}
	if d.Len() != 30 {
		t.Fatalf("%d keys", d.Len())
	}
	d.Delete("c")
	if _, ok := d.Get("c"); ok || d.Len() != 29 {
		t.Error("c is still there")
	}
	if v, _ := d.Get("d"); v != int64(93) {
		t.Errorf("d is %v", v)
	}
	first := ""
	for k := range d.All() {
		first += k
		if len(first) == 3 {
			break
		}
	}
	if first != "abd" {
		t.Errorf("the order is %s", first)
	}
}
