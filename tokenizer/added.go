package tokenizer

import (
	"fmt"
	"slices"
	"sync"
)

// AddedToken is a token that is found in the text before the model sees it.
type AddedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
	// SingleWord: not inside a word. LStrip, RStrip: takes the white space
	// beside it. Normalized: looked for in the normalized text. Special: left
	// out by Decode with skipSpecial.
	SingleWord bool `json:"single_word"`
	LStrip     bool `json:"lstrip"`
	RStrip     bool `json:"rstrip"`
	Normalized bool `json:"normalized"`
	Special    bool `json:"special"`
}

// addedTokens finds the added tokens in a text: those that look at the text as
// it came, and those that look at it normalized.
type addedTokens struct {
	byID       map[int32]*AddedToken
	raw        addedFinder
	normalized addedFinder
	// names holds what stands for an added token when it is decoded: its
	// normalized content.
	names     map[int32]string
	byContent map[string]int32
}

const maxAddedToken = 1 << 12 // bytes

func newAddedTokens(tokens []AddedToken, norm normalizer) (*addedTokens, error) {
	a := &addedTokens{byID: map[int32]*AddedToken{}, names: map[int32]string{}, byContent: map[string]int32{}}
	for i := range tokens {
		t := &tokens[i]
		if t.Content == "" {
			continue
		}
		if len(t.Content) > maxAddedToken {
			return nil, fmt.Errorf("added token %d is longer than %d bytes", t.ID, maxAddedToken)
		}
		if old := a.byID[t.ID]; old != nil && old.Content != t.Content {
			return nil, fmt.Errorf("id %d belongs to the added tokens %s and %s", t.ID, shorten(old.Content), shorten(t.Content))
		}
		if other, ok := a.byContent[t.Content]; ok && other != t.ID {
			return nil, fmt.Errorf("added token %s has the ids %d and %d", shorten(t.Content), other, t.ID)
		}
		a.byID[t.ID], a.byContent[t.Content] = t, t.ID
		if !t.Normalized {
			a.names[t.ID] = t.Content
			continue
		}
		n := normalized{s: t.Content}
		if norm != nil {
			norm.normalize(&n)
		}
		a.names[t.ID] = n.s
	}
	for id, t := range a.byID { // of what is listed twice the last counts
		if t.Normalized {
			a.normalized.add(a.names[id], t)
		} else {
			a.raw.add(t.Content, t)
		}
		if max(a.raw.nodes(), a.normalized.nodes()) > maxTrieNodes {
			return nil, fmt.Errorf("the added tokens take more than %d nodes", maxTrieNodes)
		}
	}
	return a, nil
}

// addedFinder finds the longest added token at the leftmost place.
type addedFinder struct {
	trie   *byteTrie
	tokens []*AddedToken // the trie's ids are indices here
	texts  []string      // what stands for them
	first  [256]bool

	once sync.Once
	back *backwardFinder // see addedScan
}

// add makes s stand for t; of two with the same s that of the higher id
// counts, as the order of a map decides it in the reference.
func (f *addedFinder) add(s string, t *AddedToken) {
	if s == "" {
		return
	}
	if f.trie == nil {
		f.trie = newByteTrie(16)
	}
	if i, n := f.trie.longest(s); i >= 0 && n == len(s) {
		if f.tokens[i].ID < t.ID {
			f.tokens[i] = t
		}
		return
	}
	f.first[s[0]] = true
	f.trie.add(s, int32(len(f.tokens)))
	f.tokens, f.texts = append(f.tokens, t), append(f.texts, s)
}

func (f *addedFinder) nodes() int {
	if f.trie == nil {
		return 0
	}
	return len(f.trie.ids)
}

// cut appends the pieces of s, which stands at base in the text: the added
// tokens, with the white space that is theirs, and what lies between. With
// asText special tokens are left in the text.
func (f *addedFinder) cut(to []piece, s string, base int, asText bool) []piece {
	u := loadUnicode()
	done, scan := 0, f.scan(s)
	for from := 0; ; {
		t, start, end := scan.next(from)
		if t == nil {
			break
		}
		from = end
		if asText && t.Special || t.SingleWord && !u.standsAlone(s, start, end) {
			continue
		}
		for t.LStrip && start > done {
			r, size := lastRune(s[:start])
			if u.class(r)&isSpace == 0 {
				break
			}
			start -= size
		}
		if t.RStrip {
			end = max(end, done) // up to there the token before has found white space
		}
		for t.RStrip && end < len(s) {
			r, size := decodeRune(s[end:])
			if u.class(r)&isSpace == 0 {
				break
			}
			end += size
		}
		if done < start {
			to = append(to, piece{base + done, base + start, -1})
		} else if t.LStrip {
			start = done
		}
		if start < end { // else the token before has taken all of it
			to = append(to, piece{base + start, base + end, t.ID})
			done = end
		}
	}
	if done < len(s) {
		to = append(to, piece{base + done, base + len(s), -1})
	}
	return to
}

// standsAlone reports whether no word goes on at either end.
func (u *unicodeData) standsAlone(s string, start, end int) bool {
	if start > 0 {
		if r, _ := lastRune(s[:start]); u.class(r)&isWord != 0 {
			return false
		}
	}
	if end < len(s) {
		if r, _ := decodeRune(s[end:]); u.class(r)&isWord != 0 {
			return false
		}
	}
	return true
}

// merge checks the added tokens against the vocabulary and returns all tokens
// by id.
func (a *addedTokens) merge(x *vocabIndex) (vocab, error) {
	ids := a.ids()
	size := len(x.tokens)
	for _, id := range ids {
		switch {
		case id < 0:
			return nil, fmt.Errorf("added token %s has the id %d", shorten(a.byID[id].Content), id)
		case int(id) > size+maxIDGap:
			return nil, fmt.Errorf("added token %s has the id %d, far beyond the %d tokens before it", shorten(a.byID[id].Content), id, size)
		}
		size = max(size, int(id)+1)
	}
	all := x.tokens
	if slices.ContainsFunc(ids, func(id int32) bool { return int(id) < len(all) && all[id] == "" }) {
		all = slices.Clone(all) // the model has a gap there
	}
	all = slices.Grow(all, size-len(all))[:size] // else they share what memory there is
	for _, id := range ids {
		content := a.byID[id].Content
		if known := x.id(content); known >= 0 && known != id {
			return nil, fmt.Errorf("added token %s has the id %d, and %d in the vocabulary", shorten(content), id, known)
		}
		if all[id] != "" && all[id] != content {
			return nil, fmt.Errorf("id %d belongs to the token %s and to the added token %s", id, shorten(all[id]), shorten(content))
		}
		all[id] = content
	}
	return all, nil
}

// maxIDGap is how many ids without a token may lie before one: more would
// take memory that no file justifies.
const maxIDGap = 1 << 17

func (a *addedTokens) ids() []int32 {
	ids := make([]int32, 0, len(a.byID))
	for id := range a.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
