package task

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"wenmo/internal/testkit"
	"wenmo/tokenizer"
)

// read reads a pipeline fixture into v.
func read(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func near(got float32, want, tolerance float64) bool {
	return math.Abs(float64(got)-want) <= tolerance+tolerance*math.Abs(want)
}

func TestFixtureClassify(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		var f struct {
			Tolerance float64
			Cases     []struct {
				Logits   []float32
				Problem  *string         `json:"problem_type"`
				Function *string         `json:"function_to_apply"`
				TopK     json.RawMessage `json:"top_k"`
				Expected []struct {
					Label string
					Score float64
				}
			}
		}
		read(t, path, &f)
		for i, c := range f.Cases {
			function := ""
			switch {
			case c.Function != nil:
				function = *c.Function
			case c.Problem != nil:
				function = functionOf(*c.Problem, len(c.Logits))
			default:
				function = functionOf("", len(c.Logits))
			}
			topK := 0
			switch k := string(c.TopK); k {
			case "null", "":
			case `"unset"`:
				topK = 1
			default:
				n, err := strconv.Atoi(k)
				if err != nil {
					t.Fatal(err)
				}
				topK = n
			}
			names := make([]string, len(c.Logits))
			for j := range names {
				names[j] = "LABEL_" + strconv.Itoa(j)
			}
			score, ok := functions[function]
			if !ok {
				t.Fatalf("case %d: function %q", i, function)
			}
			got := rank(score(c.Logits), names, topK)
			if len(got) != len(c.Expected) {
				t.Errorf("case %d: %v, want %v", i, got, c.Expected)
				continue
			}
			for j, want := range c.Expected {
				if got[j].Label != want.Label || !near(got[j].Score, want.Score, f.Tolerance) {
					t.Errorf("case %d: %v, want %v", i, got[j], want)
				}
			}
		}
		if len(f.Cases) == 0 {
			t.Error("no cases")
		}
	}, "pipeline_text_classification")
}

func TestFixtureFill(t *testing.T) {
	type fill struct {
		Score    float64
		Token    int32
		Sequence string
		TokenStr string `json:"token_str"`
	}
	testkit.Fixtures(t, func(t *testing.T, path string) {
		var f struct {
			Tolerance float64
			Tokenizer json.RawMessage
			Cases     []struct {
				Text     string
				IDs      []int32 `json:"input_ids"`
				Masks    []int32 `json:"mask_positions"`
				Logits   [][]float32
				Targets  []string
				TopK     int `json:"top_k"`
				Expected json.RawMessage
			}
		}
		read(t, path, &f)
		tok, err := tokenizer.Parse(f.Tokenizer, "tokenizer.json")
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range f.Cases {
			if ids := tok.Encode(c.Text, true); !slices.Equal(ids, c.IDs) {
				t.Errorf("case %d: ids %v, want %v", i, ids, c.IDs)
			}
			pad, _ := tok.ID("[PAD]")
			of := filler{tok: tok, topK: c.TopK, pad: pad}
			if err := of.target(c.Targets); err != nil {
				t.Fatal(err)
			}
			var want [][]fill
			if len(c.Masks) == 1 {
				want = make([][]fill, 1)
				err = json.Unmarshal(c.Expected, &want[0])
			} else {
				err = json.Unmarshal(c.Expected, &want)
			}
			if err != nil {
				t.Fatal(err)
			}
			got := of.fill(c.IDs, c.Masks, c.Logits)
			for j := range want {
				if len(got[j]) != len(want[j]) {
					t.Errorf("case %d, mask %d: %v, want %v", i, j, got[j], want[j])
					continue
				}
				for k, w := range want[j] {
					g := got[j][k]
					if g.ID != w.Token || g.Token != w.TokenStr || g.Text != w.Sequence || !near(g.Score, w.Score, f.Tolerance) {
						t.Errorf("case %d, mask %d: %+v, want %+v", i, j, g, w)
					}
				}
			}
		}
		if len(f.Cases) == 0 {
			t.Error("no cases")
		}
	}, "pipeline_fill_mask")
}

