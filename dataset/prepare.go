package dataset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Source is a part of a corpus.
type Source struct {
	Name string // "": the path
	Path string // a file, a folder or a glob
	// Weight is the source's share of the tokens of a mixture, in relation to
	// the weights of the others. Passes says instead how often each document
	// is seen over a whole run. All sources have the one or the other; none
	// at all means one pass.
	Weight  float64
	Passes  float64
	Licence string
	Origin  string // where it comes from, for the manifest
	Read    ReadOptions
	Encoder Encoder
}

func (s Source) name() string { return cmp.Or(s.Name, s.Path) }

// PrepareOptions are the settings of Prepare.
type PrepareOptions struct {
	Dir     string // of the cache; it is made
	Threads int    // 0: as many as processors
	// HeldOut is the share of documents kept for validation, chosen by the hash
	// of their text alone, as the source's template makes it: what another source
	// makes of the same record is another document.
	HeldOut        float64
	KeepDuplicates bool
	// NearDuplicates is the similarity from which a document counts as a copy of
	// an earlier one and is left out: stretches of five words, or eight Han
	// characters, that both have, over those that one of them has. Changing one
	// word in twenty leaves 0.6. 0: only exact copies are. Texts of fewer words
	// have exact copies alone.
	NearDuplicates float64
	// Evaluation lists files, folders and globs of evaluation sets; documents
	// that have a stretch of EvaluationWords words in common with one of their
	// texts are left out. 20 Han characters count as 13 words. 0: 13; more where
	// texts share many phrases, as simple stories do.
	Evaluation      []string
	EvaluationWords int

	Log      func(string)          // what goes wrong but can be lived with; nil: nobody hears it
	Progress func(PrepareProgress) // nil: nobody
}

// PrepareProgress says how far Prepare is.
type PrepareProgress struct {
	File        string // the first, of small ones taken together
	Done, Total int64  // bytes of all files, compressed as they are
	Documents   int64
	Tokens      int64
}

func (o PrepareOptions) threads() int {
	if o.Threads == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return o.Threads
}

// signed says whether shards have signatures, which serve any similarity.
func (o PrepareOptions) signed() bool { return o.NearDuplicates > 0 }

const (
	// A shard ends after the batch that brings it to one of these: a killed
	// process loses no more than that, and a writer holds 21 bytes a sequence.
	shardTokens    = 64 << 20
	shardSequences = 4 << 20
	// So many bytes of signatures end it too.
	shardSignatures = 64 << 20

	staleTemp = 24 * time.Hour // no shard takes as long to write
)

// preparer is a Prepare under way.
type preparer struct {
	opt        PrepareOptions
	maxTokens  int         // of a shard
	evaluation *evaluation // nil: none
	evalKey    string
	progress   PrepareProgress
	opened     []*shard
}

// Prepare tokenises the files of sources into shards, which it maps, and
// selects what is trained on and what is held out. A shard is named by the
// contents of the file, the options of its reading, the encoder, the evaluation
// sets and whether it has signatures, so it is made once. It is not seen in its place before it is
// complete: after a kill, the next Prepare goes on behind the last one.
//
// Memory is bounded by batches of records, a writer's share of a shard, 16 to
// 32 bytes per document for finding duplicates (not with KeepDuplicates), a
// quarter byte per document for the selection, 16 to 32 bytes per word of the
// evaluation sets and, with NearDuplicates, 11 bytes per document and band of
// its signature (224 for 0.8, 448 for 0.5), beside the 128 bytes of the signature
// in the shard. The shards are the same for any number of threads.
func Prepare(ctx context.Context, sources []Source, opt PrepareOptions) (*Corpus, error) {
	return prepare(ctx, sources, opt, shardTokens)
}

func prepare(ctx context.Context, sources []Source, opt PrepareOptions, maxTokens int) (_ *Corpus, err error) {
	if opt.HeldOut < 0 || opt.HeldOut >= 1 {
		return nil, fmt.Errorf("a held-out share of %v, want 0 or more and less than 1", opt.HeldOut)
	}
	if !(opt.NearDuplicates >= 0 && opt.NearDuplicates <= 1) {
		return nil, fmt.Errorf("near duplicates from a similarity of %v, want 0 to 1", opt.NearDuplicates)
	}
	if opt.NearDuplicates > 0 && opt.KeepDuplicates {
		return nil, errors.New("near duplicates are left out, but exact ones are kept")
	}
	if err := checkShares(sources); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opt.Dir, 0o777); err != nil {
		return nil, err
	}
	sweep(opt.Dir)
	p := &preparer{opt: opt, maxTokens: maxTokens}
	defer func() {
		if err != nil {
			for _, s := range p.opened {
				err = errors.Join(err, s.file.Close())
			}
		}
	}()
	if err := p.readEvaluation(ctx); err != nil {
		return nil, err
	}
	plan, err := p.plan(sources)
	if err != nil {
		return nil, err
	}
	for i := range plan {
		for k := range plan[i].files {
			if err := p.file(ctx, sources[i], &plan[i].files[k]); err != nil {
				return nil, err
			}
		}
	}
	return newCorpus(sources, plan, opt)
}

