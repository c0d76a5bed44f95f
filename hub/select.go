package hub

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

var (
	// notices are fetched with any form of a model.
	notices = []string{"README*", "LICEN[CS]E*", "NOTICE*", "USE_POLICY*"}
	// companions are what a model in the form of safetensors has beside its weights.
	companions = []string{
		"config.json", "generation_config.json", "adapter_config.json",
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"vocab.json", "merges.txt", "vocab.txt", "*.model", "*.spm", "*.tiktoken", "normalizer.json",
		"chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja",
		// sentence-transformers: pooling and dense layers in numbered directories
		"modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
		"[0-9]_*/config.json", "[0-9]_*/*.safetensors",
	}
	// tokenizers are the companions that make a repository of use without weights.
	tokenizers = []string{"tokenizer.json", "vocab.json", "vocab.txt", "*.model", "*.spm", "*.tiktoken"}
	// foreign are weights in forms that wenmo does not read.
	foreign = []string{"*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.nemo", "*.tflite", "onnx/*.onnx"}
	// preferred GGUF types, when the name asks for none and there are several.
	preferred = []string{"Q4_K_M", "Q8_0"}
)

// A selection is what to get of a repository.
type selection struct {
	files []file
	index *file  // the index of sharded safetensors, in files too: it names more files
	main  string // the GGUF file that is the model, "" when the directory is
}

// choose selects the files of a language model: safetensors with their
// companions, else GGUF; GGUF alone when quant asks for it.
func choose(files []file, quant string) (selection, error) {
	if quant != "" {
		return chooseGGUF(files, quant)
	}
	sel := selection{files: matching(files, companions, notices)}
	sharded, weights := find(files, indexFile), atRoot(files, ".safetensors")
	switch {
	case find(files, singleFile) != nil:
		sel.files = append(sel.files, *find(files, singleFile))
	case sharded != nil:
		sel.files = append(sel.files, *sharded)
		sel.index = sharded
	case len(weights) > 0:
		sel.files = append(sel.files, withoutConsolidated(weights)...)
	case len(ggufVariants(files)) > 0:
		return chooseGGUF(files, "")
	case len(matching(files, foreign)) > 0:
		return selection{}, fmt.Errorf("its weights are only in %s, which wenmo does not read: it needs safetensors or GGUF "+
			"(a pull request of the repository may hold them: try @refs/pr/1)", pathsOf(matching(files, foreign)))
	case find(files, "config.json") != nil:
		return selection{}, fmt.Errorf("it has a config.json but no weights")
	case len(matching(files, tokenizers)) == 0:
		return selection{}, fmt.Errorf("it holds no model: none of its %d files is safetensors, GGUF or a tokenizer", len(files))
	}
	return sel, nil
}

// withoutConsolidated leaves out the second copy of the weights that some
// repositories have beside the usual one (Mistral's consolidated*.safetensors).
func withoutConsolidated(weights []file) []file {
	rest := slices.DeleteFunc(slices.Clone(weights), func(f file) bool { return strings.HasPrefix(f.path, "consolidated") })
	if len(rest) == 0 {
		return weights
	}
	return rest
}

// A variant is one model in GGUF, in one file or split over several.
type variant struct {
	name  string // path without shard number and extension
	files []file // in the order of the shards
	of    int    // shards that there must be
}

var shardName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})$`)

func ggufVariants(files []file) []variant {
	var variants []variant
	at := map[string]int{} // name and number of shards → index in variants
	for _, f := range files {
		name, ok := strings.CutSuffix(f.path, ".gguf")
		base := strings.ToLower(path.Base(f.path))
		if !ok || strings.Contains(base, "mmproj") || strings.Contains(base, "imatrix") {
			continue // a projector of images, or statistics: no language model
		}
		of := 1
		if m := shardName.FindStringSubmatch(name); m != nil {
			name = m[1]
			of, _ = strconv.Atoi(m[3]) // digits, and few
		}
		key := fmt.Sprint(of, "/", name)
		i, seen := at[key]
		if !seen {
			i = len(variants)
			at[key] = i
			variants = append(variants, variant{name: name, of: of})
		}
		variants[i].files = append(variants[i].files, f)
	}
	for _, v := range variants {
		slices.SortFunc(v.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	}
	return variants
}

// is reports whether the variant is of the type quant: the whole name, or its
// end after a '-', '.', '_' or '/', in any case.
func (v variant) is(quant string) bool {
	quant = strings.TrimSuffix(quant, ".gguf")
	if m := shardName.FindStringSubmatch(quant); m != nil { // one of its files
		quant = m[1]
	}
	quant = strings.ToLower(quant)
	head, ok := strings.CutSuffix(strings.ToLower(v.name), quant)
	return ok && (head == "" || strings.ContainsRune("-._/", rune(head[len(head)-1])))
}

func chooseGGUF(files []file, quant string) (selection, error) {
	all := ggufVariants(files)
	wanted := []string{quant}
	if quant == "" {
		if len(all) == 1 {
			return all[0].selection(files)
		}
		wanted = preferred
	}
	for _, q := range wanted {
		var found []variant
		for _, v := range all {
			if v.is(q) {
				found = append(found, v)
			}
		}
		if len(found) == 1 {
			return found[0].selection(files)
		}
		if len(found) > 1 {
			return selection{}, fmt.Errorf("%q may be any of %s: give more of the name", q, namesOf(found))
		}
	}
	if len(all) == 0 {
		return selection{}, fmt.Errorf("it has no GGUF file (looked for %q)", quant)
	}
	return selection{}, fmt.Errorf("which of its GGUF files? Add a type to the name, as in :Q4_K_M; there are %s", namesOf(all))
}

func (v variant) selection(files []file) (selection, error) {
	if len(v.files) != v.of {
		return selection{}, fmt.Errorf("%s has %d of its %d shards", v.name, len(v.files), v.of)
	}
	return selection{files: append(matching(files, notices), v.files...), main: v.files[0].path}, nil
}

// including selects the files whose path or name matches one of the patterns,
// and no others.
func including(files []file, patterns []string) (selection, error) {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return selection{}, fmt.Errorf("pattern %q: %w", p, err)
		}
	}
	var sel selection
	for _, f := range files {
		if slices.ContainsFunc(patterns, func(p string) bool {
			whole, _ := path.Match(p, f.path)
			name, _ := path.Match(p, path.Base(f.path))
			return whole || name
		}) {
			sel.files = append(sel.files, f)
		}
	}
	if len(sel.files) == 0 {
		return sel, fmt.Errorf("none of its %d files matches %q", len(files), patterns)
	}
	return sel, nil
}

// matching returns the files whose path matches one of the patterns, where '*'
// does not stand for a '/'.
func matching(files []file, patterns ...[]string) []file {
	all := slices.Concat(patterns...)
	var found []file
	for _, f := range files {
		if slices.ContainsFunc(all, func(p string) bool { ok, _ := path.Match(p, f.path); return ok }) {
			found = append(found, f)
		}
	}
	return found
}

func find(files []file, p string) *file {
	if i := slices.IndexFunc(files, func(f file) bool { return f.path == p }); i >= 0 {
		return &files[i]
	}
	return nil
}

func atRoot(files []file, ext string) []file { return matching(files, []string{"*" + ext}) }

func pathsOf(files []file) string {
	var names []string
	for _, f := range files {
		names = append(names, f.path)
	}
	return list(names)
}

func namesOf(variants []variant) string {
	var names []string
	for _, v := range variants {
		names = append(names, path.Base(v.name))
	}
	return list(names)
}

// list writes the first names of a list that may be long.
func list(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
