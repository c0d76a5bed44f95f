package hub

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseName(t *testing.T) {
	for s, want := range map[string]Name{
		"gpt2":                        {"gpt2", "main", ""},
		"org/name":                    {"org/name", "main", ""},
		"Qwen/Qwen2.5-0.5B-Instruct":  {"Qwen/Qwen2.5-0.5B-Instruct", "main", ""},
		"org/name@v1.0":               {"org/name", "v1.0", ""},
		"org/name@refs/pr/1":          {"org/name", "refs/pr/1", ""},
		"org/name:Q4_K_M":             {"org/name", "main", "Q4_K_M"},
		"org/name@" + commitA + ":q8": {"org/name", commitA, "q8"},
		"a_/_b":                       {"a_/_b", "main", ""},
		"org/name@分支":                 {"org/name", "分支", ""},
	} {
		got, err := ParseName(s)
		if err != nil || got != want {
			t.Errorf("ParseName(%q) is %+v, %v", s, got, err)
		}
		if got.String() != s {
			t.Errorf("ParseName(%q).String() is %q", s, got.String())
		}
	}
	for _, s := range []string{"", "/", "org/", "/name", "a/b/c", "..", "../x", "./x", "a--b", "a..b", "-a", "a-", ".a", "a.", "x.git",
		"org/na me", "org/name@", "org/name@../x", "org/name@/x", "org/name@a b", "org/name@a..b/../..", "org/name@x\x00", "org/name:",
		"org/name:*", "https://example.org/org/name", `C:\x`, `org\name`, "模型/x", strings.Repeat("a", 97), "org/name@x.lock"} {
		if n, err := ParseName(s); err == nil {
			t.Errorf("ParseName(%q) is %+v, want an error", s, n)
		}
	}
}

// TestParseAddress takes what people copy of the hub's pages.
func TestParseAddress(t *testing.T) {
	for s, want := range map[string]string{
		"https://huggingface.co/org/name":                                 "org/name",
		"huggingface.co/org/name/":                                        "org/name",
		"https://huggingface.co/gpt2":                                     "gpt2",
		"https://huggingface.co/gpt2/tree/main/onnx":                      "gpt2",
		"https://huggingface.co/org/name/blob/main/a%20b.gguf":            "org/name:a b.gguf",
		"http://hf.co/org/name?library=x":                                 "org/name",
		"https://huggingface.co/org/name/tree/main":                       "org/name",
		"https://huggingface.co/org/name/tree/v1.0":                       "org/name@v1.0",
		"https://hf-mirror.com/org/name/blob/main/sub/m-Q4_K_M.gguf":      "org/name:sub/m-Q4_K_M.gguf",
		"https://huggingface.co/org/name/resolve/v2/m.gguf?download=true": "org/name@v2:m.gguf",
		"https://huggingface.co/org/name/blob/main/config.json":           "org/name",
	} {
		if n, err := ParseName(s); err != nil || n.String() != want {
			t.Errorf("%s is %s, %v, want %s", s, n, err, want)
		}
	}
}

