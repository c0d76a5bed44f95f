package tokenizer

import (
	"maps"
	"slices"
	"strings"
)

// tokenID returns a token with its id: that of an added token, else that in
// the vocabulary; -1 if there is none.
func (s *spec) tokenID(token string, x *vocabIndex) tokenID {
	for _, t := range s.AddedTokens {
		if t.Content == token {
			return tokenID{token, t.ID}
		}
	}
	return tokenID{token, x.id(token)}
}

// newTemplate makes a template of words: A and B stand for the texts, others
// for the special token of that name in tokens; :1 after one is its type id.
// Words of tokens that do not exist are left out.
func newTemplate(single, pair string, tokens map[string]tokenID) *templateProcessing {
	t := &templateProcessing{Special: map[string]templateSpecialToken{}}
	pieces := func(words string) (list []templatePiece) {
		for _, word := range strings.Fields(words) {
			name, second := strings.CutSuffix(word, ":1")
			p := templatePiece{Sequence: name}
			if second {
				p.TypeID = 1
			}
			if name != "A" && name != "B" {
				token := tokens[name]
				if token.ID < 0 || token.Token == "" {
					continue
				}
				p.Sequence, p.SpecialToken = "", token.Token
				t.Special[token.Token] = templateSpecialToken{token.Token, []int32{token.ID}, []string{token.Token}}
			}
			list = append(list, p)
		}
		return list
	}
	t.Single, t.Pair = pieces(single), pieces(pair)
	return t
}

// isolated is a split that makes a piece of every match.
func isolated(regex string) split {
	return split{Pattern: regexPattern(regex), Behavior: "Isolated"}
}

// knownKeys lists the keys of a map for an error.
func knownKeys[V any](m map[string]V) string {
	keys := slices.Sorted(maps.Keys(m))
	return strings.Join(slices.DeleteFunc(keys, func(k string) bool { return k == "" }), ", ")
}
