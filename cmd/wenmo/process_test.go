package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"wenmo"
	"wenmo/internal/hubtest"
	"wenmo/internal/testkit"
	"wenmo/kernel"
)

// The real checkpoint writes its text, with the ids of the reference, whatever
// the threads, the pieces of the prompt and the kernel.
func TestRealModel(t *testing.T) {
	dir := filepath.Dir(testkit.SharedFile(t, "models", "aidreams-260k", "expected.json"))
	var expected struct {
		Cases []struct {
			Prompt    string  `json:"prompt"`
			PromptIDs []int32 `json:"prompt_ids"`
			IDs       []int32 `json:"greedy_ids"`
			Text      string  `json:"text"`
		} `json:"cases"`
	}
	data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &expected); err != nil || len(expected.Cases) == 0 {
		t.Fatalf("%d cases, %v", len(expected.Cases), err)
	}
	for i, c := range expected.Cases {
		length := fmt.Sprint(len(c.IDs))
		if got := wenmoOutput(t, nil, "tokenizer", "encode", "-m", dir, c.Prompt); got != joinIDs(c.PromptIDs)+"\n" {
			t.Errorf("%q is encoded as %s", c.Prompt, got)
		}
		if got := wenmoOutput(t, nil, "run", "-m", dir, "-n", length, "--echo", c.Prompt); got != c.Text+"\n" {
			t.Errorf("%q goes on as\n%q, want\n%q", c.Prompt, got, c.Text)
		}
		for _, path := range kernel.Paths() {
			for j, chunk := range []string{"512", "1", "3"} {
				threads := fmt.Sprint(1 + (i+j)%2)
				out := wenmoOutput(t, []string{"WENMO_KERNEL=" + path}, "run", "-m", dir, "-n", length, "--json",
					"--threads", threads, "--prefill-chunk", chunk, c.Prompt)
				var got struct{ Sequences []sequence }
				if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Sequences) != 1 {
					t.Fatalf("%s: %v", out, err)
				}
				if s := got.Sequences[0]; !slices.Equal(s.IDs, c.IDs) || c.Prompt+*s.Text != c.Text {
					t.Errorf("kernel %s, %s threads, pieces of %s: %q goes on as %v", path, threads, chunk, c.Prompt, s.IDs)
				}
			}
		}
	}
}

// wenmoOutput runs the command in a process of its own.
func wenmoOutput(t *testing.T, env []string, args ...string) string {
	t.Helper()
	return wenmoFed(t, env, "", args...)
}

// wenmoFed runs the command in a process of its own that reads a text, as at the
// end of a pipe; "": nothing.
func wenmoFed(t *testing.T, env []string, text string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "wenmo", args...)
	cmd.Env = append(os.Environ(), env...)
	if text != "" {
		cmd.Stdin = strings.NewReader(text)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("wenmo %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

// Ctrl-C ends a run: what was generated stays, the line is ended, the code is 130.
func TestInterruptRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("os.Process.Signal cannot send an interrupt on Windows")
	}
	dir := longModel(t)
	cmd := exec.CommandContext(t.Context(), "wenmo", "run", "-m", dir, "--ids", "40,41", "--suppress-tokens", "0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(stdout, first); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	if !bytes.HasSuffix(rest, []byte("\n")) {
		t.Errorf("the output ends in %q, not in a line end", rest[max(0, len(rest)-10):])
	}
}

// longModel makes a tiny-llama whose context is so long that no test sees the
// end of it.
func longModel(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "long")
	if err := wenmo.Create(t.Context(), dir, wenmo.CreateOptions{Shape: "tiny-llama"}); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), `"max_position_embeddings": 512`, `"max_position_embeddings": 16384`, 1)
	if text == string(data) {
		t.Fatal("config.json has another context")
	}
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Ctrl-C ends a download and says how to go on; the same command does.
func TestInterruptPull(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("os.Process.Signal cannot send an interrupt on Windows")
	}
	model := filepath.Join(t.TempDir(), "tiny")
	if err := wenmo.Create(t.Context(), model, wenmo.CreateOptions{Shape: "tiny-llama"}); err != nil {
		t.Fatal(err)
	}
	hub := hubtest.Serve(t, map[string]string{"test/tiny": model})
	asked, release := make(chan bool, 100), make(chan bool)
	hub.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.RawQuery, "Signature") { // the weights
				asked <- true
				select {
				case <-release:
				case <-r.Context().Done():
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	env := append(os.Environ(), "HF_HOME="+t.TempDir(), "HF_ENDPOINT="+hub.URL, "WENMO_LANG=zh",
		"HF_HUB_CACHE=", "HUGGINGFACE_HUB_CACHE=", "HF_HUB_OFFLINE=", "TRANSFORMERS_OFFLINE=", "HF_TOKEN=")
	cmd := exec.CommandContext(t.Context(), "wenmo", "pull", "test/tiny")
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-asked:
	case err := <-ended:
		t.Fatalf("it ended before it asked for the weights: %v, %s", err, &stderr)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(stderr.String(), chinese["interrupted.pull"]) {
		t.Errorf("exit code %d, want %d; told: %s", code, exitInterrupted, &stderr)
	}
	close(release)
	if path := wenmoOutput(t, env, "pull", "test/tiny"); !strings.Contains(path, "snapshots") {
		t.Errorf("pulled to %q", path)
	}
}

// A run that is interrupted is saved, says how to go on, and comes to the same
// model, byte for byte, as one that is not. It has more to tell than a pipe holds,
// so that it cannot end before it is interrupted.
func TestInterruptTraining(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot send an interrupt to another process")
	}
	dir := t.TempDir()
	text := filepath.Join(dir, "my.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("The cat sees the sun. 猫看见太阳。\n\nThe sun sees it.\n\n", 200)), 0o666); err != nil {
		t.Fatal(err)
	}
	tok, whole, parts := filepath.Join(dir, "tok"), filepath.Join(dir, "whole"), filepath.Join(dir, "parts")
	wenmoOutput(t, nil, "tokenizer", "train", "--file", text, "--vocab", "300", "--out", tok)
	args := []string{
		"pretrain", "--data", text, "--tokenizer", tok, "--steps", "600", "--json", "--set", "train.batch_tokens=64",
		"--set", "model.layers=2", "--set", "model.width=32", "--set", "model.context=32",
	}
	wenmoOutput(t, nil, append(args, "--out", whole)...)
	cmd := exec.CommandContext(t.Context(), "wenmo", append(args, "--out", parts)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	events := bufio.NewScanner(out)
	events.Buffer(nil, 1<<20)
	for events.Scan() && !strings.HasPrefix(events.Text(), `{"step":3,`) {
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if code, want := cmd.ProcessState.ExitCode(), "--resume --out "+parts; code != exitInterrupted || !strings.Contains(stderr.String(), want) {
		t.Fatalf("exit code %d, want %d; told: %s, want %s", code, exitInterrupted, &stderr, want)
	}
	wenmoOutput(t, nil, "pretrain", "--resume", "--out", parts)
	if !bytes.Equal(contents(t, parts, "model.safetensors"), contents(t, whole, "model.safetensors")) {
		t.Error("the model is not that of the unbroken run")
	}
}

func contents(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