// A page of something else than a model is none's name.
func TestParseAddressBad(t *testing.T) {
	for _, s := range []string{"https://huggingface.co/datasets/squad", "huggingface.co/spaces/a/b", "https://huggingface.co/", "https://huggingface.co/org/name/%zz"} {
		if n, err := ParseName(s); err == nil {
			t.Errorf("%s is %s", s, n)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"gpt2", "org/name@refs/pr/1:Q4_K_M", "a@b@c", "a/b:c:d", "../x", "x@../../y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		if again, err := ParseName(n.String()); err != nil || again != n {
			t.Errorf("%q is %+v, and %q is %+v (%v)", s, n, n.String(), again, err)
		}
		if strings.ContainsAny(n.folder(), `/\`) || !filepath.IsLocal(n.folder()) || !filepath.IsLocal(filepath.FromSlash(n.Revision)) {
			t.Errorf("%q leads out of the cache: %+v", s, n)
		}
		if repo, ok := repoOfFolder(n.folder()); !ok || repo != n.Repo {
			t.Errorf("the folder %q is of %q", n.folder(), repo)
		}
	})
}

// Whatever a server lists, what is chosen has a size and a place in the cache.
func FuzzListing(f *testing.F) {
	id := strings.Repeat("0", 40)
	f.Add(`[{"type":"file","path":"config.json","size":2,"oid":"`+id+`"},{"type":"file","path":"x-Q4_K_M.gguf","size":1,"oid":"`+id+`"}]`, "", `</x?cursor=1>; rel="next"`)
	f.Add(`[{"type":"file","path":"a-00001-of-99999.gguf","size":1,"oid":"`+id+`"}]`, "a", "<>;rel=next")
	f.Add(`[{"type":"file","path":"../x.safetensors","lfs":{"oid":"x","size":-5}}]`, "Q8_0", "")
	f.Fuzz(func(t *testing.T, body, quant, link string) {
		nextQuery(http.Header{"Link": {link}})
		var page []treeEntry
		if json.Unmarshal([]byte(body), &page) != nil {
			return
		}
		var files []file
		for _, e := range page {
			if f, err := e.file(); err == nil && validPath(f.path) {
				files = append(files, f)
			}
		}
		sel, err := choose(files, quant)
		if err != nil {
			return
		}
		for _, f := range sel.files {
			if f.size < 0 || !filepath.IsLocal(filepath.FromSlash(linkPath(commitA, f))) || !filepath.IsLocal(filepath.FromSlash(blobPath(f))) ||
				!strings.HasPrefix(linkPath(commitA, f), "snapshots/"+commitA+"/") || !strings.HasPrefix(blobPath(f), "blobs/") {
				t.Errorf("%+v was chosen", f)
			}
		}
	})
}

func TestChoose(t *testing.T) {
	for _, test := range []struct{ have, want string }{
		{"model.safetensors consolidated.safetensors config.json params.json", "config.json model.safetensors"},
		{"consolidated.00.pth model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json consolidated.safetensors", "model.safetensors.index.json"},
		{"consolidated-00001-of-00002.safetensors consolidated-00002-of-00002.safetensors", "consolidated-00001-of-00002.safetensors consolidated-00002-of-00002.safetensors"},
		{"adapter_config.json adapter_model.safetensors training_args.bin", "adapter_config.json adapter_model.safetensors"},
		{"source.spm target.spm vocab.json model.safetensors pytorch_model.bin rust_model.ot", "source.spm target.spm vocab.json model.safetensors"},
		{"modules.json 1_Pooling/config.json 2_Dense/model.safetensors 2_Dense/pytorch_model.bin model.safetensors onnx/model.onnx",
			"modules.json 1_Pooling/config.json 2_Dense/model.safetensors model.safetensors"},
		{"LICENSE LICENCE.txt README.md NOTICE .gitattributes USE_POLICY.md chat_template.jinja additional_chat_templates/rag.jinja model.safetensors",
			"LICENSE LICENCE.txt README.md NOTICE USE_POLICY.md chat_template.jinja additional_chat_templates/rag.jinja model.safetensors"},
		{"qwen.tiktoken tokenizer.model model.safetensors", "qwen.tiktoken tokenizer.model model.safetensors"},
		{"tokenizer.json README.md", "tokenizer.json README.md"},
	} {
		var files []file
		for p := range strings.SplitSeq(test.have, " ") {
			files = append(files, file{path: p})
		}
		sel, err := choose(files, "")
		var got []string
		for _, f := range sel.files {
			got = append(got, f.path)
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("of %s\n%v was chosen (%v), want %s", test.have, got, err, test.want)
		}
	}
	for _, have := range []string{"", "README.md", "config.json tokenizer.json", "flax_model.msgpack config.json", "onnx/model.onnx"} {
		var files []file
		for p := range strings.FieldsSeq(have) {
			files = append(files, file{path: p})
		}
		if sel, err := choose(files, ""); err == nil {
			t.Errorf("of %q %v was chosen", have, sel)
		}
	}
}

func TestNextQuery(t *testing.T) {
	for link, want := range map[string]string{
		`<https://hub/api?cursor=abc&limit=3>; rel="next"`:                 "cursor=abc&limit=3",
		`<https://hub/a?p=1>; rel="prev", <https://hub/a?p=3>; rel="next"`: "p=3",
		`<https://hub/a?p=1>; rel="prev"`:                                  "",
		`<https://hub/a?p=3>; title="x"; rel=next`:                         "p=3",
		``:                  "",
		`<%zz>; rel="next"`: "",
		`nonsense`:          "",
	} {
		if got := nextQuery(http.Header{"Link": {link}}); got != want {
			t.Errorf("%s leads to %q, want %q", link, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		key, value string
		want       time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second}, {"Retry-After", "-7", 0}, {"Retry-After", "soon", 0}, {"Retry-After", "99999999999999", 0},
		{"Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), 0},
		{"RateLimit", `"api";r=0;t=55`, 55 * time.Second}, {"RateLimit", `"api";r=3;t=55`, 0},
	} {
		h := http.Header{}
		h.Set(test.key, test.value)
		if got := retryAfter(h); got != test.want {
			t.Errorf("%s: %s means %s, want %s", test.key, test.value, got, test.want)
		}
	}
}

func TestNewClientFromEnv(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, "hf", "token")
	os.MkdirAll(filepath.Dir(file), 0o777)
	os.WriteFile(file, []byte("hf_file\n"), 0o600)
	keys := []string{"HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE",
		"HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}
	for _, test := range []struct {
		env  map[string]string
		want Client
	}{
		{nil, Client{Endpoint: "https://huggingface.co", CacheDir: filepath.Join(home, ".cache", "huggingface", "hub")}},
		{map[string]string{"HF_HOME": "~/hf", "HF_ENDPOINT": "https://mirror.example/"},
			Client{Endpoint: "https://mirror.example", Token: "hf_file", CacheDir: filepath.Join(home, "hf", "hub")}},
		{map[string]string{"HF_HOME": filepath.Join(home, "hf"), "HF_TOKEN": " hf_env\n", "HF_HUB_CACHE": "$HOME/c$undefined", "HUGGINGFACE_HUB_CACHE": "/d", "HF_HUB_OFFLINE": "Yes"},
			Client{Endpoint: "https://huggingface.co", Token: "hf_env", CacheDir: home + "/c$undefined", Offline: true}},
		{map[string]string{"XDG_CACHE_HOME": "/x", "HUGGINGFACE_HUB_CACHE": "/d", "TRANSFORMERS_OFFLINE": "1", "HF_TOKEN_PATH": file},
			Client{Endpoint: "https://huggingface.co", Token: "hf_file", CacheDir: "/d", Offline: true}},
		{map[string]string{"XDG_CACHE_HOME": "/x", "HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"},
			Client{Endpoint: "https://huggingface.co", CacheDir: filepath.FromSlash("/x/huggingface/hub")}},
	} {
		t.Setenv("HOME", home)
		t.Setenv("USERPROFILE", home)
		for _, key := range keys {
			t.Setenv(key, test.env[key])
		}
		got, err := NewClientFromEnv()
		if err != nil || *got != test.want {
			t.Errorf("with %v it is %+v, %v", test.env, got, err)
		}
	}
	for key, value := range map[string]string{"HF_ENDPOINT": "huggingface.co", "HF_TOKEN": "two words", "HF_TOKEN_PATH": home} {
		for _, key := range keys {
			t.Setenv(key, "")
		}
		t.Setenv(key, value)
		c, err := NewClientFromEnv() // good enough for the cache
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.List(); err != nil {
			t.Errorf("with %s=%s the list is: %v", key, value, err)
		}
		if _, err := c.Pull(t.Context(), "org/name", Options{}); err == nil {
			t.Errorf("with %s=%s a pull has no error", key, value)
		}
	}
}
