package chat

import (
	"encoding/json"
	"errors"
	"testing"
)

func fuzzSeeds(f *testing.F) {
	for i, c := range referenceCases(f) {
		if i%4 == 0 {
			f.Add(c.Template)
		}
	}
	f.Add(chatML)
}

// checkError fails for an error that does not say where it comes from.
func checkError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if err != nil && (!errors.As(err, &e) || e.Template != "fuzz" || e.Message == "" && e.Kind != Raised) {
		t.Fatalf("error without a place: %#v", err)
	}
}

func FuzzParse(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, source string) {
		_, err := Parse(source, "fuzz")
		checkError(t, err)
	})
}

func FuzzRender(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := Parse(source, "fuzz")
		if err != nil {
			return
		}
		tmpl.limits = limits{steps: 20_000, memory: 4 << 20, output: 1 << 20, depth: 50}
		vars := referenceVars(t)
		before, _ := vars.MarshalJSON()
		out, err := tmpl.RenderValues(vars, referenceNow)
		checkError(t, err)
		if len(out) > 1<<20 {
			t.Fatalf("%d bytes of output", len(out))
		}
		if after, _ := vars.MarshalJSON(); string(after) != string(before) {
			t.Fatalf("the template changed its input to %s", after)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(`{"role":"user","content":"Hi","x":[1,2.5,null,{"a":true}]}`)
	f.Add(`{"content":[{"type":"text","text":"你好"},{"type":"image"}],"role":"user","name":null}`)
	f.Add(`{"role":"assistant","content":null,"reasoning_content":"","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]}`)
	f.Add(`{"role":"assistant","tool_calls":[{"name":"f","arguments":{"a":1}}],"tool_call_id":"9"}`)
	f.Fuzz(func(t *testing.T, data string) {
		var m Message
		if json.Unmarshal([]byte(data), &m) != nil {
			return
		}
		given, err := ParseJSON([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := given.(*Dict).MarshalJSON()
		if got, _ := m.Dict().MarshalJSON(); string(got) != string(want) {
			t.Fatalf("the template sees %s, given was %s", got, want)
		}
	})
}
