package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"wenmo/internal/readfile"
)

// A store is one repository's directory in the cache, in the layout that
// huggingface_hub defines:
//
//	models--org--name/blobs/<hash>                   the bytes, by git's blob id or sha256
//	models--org--name/blobs/<hash>.incomplete        the beginning of them
//	models--org--name/snapshots/<commit>/<file>      a relative link to the blob
//	models--org--name/refs/<revision>                the commit of a branch or tag
//	.locks/models--org--name/<hash>.lock             held while a blob is written
//
// All writing goes through root, so that no link in the cache leads out of it.
type store struct {
	root  *os.Root
	dir   string
	locks string
}

func (c *Client) openStore(n Name) (*store, error) {
	s := &store{
		dir:   filepath.Join(c.CacheDir, n.folder()),
		locks: filepath.Join(c.CacheDir, ".locks", n.folder()),
	}
	if err := os.MkdirAll(s.dir, 0o777); err != nil {
		return nil, diskError(err)
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	s.root = root
	return s, nil
}

func (s *store) close() { s.root.Close() }

// discard removes a partial file that turned out wrong.
func (s *store) discard(part *os.File, f file) error {
	part.Close()
	return s.root.Remove(filepath.FromSlash(partialPath(f)))
}

func blobPath(f file) string    { return path.Join("blobs", f.sum) }
func partialPath(f file) string { return path.Join("blobs", f.sum+".incomplete") }
func linkPath(commit string, f file) string {
	return path.Join("snapshots", commit, f.path)
}

// has reports whether the bytes of f are in the cache: as a blob, or as a file
// of the snapshot where links are not possible.
func (s *store) has(commit string, f file) bool {
	return s.isFile(blobPath(f), f.size) || s.isFile(linkPath(commit, f), f.size)
}

// isFile reports whether p is a regular file, not a link, of size bytes.
func (s *store) isFile(p string, size int64) bool {
	info, err := s.root.Lstat(filepath.FromSlash(p))
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// partial opens the beginning of f that an earlier pull left, or a new file.
func (s *store) partial(f file) (*os.File, int64, error) {
	p := filepath.FromSlash(partialPath(f))
	if err := s.root.MkdirAll("blobs", 0o777); err != nil {
		return nil, 0, diskError(err)
	}
	info, err := s.root.Lstat(p)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > f.size) {
		if err := s.root.Remove(p); err != nil {
			return nil, 0, err
		}
		info, err = nil, fs.ErrNotExist
	}
	flags := os.O_RDWR
	if err != nil {
		flags |= os.O_CREATE | os.O_EXCL
	}
	part, err := s.root.OpenFile(p, flags, 0o666)
	if err != nil {
		return nil, 0, diskError(err)
	}
	if info == nil {
		return part, 0, nil
	}
	return part, info.Size(), nil
}

// finish makes a whole partial file the blob, once it is safe on the disk.
func (s *store) finish(part *os.File, f file) error {
	if err := part.Sync(); err != nil {
		return diskError(err)
	}
	if err := part.Close(); err != nil { // Windows renames no open file
		return diskError(err)
	}
	err := s.root.Rename(filepath.FromSlash(partialPath(f)), filepath.FromSlash(blobPath(f)))
	if errors.Is(err, fs.ErrNotExist) && s.isFile(blobPath(f), f.size) {
		return nil // on a file system without locks, another pull was faster
	}
	if err != nil {
		return err
	}
	syncDir(filepath.Join(s.dir, "blobs"))
	return nil
}

// link puts f into the snapshot: a relative link to the blob; where the system
// has no links for us (Windows), a second name of the blob, or a copy.
func (s *store) link(commit string, f file) error {
	name := linkPath(commit, f)
	target := strings.Repeat("../", strings.Count(name, "/")) + blobPath(f)
	link := filepath.FromSlash(name)
	if to, err := s.root.Readlink(link); err == nil && filepath.ToSlash(to) == target || s.isFile(name, f.size) {
		return nil
	}
	if err := s.root.MkdirAll(filepath.Dir(link), 0o777); err != nil {
		return diskError(err)
	}
	return s.replace(link, func(tmp string) error {
		blob := filepath.FromSlash(blobPath(f))
		if s.root.Symlink(filepath.FromSlash(target), tmp) == nil || s.root.Link(blob, tmp) == nil {
			return nil
		}
		return s.copy(blob, tmp)
	})
}

func (s *store) copy(from, to string) error {
	src, err := s.root.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := s.root.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Sync(), dst.Close())
}

