package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

const (
	maxFiles    = 100_000
	maxPages    = 1000
	maxFileSize = 1 << 44 // bytes; keeps the sum of maxFiles within an int64
)

// A file is one file of a repository at a commit.
type file struct {
	path string // slash-separated, checked by validPath
	size int64
	// sum names the blob in the cache and proves its bytes: the sha256 (64
	// digits) of a file in LFS, else git's blob id (40 digits).
	sum string
}

// A remote is what the hub says of a repository at a revision.
type remote struct {
	commit string
	files  []file
}

// look asks the hub for the commit of n's revision and the files in it.
func (c *Client) look(ctx context.Context, n Name, note func(string)) (remote, error) {
	var info struct {
		SHA      string
		Siblings []struct{ RFilename string }
	}
	address := c.Endpoint + "/api/models/" + n.Repo + "/revision/" + url.PathEscape(n.Revision)
	if _, err := c.getJSON(ctx, n, note, address, &info); err != nil {
		return remote{}, err
	}
	if !isCommit(info.SHA) {
		return remote{}, fmt.Errorf("%s: the commit is %q (want 40 hexadecimal digits)", address, info.SHA)
	}
	files, err := c.tree(ctx, n, note, info.SHA)
	if errors.Is(err, ErrNotFound) {
		// A mirror without the tree: ask for each file that it lists.
		if len(info.Siblings) > maxFiles {
			return remote{}, fmt.Errorf("%s has more than %d files", n.Repo, maxFiles)
		}
		for _, s := range info.Siblings {
			files = append(files, file{path: s.RFilename, size: -1})
		}
		err = nil
	}
	if err != nil {
		return remote{}, err
	}
	seen := map[string]bool{}
	for _, f := range files {
		if !validPath(f.path) {
			return remote{}, fmt.Errorf("%s has a file named %q, which no directory here may hold", n.Repo, f.path)
		}
		if seen[f.path] {
			return remote{}, fmt.Errorf("%s lists the file %q twice", n.Repo, f.path)
		}
		seen[f.path] = true
	}
	return remote{info.SHA, files}, nil
}

// A treeEntry is an element of the answer of /api/models/{repo}/tree/{revision}.
type treeEntry struct {
	Type string
	Path string
	OID  string
	Size int64
	LFS  *struct {
		OID  string
		Size int64
	}
}

// tree lists the files of a commit, page by page. The next page is the Link
// header's query at the same address, so that no answer can lead elsewhere.
func (c *Client) tree(ctx context.Context, n Name, note func(string), commit string) ([]file, error) {
	address := c.Endpoint + "/api/models/" + n.Repo + "/tree/" + commit
	var files []file
	seen := map[string]bool{}
	for query := "recursive=true"; query != ""; {
		if seen[query] {
			return nil, fmt.Errorf("%s: the pages of the listing run in a circle", address)
		}
		seen[query] = true
		var page []treeEntry
		header, err := c.getJSON(ctx, n, note, address+"?"+query, &page)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if e.Type != "file" {
				continue
			}
			f, err := e.file()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", address, err)
			}
			files = append(files, f)
		}
		if len(files) > maxFiles || len(seen) > maxPages {
			return nil, fmt.Errorf("%s: the listing has more than %d files or %d pages", address, maxFiles, maxPages)
		}
		query = nextQuery(header)
	}
	return files, nil
}

func (e treeEntry) file() (file, error) {
	f := file{path: e.Path, size: e.Size, sum: e.OID}
	digits := 40
	if e.LFS != nil {
		f.size, f.sum, digits = e.LFS.Size, e.LFS.OID, 64
	}
	return f, f.check(digits)
}

func (f file) check(digits int) error {
	if f.size < 0 || f.size > maxFileSize {
		return fmt.Errorf("%q has a size of %d bytes", f.path, f.size)
	}
	if !isHex(f.sum, digits) {
		return fmt.Errorf("%q has the hash %q (want %d hexadecimal digits)", f.path, f.sum, digits)
	}
	return nil
}

var nextLink = regexp.MustCompile(`<([^>]*)>\s*;[^,]*\brel="?next"?`)

// nextQuery is the query of the next page of a listing, "" when there is none.
func nextQuery(h http.Header) string {
	m := nextLink.FindStringSubmatch(strings.Join(h.Values("Link"), ","))
	if m == nil {
		return ""
	}
	u, err := url.Parse(m[1])
	if err != nil {
		return ""
	}
	return u.RawQuery
}

// fileURL is the address of a file at a commit.
func (c *Client) fileURL(n Name, commit string, f file) string {
	parts := strings.Split(f.path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return c.Endpoint + "/" + n.Repo + "/resolve/" + commit + "/" + strings.Join(parts, "/")
}

// head fills in the size and hash of a file that the listing did not give.
func (c *Client) head(ctx context.Context, n Name, note func(string), commit string, f file) (file, error) {
	address := c.fileURL(n, commit, f)
	err := c.try(ctx, note, func(ctx context.Context, _ pulse) (bool, error) {
		r, err := c.send(ctx, http.MethodHead, address, nil)
		if err != nil {
			return false, err
		}
		r.Body.Close()
		if r.StatusCode >= 400 {
			return false, c.refusal(n, r)
		}
		if r.commit != "" && r.commit != commit {
			return false, fmt.Errorf("%s gives the file at commit %q (want %s)", c.Endpoint, r.commit, commit)
		}
		f.size, f.sum = r.size, r.etag
		digits := 40
		if len(f.sum) != digits {
			digits = 64
		}
		return true, f.check(digits)
	})
	if err != nil {
		return f, fmt.Errorf("%s: %w", f.path, err)
	}
	return f, nil
}