// loadTokenizer opens a tokenizer of the fixtures.
func loadTokenizer(t *testing.T, name string) (*tokenizer.Tokenizer, tokenizer.Config) {
	t.Helper()
	dir, _ := testkit.Dir()
	dir = filepath.Join(dir, name)
	if _, err := os.Stat(dir); err != nil {
		dir = testkit.SharedFile(t, "fixtures", name)
	}
	tok, err := tokenizer.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tokenizer.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok, c
}

// questionWindow is a window of a question fixture: offsets are in characters.
type questionWindow struct {
	IDs        []int32
	Offsets    [][2]int
	Words, Seq []*int32
	Attention  []int32
	PMask      []int     `json:"p_mask"`
	Start      []float32 `json:"start_logits"`
	End        []float32 `json:"end_logits"`
}

func TestFixtureAnswer(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		var f struct {
			Tolerance float64
			Cases     []struct {
				Tokenizer, Question, Context string
				Length                       int `json:"max_seq_len"`
				Stride                       int `json:"doc_stride"`
				Windows                      []questionWindow
				Runs                         []struct {
					TopK      int  `json:"top_k"`
					NoAnswer  bool `json:"handle_impossible_answer"`
					MaxTokens int  `json:"max_answer_len"`
					Align     bool `json:"align_to_words"`
					Expected  json.RawMessage
				}
			}
		}
		read(t, path, &f)
		for i, c := range f.Cases {
			tok, config := loadTokenizer(t, c.Tokenizer)
			e, err := tok.EncodeFull(c.Question, tokenizer.EncodeOptions{AddSpecialTokens: true, Pair: &c.Context,
				Truncation: &tokenizer.Truncation{Direction: "Right", MaxLength: c.Length, Strategy: "OnlySecond", Stride: c.Stride}})
			if err != nil {
				t.Fatal(err)
			}
			cls, _ := tok.ID(config.CLS)
			parts := windows(e)
			if len(parts) != len(c.Windows) {
				t.Errorf("case %d: %d windows, want %d", i, len(parts), len(c.Windows))
				continue
			}
			for j, w := range c.Windows {
				compareWindow(t, newWindow(parts[j], cls), w, c.Question, c.Context)
			}
			for _, run := range c.Runs {
				finder := newFinder(c.Context, AnswerOptions{TopK: run.TopK, NoAnswer: run.NoAnswer, MaxTokens: run.MaxTokens, Tokens: !run.Align})
				for j, w := range c.Windows {
					finder.windows = append(finder.windows, newWindow(parts[j], cls))
					finder.look(w.Start, w.End)
				}
				compareAnswers(t, i, c.Context, finder.best(), run.Expected, f.Tolerance)
			}
		}
		if len(f.Cases) == 0 {
			t.Error("no cases")
		}
	}, "pipeline_question_answering")
}

func compareWindow(t *testing.T, got window, want questionWindow, question, context string) {
	t.Helper()
	if !slices.Equal(got.IDs, want.IDs) || !slices.Equal(got.AttentionMask, want.Attention) {
		t.Errorf("ids %v, want %v; attention %v, want %v", got.IDs, want.IDs, got.AttentionMask, want.Attention)
		return
	}
	orNone := func(p *int32) int32 {
		if p == nil {
			return -1
		}
		return *p
	}
	for i := range want.IDs {
		allowed := want.PMask[i] == 0
		text := question
		if got.SequenceIDs[i] == 1 {
			text = context
		}
		if at := tokenizer.CharOffsets(text, got.Offsets[i:i+1])[0]; at != want.Offsets[i] {
			t.Errorf("token %d is at %v, want %v", i, at, want.Offsets[i])
		}
		if got.WordIDs[i] != orNone(want.Words[i]) || got.SequenceIDs[i] != orNone(want.Seq[i]) || got.allowed[i] != allowed {
			t.Errorf("token %d: word %d, sequence %d, allowed %v; want %d, %d, %v", i, got.WordIDs[i], got.SequenceIDs[i], got.allowed[i],
				orNone(want.Words[i]), orNone(want.Seq[i]), allowed)
		}
	}
}

