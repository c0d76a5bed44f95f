// Package hubtest serves directories as the repositories of a model hub on this
// machine, for tests of what downloads: the answers, redirects and headers of
// the Hugging Face hub, from the revision to the ranges of a file.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A Server is a hub, and a second host from which it hands out large files.
type Server struct {
	URL      string // the hub's address, for HF_ENDPOINT
	CDN      string // the address of the host that files in LFS are redirected to
	PageSize int    // files in an answer of the tree; 1000 on the real hub

	repos map[string]*repo // by name, or name@revision
	blobs map[string]blob  // by sha256, what the CDN hands out

	mu       sync.Mutex
	wrap     func(http.Handler) http.Handler
	requests []*http.Request
}

type repo struct {
	commit string
	files  []blob
}

type blob struct {
	path string // in the repository, slash-separated
	disk string
	size int64
	oid  string // git's blob id of a small file, of its pointer otherwise
	lfs  string // sha256, "" for a small file
}

// Serve starts a hub until the test ends. The keys of repos are names such as
// "gpt2" or "org/name", with "@branch" for another branch than main; the values
// are the directories that hold the files.
func Serve(t testing.TB, repos map[string]string) *Server {
	t.Helper()
	s := &Server{PageSize: 1000, repos: map[string]*repo{}, blobs: map[string]blob{}}
	for name, dir := range repos {
		r, err := load(dir)
		if err != nil {
			t.Fatal(err)
		}
		s.repos[name] = r
		for _, b := range r.files {
			if b.lfs != "" {
				s.blobs[b.lfs] = b
			}
		}
	}
	hub := httptest.NewServer(s.handler(s.serveHub))
	cdn := httptest.NewServer(s.handler(s.serveCDN))
	t.Cleanup(hub.Close)
	t.Cleanup(cdn.Close)
	s.URL, s.CDN = hub.URL, cdn.URL
	return s
}

// Use puts a handler before both hosts, to break what they do; nil takes it
// away.
func (s *Server) Use(wrap func(next http.Handler) http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrap = wrap
}

// Requests returns what was asked of both hosts so far.
func (s *Server) Requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

// Commit returns the commit of a repository, by the name given to Serve.
func (s *Server) Commit(name string) string { return s.repos[name].commit }

func (s *Server) handler(serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Clone(r.Context()))
		wrap := s.wrap
		s.mu.Unlock()
		if wrap == nil {
			serve(w, r)
			return
		}
		wrap(serve).ServeHTTP(w, r)
	})
}

