package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"wenmo/internal/hubtest"
)

func TestPullTokenStaysHome(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	c := client(t, s)
	c.Token = "hf_secret"
	mustPull(t, c, "org/name")
	hub, cdn := 0, 0
	for _, r := range s.Requests() {
		auth := r.Header.Get("Authorization")
		switch {
		case isCDN(s, r):
			cdn++
			if auth != "" {
				t.Errorf("the token went to %s", r.Host)
			}
		default:
			hub++
			if auth != "Bearer hf_secret" {
				t.Errorf("%s was asked with %q", r.URL, auth)
			}
		}
	}
	if hub == 0 || cdn == 0 {
		t.Errorf("%d requests at the hub, %d elsewhere", hub, cdn)
	}
}

// Within the hub a redirect keeps the token (a repository that was renamed);
// away and back does not.
func TestPullRedirects(t *testing.T) {
	files := modelFiles(5000)
	s := hubtest.Serve(t, map[string]string{"org/new": writeFiles(t, files)})
	away := false
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "org/name") {
				to := strings.Replace(r.URL.Path, "org/name", "org/new", 1)
				if away {
					to = s.CDN + "/back" + to
				}
				http.Redirect(w, r, to+"?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
				return
			}
			if to, ok := strings.CutPrefix(r.URL.Path, "/back"); ok {
				http.Redirect(w, r, s.URL+to+"?"+r.URL.RawQuery, http.StatusFound)
				return
			}
			auth := r.Header.Get("Authorization")
			if want := !away && !isCDN(s, r); want != (auth != "") {
				t.Errorf("%s%s was asked with %q", r.Host, r.URL, auth)
			}
			next.ServeHTTP(w, r)
		})
	})
	for _, away = range []bool{false, true} {
		c := client(t, s)
		c.Token = "hf_secret"
		dir := mustPull(t, c, "org/name")
		wantFiles(t, c, dir, files, wanted)
	}
	s.Use(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		})
	})
	wantError(t, client(t, s), "org/name", nil, "redirects")
}

func TestPullRefusals(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	refuse := func(status int, code, message string) {
		s.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/api/") {
					next.ServeHTTP(w, r)
					return
				}
				if code != "" {
					w.Header().Set("X-Error-Code", code)
				}
				w.WriteHeader(status)
				json.NewEncoder(w).Encode(map[string]string{"error": message})
			})
		})
	}
	page := s.URL + "/org/name"
	for _, test := range []struct {
		token   string
		status  int
		code    string
		message string
		is      error
		says    []string
	}{
		{"", 401, "GatedRepo", "Access is restricted", ErrGated, []string{page, "licence", "HF_TOKEN"}},
		{"hf_x", 403, "GatedRepo", "Access is restricted", ErrGated, []string{page, "has no access yet"}},
		{"", 401, "", "", ErrNotFound, []string{"private", "HF_TOKEN"}},
		{"hf_x", 401, "", "Invalid credentials", nil, []string{"refuses the token", "Invalid credentials"}},
		{"hf_x", 404, "RepoNotFound", "", ErrNotFound, []string{"no repository org/name"}},
		{"", 404, "EntryNotFound", "", ErrNotFound, []string{"not in org/name"}},
		{"", 404, "", "", ErrNotFound, []string{"no repository"}},
		{"", 403, "", "bad \x1b[31mword", nil, []string{"refuses access", "bad  [31mword"}},
		{"", 418, "", "", nil, []string{"418"}},
		{"", 500, "", "", nil, []string{"500 Internal Server Error", "gave up after 6 tries"}},
		{"", 429, "", "", nil, []string{"429 Too Many Requests", "gave up after 6 tries"}},
	} {
		refuse(test.status, test.code, test.message)
		c := client(t, s)
		c.Token = test.token
		wantError(t, c, "org/name", test.is, test.says...)
	}
}

