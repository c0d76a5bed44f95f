//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A pipe that says nothing more does not keep a command from its end, nor does one
// that nobody writes to.
func TestInterruptPipe(t *testing.T) {
	pipe, quiet := filepath.Join(t.TempDir(), "pipe"), filepath.Join(t.TempDir(), "quiet")
	if out, err := exec.Command("mkfifo", pipe, quiet).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v, %s", err, out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openFile(ctx, quiet); !errors.Is(err, context.Canceled) {
		t.Errorf("opening a pipe that nobody writes to: error %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "wenmo", "classify", "--file", pipe)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := io.WriteString(w, strings.Repeat("A fine day.\n", rowsAtOnce)); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatalf("no answer: %s", stderr)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d; told: %s", code, exitInterrupted, stderr)
	}
}
