package hub

import (
	"sync"
	"time"
)

// Progress is the state of a running Pull.
type Progress struct {
	File           string  // the file that this report is about
	FileDone       int64   // bytes of it on the disk
	FileSize       int64   // bytes of it in all
	Done           int64   // bytes of all files, those found in the cache included
	Total          int64   // bytes of all files
	BytesPerSecond float64 // over the last seconds
	Note           string  // why it waits, when it does
	Finished       bool    // everything is there; no report follows
}

const reportEvery = 100 * time.Millisecond

// A meter counts bytes and calls back, one call at a time.
type meter struct {
	mu     sync.Mutex
	report func(Progress) // nil: nobody listens
	now    Progress
	files  map[string]int64 // bytes done by file
	last   time.Time        // of the last report
	fresh  int64            // bytes from the network since then
}

func newMeter(report func(Progress)) *meter {
	return &meter{report: report, files: map[string]int64{}, last: time.Now()}
}

func (m *meter) expect(files []file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range files {
		m.now.Total += f.size
	}
}

// add counts n more bytes of f, fewer when n is negative. They are fresh when
// they came over the network just now.
func (m *meter) add(f file, n int64, fresh bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[f.path] += n
	m.now.Done += n
	if fresh {
		m.fresh += n
	}
	m.show(f, "", m.files[f.path] == f.size)
}

// note tells why f waits.
func (m *meter) note(f file, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.show(f, text, true)
}

// finish makes the last report.
func (m *meter) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Note, m.now.Finished = "", true
	if m.report != nil {
		m.report(m.now)
	}
}

func (m *meter) show(f file, note string, force bool) {
	elapsed := time.Since(m.last)
	if m.report == nil || elapsed < reportEvery && !force {
		return
	}
	if elapsed >= reportEvery {
		// an average in which a second ago weighs about a third of now
		weight := min(1, elapsed.Seconds())
		m.now.BytesPerSecond += weight * (max(0, float64(m.fresh))/elapsed.Seconds() - m.now.BytesPerSecond)
		m.last, m.fresh = time.Now(), 0
	}
	m.now.File, m.now.FileDone, m.now.FileSize, m.now.Note = f.path, m.files[f.path], f.size, note
	m.report(m.now)
}
