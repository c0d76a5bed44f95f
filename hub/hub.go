// Package hub gets models from a Hugging Face hub, or a mirror of one, into
// the cache that the hub's other tools use, and finds them there. A name goes
// in, a local path comes out; nothing here looks inside a model.
package hub

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

// parallel is how many files of a model are downloaded at once.
const parallel = 4

// A Client gets models from one hub into one cache.
type Client struct {
	Endpoint string // the hub's address, without a slash at the end
	Token    string // sent to Endpoint and nowhere else; may be ""
	CacheDir string // the directory with models--org--name in it
	Offline  bool   // the cache must do

	unfit          error         // why the hub cannot be asked
	backoff, stall time.Duration // tests shorten them; 0: firstBackoff, stallTimeout
}

// Options are the choices of a Pull. The zero value gets a language model.
type Options struct {
	// Include names the files to get instead of those of a language model:
	// patterns of path.Match for a file's path or name.
	Include []string
	// Progress is called from time to time, never twice at once.
	Progress func(Progress)
}

// Pull brings a model into the cache and returns its path: the directory of
// the snapshot, or the GGUF file in it when the name selects one or the
// repository has nothing else. What is there already is not downloaded again,
// and what a broken pull left is continued. When ctx ends, or anything else
// goes wrong, what has come so far stays for the next time.
func (c *Client) Pull(ctx context.Context, name string, options Options) (string, error) {
	n, err := ParseName(name)
	if err != nil {
		return "", err
	}
	if c.Offline {
		found, ok, err := c.Find(name)
		if err == nil && !ok {
			err = fmt.Errorf("pull %s: %w, and it is not whole in the cache %s", n, ErrOffline, c.CacheDir)
		}
		return found, err
	}
	if c.unfit != nil {
		return "", fmt.Errorf("pull %s: %w", n, c.unfit)
	}
	p := &pull{client: c, name: n, meter: newMeter(options.Progress)}
	found, err := p.run(ctx, options.Include)
	if err != nil {
		return "", fmt.Errorf("pull %s: %w", n, err)
	}
	return found, nil
}

// A pull is one run of Pull.
type pull struct {
	client *Client
	name   Name
	meter  *meter
	store  *store
	remote
}

func (p *pull) run(ctx context.Context, include []string) (string, error) {
	var err error
	if p.remote, err = p.client.look(ctx, p.name, p.note); err != nil {
		return "", err
	}
	if p.store, err = p.client.openStore(p.name); err != nil {
		return "", err
	}
	defer p.store.close()
	sel, err := p.choose(include)
	if err != nil {
		return "", err
	}
	files, err := p.fetchAll(ctx, sel.files)
	if err != nil {
		return "", err
	}
	if sel.index != nil {
		shards, err := p.shards(ctx, *sel.index)
		if err != nil {
			return "", err
		}
		files = append(files, shards...)
	}
	// Only now does the snapshot appear, and the revision last: what can be
	// found is whole.
	for _, f := range files {
		if err := p.store.link(p.commit, f); err != nil {
			return "", fmt.Errorf("%s: %w", f.path, err)
		}
	}
	if err := p.store.setRef(p.name.Revision, p.commit); err != nil {
		return "", err
	}
	p.meter.finish()
	return filepath.Join(p.store.dir, "snapshots", p.commit, filepath.FromSlash(sel.main)), nil
}

func (p *pull) note(text string) { p.meter.note(file{}, text) }

func (p *pull) choose(include []string) (selection, error) {
	if len(include) > 0 {
		return including(p.files, include)
	}
	return choose(p.files, p.name.Quant)
}

// shards fetches the files that the index of the weights names.
func (p *pull) shards(ctx context.Context, index file) ([]file, error) {
	var x shardIndex
	if err := p.store.readJSON(p.commit, index, &x); err != nil {
		return nil, err
	}
	files, err := x.files(p.files)
	if err != nil {
		return nil, err
	}
	return p.fetchAll(ctx, files)
}

// fetchAll brings files into the cache, several at a time, and returns them
// with all that the hub says of them. The first error stops the others.
func (p *pull) fetchAll(ctx context.Context, files []file) ([]file, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	known := make([]file, len(files))
	if err := p.each(ctx, cancel, files, func(i int, f file) (err error) {
		if f.size < 0 {
			f, err = p.client.head(ctx, p.name, p.note, p.commit, f)
		}
		known[i] = f
		return err
	}); err != nil {
		return nil, err
	}
	p.meter.expect(known)
	if err := p.room(known); err != nil {
		return nil, err
	}
	return known, p.each(ctx, cancel, known, func(_ int, f file) error { return p.fetch(ctx, f) })
}

// each runs do for every file, at most parallel at once, and returns the first
// error.
func (p *pull) each(ctx context.Context, cancel context.CancelCauseFunc, files []file, do func(int, file) error) error {
	var group sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, f := range files {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			if err := do(i, f); err != nil {
				cancel(err)
			}
			<-slots
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// room refuses a download that cannot fit on the disk.
func (p *pull) room(files []file) error {
	var need int64
	for _, f := range files {
		if p.store.has(p.commit, f) {
			continue
		}
		need += f.size
		if info, err := p.store.root.Lstat(filepath.FromSlash(partialPath(f))); err == nil {
			need -= min(info.Size(), f.size)
		}
	}
	if free, ok := freeSpace(p.store.dir); ok && free < need {
		return fmt.Errorf("%w: %s are still to come and %s has room for %s", ErrDiskFull, bytesText(need), p.store.dir, bytesText(free))
	}
	return nil
}
