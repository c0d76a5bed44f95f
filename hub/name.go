package hub

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// defaultRevision is the branch that a name without one means.
const defaultRevision = "main"

// A Name says what to get from a hub, written org/name[@revision][:quant].
type Name struct {
	Repo     string // "org/name", or a bare "gpt2"
	Revision string // a branch, a tag, a commit, or refs/pr/N; "main" when not given
	Quant    string // which GGUF file of the repository, such as "Q4_K_M"; "" for the model's own form
}

// String writes the name as ParseName reads it.
func (n Name) String() string {
	s := n.Repo
	if n.Revision != defaultRevision {
		s += "@" + n.Revision
	}
	if n.Quant != "" {
		s += ":" + n.Quant
	}
	return s
}

// sites are the hub's names, and that of its best known mirror.
var sites = []string{"huggingface.co", "hf.co", "hf-mirror.com"}

// ofAddress turns what people copy of a hub's pages,
// https://huggingface.co/org/name[/tree/REVISION or /blob/REVISION/FILE], into the
// name that it is of; other names stay.
func ofAddress(s string) string {
	site, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://"), "/")
	if !ok || !slices.Contains(sites, site) {
		return s
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	rest, err := url.PathUnescape(strings.Trim(rest, "/"))
	parts := strings.Split(rest, "/")
	if err != nil || parts[0] == "datasets" || parts[0] == "spaces" {
		return s
	}
	page := slices.IndexFunc(parts, func(part string) bool { return part == "tree" || part == "blob" || part == "resolve" })
	if page < 1 || page > 2 {
		return rest
	}
	name, revision, file := strings.Join(parts[:page], "/"), "", ""
	if len(parts) > page+1 {
		revision, file = parts[page+1], strings.Join(parts[page+2:], "/")
	}
	if revision != "" && revision != defaultRevision {
		name += "@" + revision
	}
	if strings.HasSuffix(file, ".gguf") {
		name += ":" + file
	}
	return name
}

// ParseName reads org/name[@revision][:quant] or name[@revision][:quant], or the
// address of a page of the hub.
// The rules for repositories are the hub's own: two parts at most, of letters,
// digits, '-', '_' and '.', at most 96 characters each, without "--" and "..".
func ParseName(s string) (Name, error) {
	s = ofAddress(s)
	rest, quant, hasQuant := strings.Cut(s, ":")
	repo, revision, hasRevision := strings.Cut(rest, "@")
	if !hasRevision {
		revision = defaultRevision
	}
	parts := strings.Split(repo, "/")
	if len(parts) > 2 {
		return Name{}, fmt.Errorf("%q is not the name of a repository (want org/name or name, then @revision or :QUANT if need be)", s)
	}
	for _, part := range parts {
		if !validRepoPart(part) {
			return Name{}, fmt.Errorf("%q is not the name of a repository: %q must be letters, digits, '-', '_' and '.', "+
				"begin and end with a letter or digit, and be without \"--\" and \"..\"", s, part)
		}
	}
	if !validRevision(revision) {
		return Name{}, fmt.Errorf("%q: %q is not a revision (want a branch, a tag or a commit)", s, revision)
	}
	if hasQuant && (!validPath(quant) || strings.ContainsAny(quant, ":*?[]")) {
		return Name{}, fmt.Errorf("%q: %q does not select a GGUF file (want a type such as Q4_K_M, or a file's name)", s, quant)
	}
	return Name{Repo: repo, Revision: revision, Quant: quant}, nil
}

func validRepoPart(s string) bool {
	if s == "" || len(s) > 96 || strings.Contains(s, "--") || strings.Contains(s, "..") || strings.HasSuffix(s, ".git") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		edge := i == 0 || i == len(s)-1
		if !letter && (edge || c != '-' && c != '.') {
			return false
		}
	}
	return true
}

// validRevision follows git's rules for references, and keeps the revision a
// local path, for it becomes a file under refs.
func validRevision(s string) bool {
	return len(s) <= 255 && validPath(s) && !strings.ContainsAny(s, " ~^:?*[") && !strings.HasSuffix(s, ".lock")
}

// validPath reports whether a slash-separated path from a server may be joined
// to a directory here: relative, without empty, "." or ".." elements, and
// without what is a separator or a device on any system.
func validPath(p string) bool {
	if p == "" || len(p) > 1024 || strings.Contains(p, `\`) || hasControl(p) {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." || len(part) > 255 {
			return false
		}
	}
	return filepath.IsLocal(filepath.FromSlash(p))
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// isHex reports whether s is n lower-case hexadecimal digits.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// isCommit reports whether s is a full commit id.
func isCommit(s string) bool { return isHex(s, 40) }

// folder is the repository's directory in the cache: models--org--name.
func (n Name) folder() string { return "models--" + strings.ReplaceAll(n.Repo, "/", "--") }

// repoOfFolder undoes Name.folder.
func repoOfFolder(folder string) (repo string, ok bool) {
	id, ok := strings.CutPrefix(folder, "models--")
	repo = strings.Replace(id, "--", "/", 1)
	n, err := ParseName(repo)
	return repo, ok && err == nil && n.folder() == folder
}
