package dataset

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// randomWords returns n units of a vocabulary: English words, or Han characters.
func randomWords(rng *rand.Rand, n int, chinese bool) []string {
	words := make([]string, n)
	for i := range words {
		words[i] = randomWord(rng, chinese)
	}
	return words
}

func randomWord(rng *rand.Rand, chinese bool) string {
	if chinese {
		return string(rune(0x4e00 + rng.IntN(3000)))
	}
	return fmt.Sprintf("word%d ", rng.IntN(5000))
}

// changed returns words of which that share are others.
func changed(rng *rand.Rand, words []string, share float64, chinese bool) []string {
	words = append([]string(nil), words...)
	for _, i := range rng.Perm(len(words))[:int(math.Round(share*float64(len(words))))] {
		words[i] = randomWord(rng, chinese)
	}
	return words
}

// jaccard returns the similarity of two texts as it is.
func jaccard(a, b string) float64 {
	set := func(text string) map[uint64]bool {
		all := map[uint64]bool{}
		for h := range windows(text, nearWords*wordWeight) {
			all[h] = true
		}
		return all
	}
	left, right := set(a), set(b)
	both := 0
	for h := range left {
		if right[h] {
			both++
		}
	}
	return float64(both) / float64(len(left)+len(right)-both)
}

// TestSignature compares what signatures tell of pairs of texts with their
// similarity.
func TestSignature(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, length := range []int{12, 60, 1500} {
		for _, share := range []float64{0.02, 0.1, 0.3} {
			bias, square := 0.0, 0.0
			const pairs = 300
			for range pairs {
				words := randomWords(rng, length, false)
				a, b := strings.Join(words, ""), strings.Join(changed(rng, words, share, false), "")
				left, right := signDocument(&Document{Text: a}), signDocument(&Document{Text: b})
				equal := 0.0
				for i := range left {
					if left[i] == right[i] {
						equal++
					}
				}
				off := (equal/minHashes-1./256)/(1-1./256) - jaccard(a, b)
				bias += off / pairs
				square += off * off / pairs
			}
			if math.Abs(bias) > 0.01 || math.Sqrt(square) > 0.05 {
				t.Errorf("%d words, %v changed: bias %.4f, error %.4f", length, share, bias, math.Sqrt(square))
			}
		}
	}
}

// TestNearDuplicates plants copies with changes among other documents.
func TestNearDuplicates(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const originals = 120
	var docs []string
	var copies []int // in docs
	for i := range originals {
		chinese := i%2 == 1
		words := randomWords(rng, 60+rng.IntN(400), chinese)
		docs = append(docs, strings.Join(words, ""))
		copies = append(copies, len(docs))
		near := changed(rng, words, 0.05, chinese)
		if chinese { // its stretches have eight units
			near = changed(rng, words, 0.03, chinese)
		}
		docs = append(docs, strings.Join(near, ""))
		docs = append(docs, strings.Join(changed(rng, words, 0.4, chinese), ""))
	}
	docs = append(docs, "too short", "too short!", "好", "好。", docs[0])
	path := jsonl(t, "a.jsonl", docs)
	sources := []Source{{Path: path, Encoder: byteEncoder(t)}}
	var want map[string]string
	var fingerprint string
	for _, threads := range []int{1, 3} {
		dir := t.TempDir()
		for range 2 { // made, found
			c := mustPrepare(t, sources, PrepareOptions{Dir: dir, Threads: threads, NearDuplicates: 0.5}, 40000)
			s, m := c.sources[0], c.Manifest.Sources[0]
			if want == nil {
				want, fingerprint = cache(t, dir), c.Fingerprint
			}
			if !maps.Equal(cache(t, dir), want) || len(want) < 3 || c.Fingerprint != fingerprint {
				t.Errorf("%d threads: other shards, or only %d", threads, len(want))
			}
			found := 0
			for _, i := range copies {
				if !s.train.has(i) {
					found++
				}
			}
			for i := range docs {
				if i%3 != 1 && i < len(docs)-1 && !s.train.has(i) {
					t.Errorf("document %d of %d is left out", i, len(docs))
				}
			}
			if found < originals*95/100 || m.NearDuplicates != int64(found) || m.Duplicates != 1 || c.Manifest.NearDuplicates != 0.5 {
				t.Errorf("%d of %d copies found, manifest %+v", found, originals, m.ManifestCounts)
			}
		}
	}
	dir := t.TempDir()
	plain := mustPrepare(t, sources, PrepareOptions{Dir: dir}, 40000)
	if m := plain.Manifest.Sources[0]; m.NearDuplicates != 0 || m.Duplicates != 1 {
		t.Errorf("manifest %+v without near duplicates", m.ManifestCounts)
	}
	// Shards without signatures are not taken for others, other similarities have the same.
	before := len(cache(t, dir))
	for _, similarity := range []float64{0.8, 1} {
		c := mustPrepare(t, sources, PrepareOptions{Dir: dir, NearDuplicates: similarity}, 40000)
		if n := len(cache(t, dir)); n != before+len(want) || c.Fingerprint == plain.Fingerprint {
			t.Errorf("%d shards, want %d and %d", n, before, len(want))
		}
	}
}