func (s *Server) serveCDN(w http.ResponseWriter, r *http.Request) {
	b, ok := s.blobs[strings.TrimPrefix(r.URL.Path, "/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	b.serve(w, r, b.lfs[:32]) // an ETag of its own, as the real one has
}

// serveHub answers /api/models/{name}/revision/{revision}, …/tree/{revision}
// and /{name}/resolve/{revision}/{file}. A slash within a revision is escaped.
func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	path, api := strings.CutPrefix(r.URL.EscapedPath(), "/api/models/")
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, part := range parts {
		parts[i], _ = url.PathUnescape(part)
	}
	for at := 1; at <= 2 && at+1 < len(parts); at++ {
		name, verb, revision := strings.Join(parts[:at], "/"), parts[at], parts[at+1]
		if api != (verb == "revision" || verb == "tree") || !api && verb != "resolve" {
			continue
		}
		repo := s.find(w, name, revision)
		switch {
		case repo == nil:
		case verb == "revision":
			repo.serveRevision(w, name)
		case verb == "tree":
			s.serveTree(w, r, repo)
		default:
			s.serveFile(w, r, repo, strings.Join(parts[at+2:], "/"))
		}
		return
	}
	refuse(w, http.StatusNotFound, "")
}

func (s *Server) find(w http.ResponseWriter, name, revision string) *repo {
	known := false
	for key, r := range s.repos {
		n, branch, ok := strings.Cut(key, "@")
		if !ok {
			branch = "main"
		}
		if n == name && (branch == revision || r.commit == revision) {
			return r
		}
		known = known || n == name
	}
	if known {
		refuse(w, http.StatusNotFound, "RevisionNotFound")
	} else {
		refuse(w, http.StatusUnauthorized, "RepoNotFound")
	}
	return nil
}

// refuse answers as the hub does, with its word for the reason.
func refuse(w http.ResponseWriter, status int, code string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", http.StatusText(status))
	w.WriteHeader(status)
}

func (r *repo) serveRevision(w http.ResponseWriter, name string) {
	type sibling struct {
		RFilename string `json:"rfilename"`
	}
	siblings := []sibling{}
	for _, b := range r.files {
		siblings = append(siblings, sibling{b.path})
	}
	writeJSON(w, map[string]any{"id": name, "sha": r.commit, "siblings": siblings})
}

func (s *Server) serveTree(w http.ResponseWriter, r *http.Request, repo *repo) {
	first, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	first = min(max(first, 0), len(repo.files))
	last := min(first+s.PageSize, len(repo.files))
	if last < len(repo.files) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, s.URL, r.URL.Path, last))
	}
	page := []map[string]any{}
	for _, b := range repo.files[first:last] {
		entry := map[string]any{"type": "file", "path": b.path, "size": b.size, "oid": b.oid}
		if b.lfs != "" {
			entry["lfs"] = map[string]any{"oid": b.lfs, "size": b.size, "pointerSize": len(pointer(b.lfs, b.size))}
		}
		page = append(page, entry)
	}
	writeJSON(w, page)
}

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, repo *repo, path string) {
	w.Header().Set("X-Repo-Commit", repo.commit)
	for _, b := range repo.files {
		switch {
		case b.path != path:
		case b.lfs == "":
			b.serve(w, r, b.oid)
			return
		default:
			w.Header().Set("X-Linked-Etag", `"`+b.lfs+`"`)
			w.Header().Set("X-Linked-Size", strconv.FormatInt(b.size, 10))
			http.Redirect(w, r, s.CDN+"/"+b.lfs+"?Signature=test", http.StatusFound)
			return
		}
	}
	refuse(w, http.StatusNotFound, "EntryNotFound")
}

func (b blob) serve(w http.ResponseWriter, r *http.Request, etag string) {
	f, err := os.Open(b.disk)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("ETag", `"`+etag+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

// load hashes the files of a directory as git and LFS do.
func load(dir string) (*repo, error) {
	r := &repo{}
	all := sha1.New()
	err := filepath.WalkDir(dir, func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		b := blob{path: filepath.ToSlash(rel), disk: p}
		if err := b.hash(); err != nil {
			return err
		}
		fmt.Fprintf(all, "%s %s\n", b.oid, b.path)
		r.files = append(r.files, b)
		return nil
	})
	r.commit = hex.EncodeToString(all.Sum(nil))
	return r, err
}

// large is the size from which the hub stores a text in LFS; what it knows to
// be binary goes there at any size.
const large = 10 << 20

func (b *blob) hash() error {
	f, err := os.Open(b.disk)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b.size = info.Size()
	sum, git := sha256.New(), sha1.New()
	fmt.Fprintf(git, "blob %d\x00", b.size)
	if _, err := io.Copy(io.MultiWriter(sum, git), f); err != nil {
		return err
	}
	switch filepath.Ext(b.path) {
	case ".safetensors", ".gguf", ".bin", ".model", ".h5", ".onnx":
	default:
		if b.size < large {
			b.oid = hex.EncodeToString(git.Sum(nil))
			return nil
		}
	}
	b.lfs = hex.EncodeToString(sum.Sum(nil))
	text := pointer(b.lfs, b.size)
	id := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(text), text))
	b.oid = hex.EncodeToString(id[:])
	return nil
}

// pointer is what git holds in place of a file in LFS.
func pointer(sum string, size int64) string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", sum, size)
}
