package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"wenmo/internal/mmap"
)

// Corpus is prepared sources, ready for mixtures and validation. It may be used
// by many goroutines.
type Corpus struct {
	Manifest Manifest
	// Fingerprint stands for the shards and what is trained on of them.
	Fingerprint string

	sources []corpusSource
	opt     PrepareOptions
}

// corpusSource is the sequences of a source.
type corpusSource struct {
	Source
	shards
	train  bitset
	held   bitset
	tokens int64 // to train on
	masked bool  // of some sequences not all tokens count
}

// Close gives the memory of the shards back. Sequences made of them stay.
func (c *Corpus) Close() error {
	var err error
	for _, s := range c.sources {
		for _, one := range s.list {
			err = errors.Join(err, one.file.Close())
		}
	}
	return err
}

// Tokens returns how many tokens of the source of that name there are to train
// on.
func (c *Corpus) Tokens(source string) int64 {
	for _, s := range c.sources {
		if s.name() == source {
			return s.tokens
		}
	}
	return 0
}

// PassTokens returns how many tokens a run has that sees each source as many
// times as its Passes say, once if no source has any.
func (c *Corpus) PassTokens() int64 {
	total := 0.0
	for _, s := range c.sources {
		total += float64(s.tokens) * passes(s.Source)
	}
	return int64(total)
}

// passes returns the passes of a source that has no weight.
func passes(s Source) float64 {
	if s.Passes == 0 {
		return 1
	}
	return s.Passes
}

// newCorpus selects what is trained on: documents that are neither duplicates
// or near copies of earlier ones, nor contaminated, nor held out.
func newCorpus(sources []Source, plan []plannedSource, opt PrepareOptions) (*Corpus, error) {
	c := &Corpus{opt: opt, Manifest: Manifest{HeldOut: opt.HeldOut, NearDuplicates: opt.NearDuplicates, Evaluation: opt.Evaluation}}
	seen := newEarlier(plan, opt)
	names := sha256.New()
	if opt.signed() {
		fmt.Fprintln(names, minHashKey, opt.NearDuplicates)
	}
	for i, p := range plan {
		s := corpusSource{Source: sources[i]}
		var list []*shard
		for _, f := range p.files {
			list = append(list, f.shards...)
		}
		s.shards = newShards(list)
		s.train, s.held = newBitset(s.len()), newBitset(s.len())
		manifest := ManifestSource{Name: s.name(), Licence: s.Licence, Origin: s.Origin, Weight: s.Weight, Passes: s.Passes}
		at := 0
		for _, f := range p.files {
			counts, err := s.selectFile(f, at, seen, opt)
			if err != nil {
				return nil, err
			}
			for _, one := range f.shards {
				at += one.n
			}
			manifest.add(counts)
			fmt.Fprintln(names, f.sha256, counts.ManifestCounts)
		}
		if manifest.Documents == 0 {
			return nil, fmt.Errorf("source %q: %s: %w", s.name(), s.Path, ErrEmpty)
		}
		fmt.Fprintf(names, "%q %s\n", s.name(), s.Encoder.Key)
		c.Manifest.Sources = append(c.Manifest.Sources, manifest)
		c.sources = append(c.sources, s)
	}
	c.Fingerprint = hex.EncodeToString(names.Sum(nil))[:32]
	return c, nil
}

// selectFile selects among the sequences of a file, the first of which is at.
func (s *corpusSource) selectFile(f preparedFile, at int, seen *earlier, opt PrepareOptions) (ManifestFile, error) {
	m := ManifestFile{Path: f.paths[0], Files: len(f.paths), SHA256: f.sha256, Size: f.size, ManifestCounts: ManifestCounts{
		Documents: f.info.Documents, Bytes: f.info.Bytes, Empty: f.info.Empty, Broken: f.info.Broken,
		Truncated: f.info.Truncated, TooLong: f.info.Dropped,
	}}
	limit := heldOutLimit(opt.HeldOut)
	for _, one := range f.shards {
		s.masked = s.masked || one.mask != nil
		err := mmap.Guard(one.file.Path, func() error {
			fate, document := dropped, 0
			if seen.near != nil {
				seen.near.addShard(one.minhash)
			}
			for i := range one.n {
				if !one.continues(i) {
					fate = m.fate(one, i, document, seen, limit)
					document++
				}
				m.TokensAll += int64(one.length(i))
				switch fate {
				case trained:
					s.train.set(at + i)
					s.tokens += int64(one.length(i))
					m.Tokens += int64(one.length(i))
				case heldOut:
					s.held.set(at + i)
				}
			}
			return nil
		})
		if err != nil {
			return m, err
		}
		at += one.n
	}
	return m, nil
}

// heldOutLimit returns the hash below which documents are held out.
func heldOutLimit(share float64) uint64 {
	return uint64(math.Ldexp(share, 64))
}

// What becomes of a document.
const (
	dropped = iota
	trained
	heldOut
)

// earlier is the documents before one.
type earlier struct {
	hashes *hashSet   // nil: copies are kept
	near   *nearIndex // of those kept; nil: near copies are
}

func newEarlier(plan []plannedSource, opt PrepareOptions) *earlier {
	documents := int64(0)
	for _, p := range plan {
		for _, f := range p.files {
			documents += f.info.Documents
		}
	}
	var e earlier
	if !opt.KeepDuplicates {
		e.hashes = newHashSet(int(documents))
	}
	if opt.signed() {
		e.near = newNearIndex(opt.NearDuplicates, int(documents))
	}
	return &e
}

// fate decides about a document and counts it.
func (m *ManifestFile) fate(s *shard, i, document int, seen *earlier, limit uint64) int {
	h := s.hash(i)
	switch {
	case seen.hashes != nil && !seen.hashes.add(h):
		m.Duplicates++
		return dropped
	case s.isContaminated(i):
		m.Contaminated++
		return dropped
	case seen.near != nil && !seen.near.add(document):
		m.NearDuplicates++
		return dropped
	case h < limit:
		m.HeldOut++
		return heldOut
	}
	return trained
}
