package hub

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxTries     = 6                      // calls in a row without a new byte before giving up
	firstBackoff = 500 * time.Millisecond // doubled after each of them
	longBackoff  = 8 * time.Second
	longWait     = 10 * time.Minute // a server that asks for more is not waited for
	stallTimeout = 30 * time.Second // without a byte
	maxRedirects = 10
	maxAPIBody   = 32 << 20
)

// transport keeps to HTTP/1.1, so that files downloaded side by side have a
// connection each.
var transport = newTransport()

func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.MaxIdleConnsPerHost = parallel
	return t
}

// A transient error may go away by itself.
type transient struct {
	error
	wait time.Duration // what the server asked for; 0: not said
}

func (t *transient) Unwrap() error { return t.error }

// A reply is the last answer of a chain of redirects, with what the hub's own
// answers on the way said of the file.
type reply struct {
	*http.Response
	commit string // X-Repo-Commit
	etag   string // X-Linked-Etag, else ETag, without quotes
	size   int64  // X-Linked-Size, else Content-Length; -1 when not said
	left   bool   // the answer is not the hub's but another host's
}

// send makes one request of the hub and follows its redirects. The token goes
// to the hub alone, and not even there once a redirect has left it. A HEAD is
// not followed to other hosts, which know nothing of the hub's headers.
func (c *Client) send(ctx context.Context, method, address string, header http.Header) (*reply, error) {
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r := &reply{size: -1}
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, method, address, nil)
		if err != nil {
			return nil, err
		}
		for key, values := range header {
			req.Header[key] = values
		}
		req.Header.Set("User-Agent", "wenmo")
		req.Header.Set("Accept-Encoding", "identity") // sizes and ranges count stored bytes
		if c.Token != "" && !r.left {
			req.Header.Set("Authorization", "Bearer "+c.Token)
		}
		if r.Response, err = client.Do(req); err != nil {
			return nil, networkError(ctx, err)
		}
		r.note()
		location, err := r.Location()
		if r.StatusCode < 300 || r.StatusCode > 399 || errors.Is(err, http.ErrNoLocation) {
			return r, nil
		}
		r.Body.Close()
		if err != nil || location.Scheme != "http" && location.Scheme != "https" {
			return nil, fmt.Errorf("%s redirects to %q", req.URL.Host, r.Header.Get("Location"))
		}
		if location.Scheme != req.URL.Scheme || location.Host != req.URL.Host {
			if method == http.MethodHead {
				return r, nil
			}
			r.left = true
		}
		address = location.String()
	}
	return nil, fmt.Errorf("more than %d redirects from %s", maxRedirects, c.Endpoint)
}

// note keeps what an answer of the hub itself says of the file.
func (r *reply) note() {
	if r.left {
		return
	}
	if v := r.Header.Get("X-Repo-Commit"); v != "" {
		r.commit = v
	}
	if v := r.Header.Get("X-Linked-Etag"); v != "" {
		r.etag = trimETag(v)
	} else if v := r.Header.Get("ETag"); v != "" {
		r.etag = trimETag(v)
	}
	if v, err := strconv.ParseInt(r.Header.Get("X-Linked-Size"), 10, 64); err == nil && v >= 0 {
		r.size = v
	} else if r.StatusCode == http.StatusOK && r.size < 0 {
		r.size = r.ContentLength
	}
}

func trimETag(s string) string { return strings.Trim(strings.TrimPrefix(s, "W/"), `"`) }

// networkError tells what may be tried again from what may not.
func networkError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var unverified *tls.CertificateVerificationError
	var unknown *net.DNSError
	var wrong *url.Error
	if errors.As(err, &wrong) {
		err = fmt.Errorf("%s: %w", hostOf(wrong.URL), wrong.Err) // a signed address is no part of a message
	}
	if errors.As(err, &unverified) || errors.As(err, &unknown) && unknown.IsNotFound {
		return err
	}
	return &transient{error: err}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	return u.Host
}

// try calls f until it succeeds, fails for good, or has failed maxTries times
// in a row without progress. f reads bodies through its pulse. note hears of
// each wait.
func (c *Client) try(ctx context.Context, note func(string), f func(context.Context, pulse) (progress bool, err error)) error {
	first := cmp.Or(c.backoff, firstBackoff)
	backoff := first
	for fails := 1; ; fails++ {
		progress, err := c.attempt(ctx, f)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var t *transient
		if !errors.As(err, &t) {
			return err
		}
		if progress {
			fails, backoff = 1, first
		}
		if fails == maxTries {
			return fmt.Errorf("%w (gave up after %d tries)", err, maxTries)
		}
		if t.wait > longWait {
			return fmt.Errorf("%w (the server asks to come back in %s)", err, t.wait.Round(time.Second))
		}
		wait := max(t.wait, backoff/2+rand.N(backoff/2+1))
		backoff = min(2*backoff, longBackoff)
		note(fmt.Sprintf("%v; trying again in %s", err, wait.Round(100*time.Millisecond)))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// A pulse is called when something was heard from the server.
type pulse func()

// attempt runs f with a context that ends when f's pulse is not called for the
// client's stall timeout.
func (c *Client) attempt(ctx context.Context, f func(context.Context, pulse) (bool, error)) (bool, error) {
	limit := cmp.Or(c.stall, stallTimeout)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(limit, func() {
		cancel(&transient{error: fmt.Errorf("nothing came from the server for %s", limit)})
	})
	defer timer.Stop()
	return f(ctx, func() { timer.Reset(limit) })
}

// reader calls the pulse for every read of r that gives something.
func (p pulse) reader(r io.Reader) io.Reader { return &pulsedReader{r, p} }

type pulsedReader struct {
	io.Reader
	pulse pulse
}

func (r *pulsedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if n > 0 {
		r.pulse()
	}
	return n, err
}

// getJSON reads the answer of the hub's API at address into v and returns the
// answer's headers.
func (c *Client) getJSON(ctx context.Context, n Name, note func(string), address string, v any) (http.Header, error) {
	var header http.Header
	err := c.try(ctx, note, func(ctx context.Context, p pulse) (bool, error) {
		r, err := c.send(ctx, http.MethodGet, address, http.Header{"Accept": {"application/json"}})
		if err != nil {
			return false, err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return false, c.refusal(n, r)
		}
		data, err := io.ReadAll(io.LimitReader(p.reader(r.Body), maxAPIBody+1))
		if err != nil {
			return false, networkError(ctx, err)
		}
		if len(data) > maxAPIBody {
			return false, fmt.Errorf("%s: the answer is longer than %d bytes", address, maxAPIBody)
		}
		if err := json.Unmarshal(data, v); err != nil {
			return false, fmt.Errorf("%s: not the answer of a hub: %w", address, err)
		}
		header = r.Header
		return true, nil
	})
	return header, err
}
