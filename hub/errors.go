package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The errors that a caller may want to tell apart, with errors.Is.
var (
	// ErrNotFound: the hub has no such repository, revision or file, or hides it.
	ErrNotFound = errors.New("not found")
	// ErrGated: the repository's licence has to be accepted first.
	ErrGated = errors.New("gated repository")
	// ErrOffline: offline mode is on and the cache does not have the model.
	ErrOffline = errors.New("offline mode is on (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set)")
	// ErrDiskFull: the disk of the cache has no room. What was downloaded is kept.
	ErrDiskFull = errors.New("disk full")
)

// refusal turns an answer that is not a success into an error that says what
// to do. The body is read in part. X-Error-Code is the hub's own word.
func (c *Client) refusal(n Name, r *reply) error {
	said := serverMessage(r.Response)
	if r.left {
		// The address that the hub gave may have run out; a new try asks for a new one.
		err := fmt.Errorf("%s answered %s%s", r.Request.URL.Host, statusText(r.StatusCode), said)
		if r.StatusCode == http.StatusForbidden || isTransient(r.StatusCode) {
			return &transient{err, retryAfter(r.Header)}
		}
		return err
	}
	page := c.Endpoint + "/" + n.Repo
	switch code := r.Header.Get("X-Error-Code"); {
	case code == "GatedRepo" && c.Token == "":
		return fmt.Errorf("%w: log in at %s and accept its licence, then set HF_TOKEN to a token of that account", ErrGated, page)
	case code == "GatedRepo":
		return fmt.Errorf("%w: the account of this token has no access yet: accept the licence at %s "+
			"(some authors answer later), or set HF_TOKEN to a token of an account that has", ErrGated, page)
	case code == "RevisionNotFound":
		return fmt.Errorf("%w: %s has no revision %q", ErrNotFound, n.Repo, n.Revision)
	case code == "EntryNotFound":
		return fmt.Errorf("%w: the file is not in %s at %q", ErrNotFound, n.Repo, n.Revision)
	case r.StatusCode == http.StatusUnauthorized && c.Token != "" && code != "RepoNotFound":
		return fmt.Errorf("%s refuses the token: set HF_TOKEN to a valid one, or unset it and remove the token file%s", c.Endpoint, said)
	case code == "RepoNotFound", r.StatusCode == http.StatusNotFound, r.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s has no repository %s, or it is private: check the name, and set HF_TOKEN to a token that may read it",
			ErrNotFound, c.Endpoint, n.Repo)
	case r.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s refuses access to %s%s: check the rights of the token in HF_TOKEN", c.Endpoint, n.Repo, said)
	}
	err := fmt.Errorf("%s answered %s%s", c.Endpoint, statusText(r.StatusCode), said)
	if isTransient(r.StatusCode) {
		return &transient{err, retryAfter(r.Header)}
	}
	return err
}

func statusText(code int) string {
	return strings.TrimSpace(fmt.Sprint(code, " ", http.StatusText(code)))
}

func isTransient(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// rateLimit is the hub's form of the IETF draft, as in `"api";r=0;t=55`:
// no request is left, the next window begins in 55 seconds.
var rateLimit = regexp.MustCompile(`;\s*r=0\s*;\s*t=(\d+)`)

// retryAfter is how long the server asks to wait, 0 when it does not say.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if m := rateLimit.FindStringSubmatch(h.Get("RateLimit")); v == "" && m != nil {
		v = m[1]
	}
	if seconds, err := strconv.ParseUint(v, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// serverMessage is what the server says of its refusal, as " (…)", short and
// without characters that a terminal would obey.
func serverMessage(r *http.Response) string {
	said := r.Header.Get("X-Error-Message")
	if body, err := io.ReadAll(io.LimitReader(r.Body, 4096)); said == "" && err == nil {
		var answer struct{ Error string }
		if json.Unmarshal(body, &answer) == nil {
			said = answer.Error
		}
	}
	said = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, said)
	if said = strings.TrimSpace(said); said == "" {
		return ""
	}
	if runes := []rune(said); len(runes) > 200 {
		said = string(runes[:200]) + "…"
	}
	return " (" + said + ")"
}
