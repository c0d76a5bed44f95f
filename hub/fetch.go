package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
)

// A download brings one blob into the cache. It writes at offsets into
// blobs/<hash>.incomplete, which survives cuts, kills and full disks, and
// renames it when its hash is right.
//
// A continued download needs no If-Range: the redirects lead to addresses
// whose ETags differ from try to try, and the hash over the whole file, the
// part from earlier pulls included, decides in the end.
type download struct {
	*pull
	f    file
	part *os.File
	off  int64 // bytes written and hashed
	best int64 // the most that off has been
	hash hash.Hash
}

// fetch brings f into the cache unless it is there.
func (p *pull) fetch(ctx context.Context, f file) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", f.path, err)
		}
	}()
	if p.store.has(p.commit, f) {
		p.meter.add(f, f.size, false)
		return nil
	}
	unlock, err := p.store.lock(ctx, f.sum, func(note string) { p.meter.note(f, note) })
	if err != nil {
		return err
	}
	defer unlock()
	if p.store.has(p.commit, f) {
		p.meter.add(f, f.size, false)
		return nil
	}
	d := &download{pull: p, f: f}
	resumed, err := d.run(ctx)
	if errors.As(err, new(*wrongHash)) && resumed {
		// The part that was there before may be at fault: once more, without it.
		d.count(-d.off, false)
		_, err = d.run(ctx)
	}
	return err
}

// A wrongHash is a whole file with other bytes than the hub promised.
type wrongHash struct{ kind, got, want string }

func (e *wrongHash) Error() string {
	return fmt.Sprintf("%s is %s, want %s (the download was deleted)", e.kind, e.got, e.want)
}

// run downloads the file, from where an earlier run ended. resumed tells
// whether there was something of one.
func (d *download) run(ctx context.Context) (resumed bool, err error) {
	part, size, err := d.store.partial(d.f)
	if err != nil {
		return false, err
	}
	defer part.Close()
	d.part, d.off, d.best = part, 0, size
	d.resetHash()
	if size > 0 {
		if _, err := io.Copy(d.hash, io.NewSectionReader(part, 0, size)); err != nil {
			return true, err
		}
		d.off = size
		d.count(size, false)
	}
	if d.off < d.f.size {
		err := d.client.try(ctx, func(note string) { d.meter.note(d.f, note) }, d.attempt)
		if errors.Is(err, ErrDiskFull) {
			return size > 0, fmt.Errorf("%w (%s of %s are kept, the next pull goes on from there)", err, bytesText(d.off), bytesText(d.f.size))
		}
		if err != nil {
			return size > 0, err
		}
	}
	if err := d.verify(); err != nil {
		return size > 0, errors.Join(err, d.store.discard(part, d.f))
	}
	return size > 0, d.store.finish(part, d.f)
}

func (d *download) count(n int64, fresh bool) { d.meter.add(d.f, n, fresh) }

// resetHash begins the hash that names the file: sha256 for LFS, else the sha1
// of git's header and the bytes.
func (d *download) resetHash() {
	if len(d.f.sum) == 2*sha256.Size {
		d.hash = sha256.New()
		return
	}
	d.hash = sha1.New()
	fmt.Fprintf(d.hash, "blob %d\x00", d.f.size)
}

func (d *download) verify() error {
	got := hex.EncodeToString(d.hash.Sum(nil))
	if got == d.f.sum {
		return nil
	}
	kind := "git's blob id"
	if len(d.f.sum) == 2*sha256.Size {
		kind = "sha256"
	}
	return &wrongHash{kind, got, d.f.sum}
}

// attempt makes one request for the rest of the file.
func (d *download) attempt(ctx context.Context, p pulse) (progress bool, err error) {
	header := http.Header{}
	if d.off > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.off))
	}
	r, err := d.client.send(ctx, http.MethodGet, d.client.fileURL(d.name, d.commit, d.f), header)
	if err != nil {
		return false, err
	}
	defer r.Body.Close()
	if err := d.check(r); err != nil {
		return false, err
	}
	if r.StatusCode == http.StatusOK && d.off > 0 { // the server ignores ranges
		d.count(-d.off, false)
		d.off = 0
		d.resetHash()
	}
	err = d.receive(ctx, p.reader(r.Body), d.part)
	progress = d.off > d.best
	d.best = max(d.best, d.off)
	return progress, err
}

// check compares what the answer says of the file with what the hub's listing
// said, before a byte is read.
func (d *download) check(r *reply) error {
	rest := d.f.size
	switch r.StatusCode {
	case http.StatusOK:
	case http.StatusPartialContent:
		want := fmt.Sprintf("bytes %d-%d/", d.off, d.f.size-1)
		if got := r.Header.Get("Content-Range"); got != want+strconv.FormatInt(d.f.size, 10) && got != want+"*" {
			return fmt.Errorf("%s sends %q (want %q)", r.Request.URL.Host, got, want+strconv.FormatInt(d.f.size, 10))
		}
		rest -= d.off
	case http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%s has fewer bytes than the %d that the hub lists", r.Request.URL.Host, d.f.size)
	default:
		return d.client.refusal(d.name, r)
	}
	if r.commit != "" && r.commit != d.commit {
		return fmt.Errorf("%s gives the file at commit %q (want %s)", d.client.Endpoint, r.commit, d.commit)
	}
	if r.size >= 0 && r.size != d.f.size {
		return fmt.Errorf("%s gives a size of %d bytes (the listing says %d)", d.client.Endpoint, r.size, d.f.size)
	}
	if r.ContentLength >= 0 && r.ContentLength != rest {
		return fmt.Errorf("%s sends %d bytes (want %d)", r.Request.URL.Host, r.ContentLength, rest)
	}
	return nil
}

// receive writes and hashes the body until its end, and not a byte more than
// the file has.
func (d *download) receive(ctx context.Context, body io.Reader, to io.WriterAt) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if d.off+int64(n) > d.f.size {
			return fmt.Errorf("the server sends more than the %d bytes that the hub lists", d.f.size)
		}
		if _, err := to.WriteAt(buf[:n], d.off); err != nil {
			return diskError(err)
		}
		d.hash.Write(buf[:n])
		d.off += int64(n)
		d.count(int64(n), true)
		if err == io.EOF && d.off == d.f.size {
			return nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return networkError(ctx, fmt.Errorf("the connection ended after %d of %d bytes: %w", d.off, d.f.size, err))
		}
	}
}

// bytesText writes a number of bytes for people, in decimal units as the hub
// does.
func bytesText(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	v, i := float64(n), 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.3g %s", v, units[i])
}