// setRef notes that the revision is the commit.
func (s *store) setRef(revision, commit string) error {
	if revision == commit {
		return nil
	}
	ref := filepath.Join("refs", filepath.FromSlash(revision))
	if old, err := s.root.ReadFile(ref); err == nil && strings.TrimSpace(string(old)) == commit {
		return nil
	}
	if err := s.root.MkdirAll(filepath.Dir(ref), 0o777); err != nil {
		return diskError(err)
	}
	return s.replace(ref, func(tmp string) error { return s.root.WriteFile(tmp, []byte(commit), 0o666) })
}

// replace makes a file under a passing name and moves it to its own, so that
// nobody ever sees it unfinished.
func (s *store) replace(name string, create func(tmp string) error) error {
	if err := s.root.MkdirAll("blobs", 0o777); err != nil {
		return diskError(err)
	}
	tmp := filepath.Join("blobs", fmt.Sprintf("%016x.tmp", rand.Uint64()))
	err := create(tmp)
	if err == nil {
		err = s.root.Rename(tmp, name)
	}
	if err != nil {
		_ = s.root.Remove(tmp)
		return diskError(err)
	}
	return nil
}

// readJSON reads a file of the snapshot, or its blob before there is a link.
func (s *store) readJSON(commit string, f file, v any) error {
	if f.size > maxAPIBody {
		return fmt.Errorf("%s: %d bytes are too many (at most %d)", f.path, f.size, maxAPIBody)
	}
	data, err := s.root.ReadFile(filepath.FromSlash(blobPath(f)))
	if errors.Is(err, fs.ErrNotExist) {
		data, err = s.root.ReadFile(filepath.FromSlash(linkPath(commit, f)))
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return nil
}

// A shardIndex is the part of model.safetensors.index.json that names files.
type shardIndex struct {
	WeightMap map[string]string `json:"weight_map"`
}

// files returns the shards that the index names, in order, from a listing.
func (x shardIndex) files(listing []file) ([]file, error) {
	byPath := map[string]file{}
	for _, f := range listing {
		byPath[f.path] = f
	}
	shards := map[string]file{}
	for tensor, name := range x.WeightMap {
		f, ok := byPath[name]
		if !ok {
			return nil, fmt.Errorf("%s: %q is in %q, and there is no such file", indexFile, tensor, name)
		}
		shards[name] = f
	}
	if len(shards) == 0 {
		return nil, fmt.Errorf("%s: weight_map names no file", indexFile)
	}
	var files []file
	for _, f := range shards {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return files, nil
}

// Find looks for a model in the cache, whichever tool put it there, and asks
// nobody. It returns what Pull would; ok is false when the model is not there
// or is not whole: no weights, or a shard that the index names is missing.
func (c *Client) Find(name string) (path string, ok bool, err error) {
	n, err := ParseName(name)
	if err != nil {
		return "", false, err
	}
	repo := filepath.Join(c.CacheDir, n.folder())
	commit := n.Revision
	if ref, err := readfile.Regular(filepath.Join(repo, "refs", filepath.FromSlash(n.Revision))); err == nil {
		commit = strings.TrimSpace(string(ref))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	if !isCommit(commit) {
		return "", false, nil
	}
	dir := filepath.Join(repo, "snapshots", commit)
	files, err := snapshotFiles(dir)
	if err != nil {
		return "", false, err
	}
	main, ok := whole(dir, files, n.Quant)
	if !ok {
		return "", false, nil
	}
	return filepath.Join(dir, filepath.FromSlash(main)), true, nil
}

// whole reports whether the files of a snapshot make a model, and which GGUF
// file it is, if it is one.
func whole(dir string, files []file, quant string) (main string, ok bool) {
	sel, err := choose(files, quant)
	if err != nil {
		return "", false
	}
	if sel.index == nil {
		return sel.main, true
	}
	data, err := readfile.Regular(filepath.Join(dir, indexFile))
	if err != nil {
		return "", false
	}
	var index shardIndex
	if json.Unmarshal(data, &index) != nil {
		return "", false
	}
	_, err = index.files(files)
	return "", err == nil
}

// snapshotFiles lists the files of a snapshot that are there: a link without
// its blob is not. There may be no such directory.
func snapshotFiles(dir string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(p)
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		files = append(files, file{path: filepath.ToSlash(rel), size: info.Size()})
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return files, err
}