// checkShares refuses weights and passes that do not go together.
func checkShares(sources []Source) error {
	if len(sources) == 0 {
		return errors.New("a corpus without sources")
	}
	names := map[string]bool{}
	weights, passes := 0, 0
	for _, s := range sources {
		if names[s.name()] {
			return fmt.Errorf("two sources are named %q", s.name())
		}
		names[s.name()] = true
		if !(s.Weight >= 0 && s.Passes >= 0) || s.Weight > 0 && s.Passes > 0 {
			return fmt.Errorf("source %q: weight %v and passes %v, want one of them above 0", s.name(), s.Weight, s.Passes)
		}
		if s.Weight > 0 {
			weights++
		}
		if s.Passes > 0 {
			passes++
		}
	}
	if weights > 0 && passes > 0 {
		return fmt.Errorf("%d sources have a weight and %d have passes; give all the one or the other", weights, passes)
	}
	return nil
}

// sweep removes what killed processes have left in the cache.
func sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, tempPattern))
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > staleTemp {
			os.Remove(path) // may still be open elsewhere: then the next time
		}
	}
}

// plannedSource is the files of a source.
type plannedSource struct {
	files []preparedFile
}

// preparedFile is a file, or a series of small ones, and its shards.
type preparedFile struct {
	paths  []string
	size   int64
	sha256 string
	info   shardInfo // of all shards
	shards []*shard
}

func (p *preparer) plan(sources []Source) ([]plannedSource, error) {
	plan := make([]plannedSource, len(sources))
	for i, source := range sources {
		paths, err := Files(source.Path)
		if err != nil {
			return nil, err
		}
		if plan[i].files, err = plannedFiles(paths); err != nil {
			return nil, err
		}
		for _, file := range plan[i].files {
			p.progress.Total += file.size
		}
	}
	return plan, nil
}

func (p *preparer) readEvaluation(ctx context.Context) error {
	if len(p.opt.Evaluation) == 0 {
		return nil
	}
	var sums []string
	for _, path := range p.opt.Evaluation {
		files, err := Files(path)
		if err != nil {
			return err
		}
		for _, file := range files {
			sum, err := hashFile(ctx, file)
			if err != nil {
				return err
			}
			sums = append(sums, filepath.Base(file), sum)
		}
	}
	var err error
	words := cmp.Or(p.opt.EvaluationWords, evaluationWords)
	if words < 1 {
		return fmt.Errorf("stretches of %d words in evaluation sets, want 1 or more", words)
	}
	if p.evalKey, err = keyOf(wordWeight, hanWeight, words, sums); err != nil {
		return err
	}
	p.evaluation, err = readEvaluation(ctx, p.opt.Evaluation, words, ReadOptions{Log: p.opt.Log})
	return err
}

// file opens the shards of a file and makes those that are missing.
func (p *preparer) file(ctx context.Context, source Source, file *preparedFile) (err error) {
	if file.sha256, err = hashFiles(ctx, file.paths); err != nil {
		return err
	}
	format, compression := formatOf(file.paths[0])
	parts := []any{file.sha256, format, compression, source.Read, source.Encoder.Key, source.Encoder.VocabSize, p.evalKey, p.maxTokens}
	if p.opt.signed() {
		parts = append(parts, minHashKey)
	}
	key, err := keyOf(parts...)
	if err != nil {
		return err
	}
	p.progress.File = file.paths[0]
	before := p.progress.Done
	for !file.info.Last {
		path := p.shardPath(key[:32], len(file.shards))
		if _, err := os.Stat(path); err != nil {
			break
		}
		s, err := openShard(path, source.Encoder.VocabSize, p.opt.signed())
		if err != nil {
			p.log("made again: " + err.Error())
			break
		}
		p.take(file, s)
	}
	p.report(before)
	if !file.info.Last {
		w := fileWriter{preparer: p, source: source, file: file, key: key[:32], before: before}
		if err := w.write(ctx); err != nil {
			return err
		}
	}
	p.report(before + file.size)
	return nil
}

func (p *preparer) shardPath(key string, i int) string {
	return filepath.Join(p.opt.Dir, fmt.Sprintf("%s-%05d.safetensors", key, i))
}

// take adds an open shard to those of a file.
func (p *preparer) take(file *preparedFile, s *shard) {
	p.opened = append(p.opened, s)
	file.shards = append(file.shards, s)
	file.info.add(s.info)
	file.info.Last = s.info.Last
	p.progress.Documents += s.info.Documents
	p.progress.Tokens += int64(s.tokens())
}

func (p *preparer) log(text string) {
	if p.opt.Log != nil {
		p.opt.Log(text)
	}
}

func (p *preparer) report(done int64) {
	p.progress.Done = done
	if p.opt.Progress != nil {
		p.opt.Progress(p.progress)
	}
}
