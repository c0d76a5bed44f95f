package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// Small files share shards, so that a folder of a hundred thousand of them needs
// a few maps and few calls that wait for the disk.
const (
	smallFile   = 1 << 20  // bytes
	seriesBytes = 16 << 20 // of small files together
)

// series is one file, or small files one after the other.
type series struct {
	paths   []string
	opt     ReadOptions
	current *dataFile // nil: none is open
	before  int64     // bytes of the files that are done with
}

// next returns the next record and the file that it is from, which can parse it
// even when it has been closed.
func (s *series) next() (rec record, from *dataFile, err error) {
	for {
		if s.current == nil {
			if len(s.paths) == 0 {
				return rec, nil, nil
			}
			if s.current, err = openData(s.paths[0], s.opt); err != nil {
				return rec, nil, err
			}
			s.paths = s.paths[1:]
		}
		rec, more, err := s.current.next()
		if err != nil || more {
			return rec, s.current, err
		}
		s.before += s.current.pos.n.Load()
		s.Close()
	}
}

// position returns how many bytes have been read, compressed as they are.
func (s *series) position() int64 {
	if s.current == nil {
		return s.before
	}
	return s.before + s.current.pos.n.Load()
}

// skip reads n records without looking at them.
func (s *series) skip(n int64) error {
	for i := range n {
		if _, from, err := s.next(); err != nil {
			return err
		} else if from == nil {
			return fmt.Errorf("the file ends after %d records of %d", i, n)
		}
	}
	return nil
}

func (s *series) Close() error {
	if s.current == nil {
		return nil
	}
	err := s.current.Close()
	s.current = nil
	return err
}

// plannedFiles gathers small files into series, in their order.
func plannedFiles(paths []string) ([]preparedFile, error) {
	var files []preparedFile
	open := false // the last of files takes more
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		small := info.Size() <= smallFile
		if small && open && files[len(files)-1].size+info.Size() <= seriesBytes {
			last := &files[len(files)-1]
			last.paths = append(last.paths, path)
			last.size += info.Size()
			continue
		}
		files = append(files, preparedFile{paths: []string{path}, size: info.Size()})
		open = small
	}
	return files, nil
}

// hashFiles returns the SHA-256 of a file, or that of the hashes and formats of
// several.
func hashFiles(ctx context.Context, paths []string) (string, error) {
	if len(paths) == 1 {
		return hashFile(ctx, paths[0])
	}
	all := sha256.New()
	for _, path := range paths {
		sum, err := hashFile(ctx, path)
		if err != nil {
			return "", err
		}
		format, compression := formatOf(path)
		fmt.Fprintln(all, sum, format, compression)
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

func hashFile(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	for {
		_, err := io.CopyN(h, f, readBuffer)
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
}