// TestNearDuplicatesOfMessages takes conversations by all that is said.
func TestNearDuplicatesOfMessages(t *testing.T) {
	talk := func(answer string) string {
		return fmt.Sprintf(`{"messages":[{"role":"user","content":"What is two and two?"},{"role":"assistant","content":%q}]}`+"\n", answer)
	}
	path := write(t, "a.jsonl", talk("It is four")+talk("IT IS FOUR.")+talk("It is five"))
	enc := Encoder{Key: "x", VocabSize: 9, Encode: func(*Document) ([]Sequence, Cut, error) {
		return []Sequence{{IDs: []int32{1}}, {IDs: []int32{2}}}, Cut{}, nil
	}}
	c := mustPrepare(t, []Source{{Path: path, Encoder: enc}}, PrepareOptions{NearDuplicates: 0.9}, shardTokens)
	if m := c.Manifest.Sources[0]; m.NearDuplicates != 1 || c.sources[0].train.count() != 4 || c.sources[0].train.has(2) || c.sources[0].train.has(3) {
		t.Errorf("manifest %+v", m.ManifestCounts)
	}
}

// TestNearBucket has many documents in one bucket: time is bounded.
func TestNearBucket(t *testing.T) {
	const documents = 20000
	x := newNearIndex(0.9, documents)
	rng := rand.New(rand.NewPCG(5, 6))
	signatures := make([]byte, documents*minHashes)
	for i := range signatures {
		if i%minHashes >= x.rows {
			signatures[i] = byte(rng.Uint32())
		}
	}
	x.addShard(signatures)
	start := time.Now()
	for i := range documents {
		if !x.add(i) {
			t.Fatalf("document %d is a copy", i)
		}
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("%v for %d documents", took, documents)
	}
}

// BenchmarkSignDocument signs documents; MB/s are of their text.
func BenchmarkSignDocument(b *testing.B) {
	for _, chinese := range []bool{false, true} {
		for _, length := range []int{50, 1000} {
			b.Run(fmt.Sprintf("chinese=%v/words=%d", chinese, length), func(b *testing.B) {
				d := &Document{Text: strings.Join(randomWords(rand.New(rand.NewPCG(1, 1)), length, chinese), "")}
				b.SetBytes(int64(len(d.Text)))
				for b.Loop() {
					signDocument(d)
				}
			})
		}
	}
}

// BenchmarkNearIndex adds documents that are no copies.
func BenchmarkNearIndex(b *testing.B) {
	const documents = 200000
	rng := rand.New(rand.NewPCG(5, 6))
	signatures := make([]byte, documents*minHashes)
	for i := range signatures {
		signatures[i] = byte(rng.Uint32())
	}
	for b.Loop() {
		x := newNearIndex(0.8, documents)
		x.addShard(signatures)
		for i := range documents {
			x.add(i)
		}
		b.ReportMetric(float64(8*len(x.slots))/documents, "B/document")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/documents, "ns/document")
}
