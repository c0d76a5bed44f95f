package dataset

import (
	"context"
	"fmt"
)

// fileWriter makes the shards of a file, from the first missing one on.
type fileWriter struct {
	*preparer
	source Source
	file   *preparedFile
	key    string
	before int64 // bytes of the files before
	broken brokenCount
	shard  *shardWriter // nil: none begun
}

func (w *fileWriter) write(ctx context.Context) error {
	opt := w.source.Read
	opt.Log = w.opt.Log
	f := &series{paths: w.file.paths, opt: opt}
	defer f.Close()
	if err := f.skip(w.file.info.Records); err != nil {
		return err
	}
	w.broken = brokenCount{path: w.file.paths[0], opt: opt, n: int(w.file.info.Broken)}
	defer func() {
		if w.shard != nil {
			w.shard.abort()
		}
	}()
	if err := w.begin(); err != nil {
		return err
	}
	if err := w.tokenise(ctx, f, w.source.Encoder, w.add); err != nil {
		return err
	}
	w.broken.summary()
	return w.finish(true)
}

func (w *fileWriter) begin() (err error) {
	w.shard, err = newShardWriter(w.shardPath(w.key, len(w.file.shards)), w.source.Encoder.VocabSize, w.opt.signed())
	return err
}

// finish completes the shard and opens it.
func (w *fileWriter) finish(last bool) error {
	done := w.shard
	w.shard = nil
	done.info.Last = last
	if err := done.finish(); err != nil {
		return err
	}
	s, err := openShard(done.path, w.source.Encoder.VocabSize, w.opt.signed())
	if err == nil {
		w.take(w.file, s)
	}
	return err
}

// add writes what became of a batch.
func (w *fileWriter) add(e encoded) error {
	for _, err := range e.broken {
		if err := w.broken.add(err); err != nil {
			return err
		}
	}
	if w.shard.tokens >= w.maxTokens || w.shard.sequences >= shardSequences || len(w.shard.minhash) >= shardSignatures {
		if err := w.finish(false); err != nil {
			return err
		}
		if err := w.begin(); err != nil {
			return err
		}
	}
	for _, one := range e.entries {
		if err := w.shard.add(one); err != nil {
			return fmt.Errorf("%s: %w", w.shard.path, err)
		}
	}
	w.shard.info.add(e.info)
	if w.opt.Progress != nil {
		now := w.progress
		now.Done = w.before + min(e.read, w.file.size)
		now.Documents += w.shard.info.Documents
		now.Tokens += int64(w.shard.tokens)
		w.opt.Progress(now)
	}
	return nil
}