func TestPullWaits(t *testing.T) {
	t.Parallel()
	files := modelFiles(5000)
	s := serve(t, files)
	var mu sync.Mutex
	refused := map[string]time.Time{}
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			key := r.Host + r.URL.Path
			at, seen := refused[key]
			switch {
			case !seen && strings.Contains(key, "/tree/"):
				w.Header().Set("RateLimit", `"api";r=0;t=1`)
				w.WriteHeader(http.StatusTooManyRequests)
				refused[key] = time.Now()
			case !seen && isCDN(s, r):
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				refused[key] = time.Now()
			case seen && time.Since(at) < time.Second:
				t.Errorf("%s was asked again after %s", key, time.Since(at))
				fallthrough
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	c := client(t, s)
	var notes []string
	dir, err := c.Pull(context.Background(), "org/name", Options{Progress: func(p Progress) {
		if p.Note != "" {
			notes = append(notes, p.File+": "+p.Note)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, c, dir, files, wanted)
	if all := strings.Join(notes, "\n"); !strings.Contains(all, "429") || !strings.Contains(all, "model.safetensors") {
		t.Errorf("the notes are %q", all)
	}
	s.Use(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusTooManyRequests)
		})
	})
	wantError(t, client(t, s), "org/name", nil, "429", "come back in")
}

// A mirror without the tree: the sizes and hashes come from the headers.
func TestPullWithoutTree(t *testing.T) {
	files := modelFiles(5000)
	s := serve(t, files)
	lie := ""
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/tree/") {
				http.NotFound(w, r)
				return
			}
			if lie != "" && r.Method == http.MethodHead {
				w.Header().Set("ETag", lie)
				w.Header().Set("Content-Length", "10")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	c := client(t, s)
	wantFiles(t, c, mustPull(t, c, "org/name"), files, wanted)
	lie = `"../../../evil"`
	wantError(t, client(t, s), "org/name", nil, "hash", "evil")
}

func TestPullLyingListings(t *testing.T) {
	s := serve(t, modelFiles(5000))
	id := strings.Repeat("a", 40)
	enormous := "" // petabytes
	for i := range 500 {
		enormous += fmt.Sprintf(`{"type":"file","path":"%d.spm","size":17592186044416,"oid":"%s"}, `, i, id)
	}
	for _, test := range []struct{ entry, says string }{
		{`{"type":"file","path":"../evil.json","size":1,"oid":"` + id + `"}`, "../evil.json"},
		{`{"type":"file","path":"/etc/passwd","size":1,"oid":"` + id + `"}`, "/etc/passwd"},
		{`{"type":"file","path":"a/../../b","size":1,"oid":"` + id + `"}`, "a/../../b"},
		{`{"type":"file","path":"a\\b","size":1,"oid":"` + id + `"}`, `a\\b`},
		{`{"type":"file","path":"a\u001b[2J","size":1,"oid":"` + id + `"}`, `a\x1b[2J`},
		{`{"type":"file","path":"","size":1,"oid":"` + id + `"}`, `""`},
		{`{"type":"file","path":"a","size":-1,"oid":"` + id + `"}`, "-1"},
		{`{"type":"file","path":"a","size":9223372036854775807,"oid":"` + id + `"}`, "9223372036854775807"},
		{`{"type":"file","path":"a","size":1,"oid":"../../x"}`, "../../x"},
		{`{"type":"file","path":"a","size":1,"oid":"` + id + `","lfs":{"oid":"` + id + `","size":1}}`, "64"},
		{`{"type":"file","path":"a","size":1,"oid":"` + id + `"},{"type":"file","path":"a","size":2,"oid":"` + id + `"}`, "twice"},
		{`{"type":"file","path":"a","size":1.5,"oid":"` + id + `"}`, "not the answer of a hub"},
		{enormous + `{"type":"file","path":"model.safetensors","size":1,"oid":"` + id + `"}`, "disk full"},
	} {
		s.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/tree/") {
					fmt.Fprintf(w, "[%s]", test.entry)
					return
				}
				next.ServeHTTP(w, r)
			})
		})
		wantError(t, client(t, s), "org/name", nil, test.says)
	}
	// Pages in a circle.
	s.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/tree/") {
				w.Header().Set("Link", `<http://elsewhere.invalid/x?cursor=1>; rel="next"`)
				fmt.Fprint(w, "[]")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	wantError(t, client(t, s), "org/name", nil, "circle")
}