func compareAnswers(t *testing.T, i int, context string, got []Found, expected json.RawMessage, tolerance float64) {
	t.Helper()
	type answer struct {
		Score      float64
		Start, End int
		Answer     string
	}
	var want []answer
	if expected[0] == '{' {
		want = make([]answer, 1)
		expected = append(append([]byte("["), expected...), ']')
	}
	if err := json.Unmarshal(expected, &want); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("case %d: %+v, want %+v", i, got, want)
		return
	}
	for j, w := range want {
		g := got[j]
		at := tokenizer.CharOffsets(context, [][2]int{{g.Start, g.End}})[0]
		if at != [2]int{w.Start, w.End} || g.Text != w.Answer || !near(g.Score, w.Score, tolerance) {
			t.Errorf("case %d: %+v, want %+v", i, g, w)
		}
	}
}

// expectedEntity is an entity of the fixture, in characters.
type expectedEntity struct {
	Entity     *string
	Group      *string `json:"entity_group"`
	Score      float64
	Index      *int
	Word       string
	Start, End int
}

func TestFixtureTokens(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		var f struct {
			Labels    map[string]string `json:"id2label"`
			Tolerance float64
			Ignore    []string `json:"ignore_labels_default"`
			Cases     []struct {
				Tokenizer, Text string
				Windows         []struct {
					IDs     []int32
					Tokens  []string
					Offsets [][2]int
					Special []int32
					Logits  [][]float32
				}
				Expected map[Aggregation][]expectedEntity
				All      []expectedEntity `json:"expected_ignore_none_simple"`
				Some     []expectedEntity `json:"expected_ignore_O_MISC_first"`
			}
		}
		read(t, path, &f)
		labels := make([]string, len(f.Labels))
		for i := range labels {
			labels[i] = f.Labels[strconv.Itoa(i)]
		}
		for i, c := range f.Cases {
			tok, config := loadTokenizer(t, c.Tokenizer)
			unk, ok := tok.ID(config.UNK)
			if !ok {
				t.Fatalf("no unk token %q", config.UNK)
			}
			bytesAt := byteOffsets(c.Text)
			for _, w := range c.Windows {
				for j, id := range w.IDs {
					if token, _ := tok.Token(id); token != w.Tokens[j] {
						t.Errorf("case %d: id %d is %q, want %q", i, id, token, w.Tokens[j])
					}
				}
			}
			run := func(a Aggregation, ignore []string, want []expectedEntity) {
				tag := tagger{tok: tok, labels: labels, unk: unk, opt: TokenOptions{Aggregation: a, Ignore: ignore}}
				var got []Entity
				for _, w := range c.Windows {
					e := tokenizer.Encoding{IDs: w.IDs, SpecialMask: w.Special}
					for _, o := range w.Offsets {
						e.Offsets = append(e.Offsets, [2]int{bytesAt[o[0]], bytesAt[o[1]]})
					}
					got = append(got, tag.entities(c.Text, &e, w.Logits)...)
				}
				if len(c.Windows) > 1 {
					got = withoutOverlap(got)
				}
				compareEntities(t, i, a, c.Text, got, want, f.Tolerance)
			}
			for a, want := range c.Expected {
				run(a, f.Ignore, want)
			}
			if c.All != nil {
				run(Simple, []string{}, c.All)
			}
			if c.Some != nil {
				run(First, []string{"O", "MISC"}, c.Some)
			}
		}
		if len(f.Cases) == 0 {
			t.Error("no cases")
		}
	}, "pipeline_token_classification")
}

// byteOffsets returns where each character of a text begins, and its end.
func byteOffsets(text string) []int {
	var out []int
	for i := range text {
		out = append(out, i)
	}
	return append(out, len(text))
}

func compareEntities(t *testing.T, i int, a Aggregation, text string, got []Entity, want []expectedEntity, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("case %d, %s: %d entities, want %d:\n%+v\n%+v", i, a, len(got), len(want), got, want)
		return
	}
	for j, w := range want {
		g := got[j]
		label := w.Group
		if label == nil {
			label = w.Entity
		}
		at := tokenizer.CharOffsets(text, [][2]int{{g.Start, g.End}})[0]
		if g.Label != *label || at != [2]int{w.Start, w.End} || g.Word != w.Word || !near(g.Score, w.Score, tolerance) ||
			w.Index != nil && *w.Index != g.Token || !reflect.DeepEqual(g.Text, text[g.Start:g.End]) {
			t.Errorf("case %d, %s: %+v, want %+v (%s)", i, a, g, w, *label)
		}
	}
}
