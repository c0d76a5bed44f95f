package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wenmo/internal/readfile"
)

// An Entry is one snapshot of a repository in the cache.
type Entry struct {
	Name      string    // org/name
	Commit    string    // "" when nothing but parts of downloads is there
	Revisions []string  // branches and tags that stand for the commit here
	Path      string    // the snapshot's directory
	Size      int64     // bytes of its files
	Files     int       // number of them
	Modified  time.Time // of the youngest file
	Whole     bool      // it makes a model, or a tokenizer
}

// List returns the models in the cache, by name and then youngest first. Where
// some of them cannot be read it returns the others, and why.
func (c *Client) List() ([]Entry, error) {
	folders, err := os.ReadDir(c.CacheDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []Entry
	var errs []error
	for _, folder := range folders {
		repo, ok := repoOfFolder(folder.Name())
		if !ok {
			continue
		}
		found, err := listRepo(repo, filepath.Join(c.CacheDir, folder.Name()))
		errs = append(errs, err)
		entries = append(entries, found...)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		if n := strings.Compare(a.Name, b.Name); n != 0 {
			return n
		}
		return b.Modified.Compare(a.Modified)
	})
	return entries, errors.Join(errs...)
}

func listRepo(repo, dir string) ([]Entry, error) {
	refs, err := readRefs(dir)
	if err != nil {
		return nil, err
	}
	commits, err := snapshotNames(dir)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, commit := range commits {
		path := filepath.Join(dir, "snapshots", commit)
		files, err := snapshotFiles(path)
		if err != nil {
			return nil, err
		}
		_, ok := whole(path, files, "")
		e := Entry{Name: repo, Commit: commit, Revisions: refs[commit], Path: path, Files: len(files), Whole: ok || hasGGUF(files)}
		for _, f := range files {
			e.Size += f.size
			if info, err := os.Stat(filepath.Join(path, filepath.FromSlash(f.path))); err == nil && info.ModTime().After(e.Modified) {
				e.Modified = info.ModTime()
			}
		}
		entries = append(entries, e)
	}
	if len(entries) > 0 {
		return entries, nil
	}
	return listParts(repo, dir)
}

// hasGGUF reports whether there is a whole GGUF model among several.
func hasGGUF(files []file) bool {
	return slices.ContainsFunc(ggufVariants(files), func(v variant) bool { return len(v.files) == v.of })
}

// listParts makes the entry of a repository that has blobs but no snapshot: a
// first download that was broken off.
func listParts(repo, dir string) ([]Entry, error) {
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(blobs) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e := Entry{Name: repo, Path: dir}
	for _, blob := range blobs {
		info, err := blob.Info()
		if err != nil {
			continue // gone in the meantime
		}
		e.Size += info.Size()
		e.Files++
		if info.ModTime().After(e.Modified) {
			e.Modified = info.ModTime()
		}
	}
	return []Entry{e}, nil
}

// readRefs returns the revisions of each commit.
func readRefs(dir string) (map[string][]string, error) {
	refs := map[string][]string{}
	root := filepath.Join(dir, "refs")
	err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := readfile.Regular(p)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		commit := strings.TrimSpace(string(data))
		refs[commit] = append(refs[commit], filepath.ToSlash(name))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return refs, err
}

func snapshotNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if isCommit(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Remove deletes a repository from the cache, whole or, when the name has an
// @revision, only that snapshot and the blobs that no other one uses. It
// returns an error that is ErrNotFound when there is nothing of it, and another
// while one of its files is being downloaded.
func (c *Client) Remove(name string) error {
	n, err := ParseName(name)
	if err != nil {
		return err
	}
	if n.Quant != "" {
		return fmt.Errorf("remove %s: only a repository or a revision of it can be removed, not one file", n)
	}
	dir := filepath.Join(c.CacheDir, n.folder())
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w in %s", n, ErrNotFound, c.CacheDir)
	}
	locks := filepath.Join(c.CacheDir, ".locks", n.folder())
	err = unlocked(locks)
	switch {
	case err != nil:
	case strings.Contains(name, "@"):
		err = removeRevision(dir, n)
	default:
		err = errors.Join(os.RemoveAll(dir), os.RemoveAll(locks))
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", n, err)
	}
	return nil
}

func removeRevision(dir string, n Name) error {
	refs, err := readRefs(dir)
	if err != nil {
		return err
	}
	commit := n.Revision
	for c, names := range refs {
		if slices.Contains(names, n.Revision) {
			commit = c
		}
	}
	commits, err := snapshotNames(dir)
	if err != nil {
		return err
	}
	if !slices.Contains(commits, commit) {
		return fmt.Errorf("%w: there is no snapshot of revision %q", ErrNotFound, n.Revision)
	}
	unused, err := blobsOf(dir, commit)
	if err != nil {
		return err
	}
	for _, other := range commits {
		if other == commit {
			continue
		}
		used, err := blobsOf(dir, other)
		if err != nil {
			return err
		}
		for blob := range used {
			delete(unused, blob)
		}
	}
	// References first and blobs last: a removal that breaks off leaves nothing
	// that looks whole and is not.
	for _, ref := range refs[commit] {
		err = errors.Join(err, os.Remove(filepath.Join(dir, "refs", filepath.FromSlash(ref))))
	}
	err = errors.Join(err, os.RemoveAll(filepath.Join(dir, "snapshots", commit)))
	for blob := range unused {
		err = errors.Join(err, os.Remove(filepath.Join(dir, "blobs", blob)))
	}
	return err
}

// blobsOf returns the names of the blobs that a snapshot links to.
func blobsOf(dir, commit string) (map[string]bool, error) {
	blobs := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(dir, "snapshots", commit), func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink == 0 {
			return err
		}
		to, err := os.Readlink(p)
		blob := filepath.Join(filepath.Dir(p), to)
		if filepath.Dir(blob) == filepath.Join(dir, "blobs") {
			if _, err := os.Lstat(blob); err == nil {
				blobs[filepath.Base(blob)] = true
			}
		}
		return err
	})
	return blobs, err
}
