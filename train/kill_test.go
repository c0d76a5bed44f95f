//go:build unix

package train

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// childOut names, in the environment of a child process, the folder of the run
// that it goes on with until it is killed.
const childOut = "WENMO_TEST_RUN"

// TestRunChild is no test but the process that TestRunKilled kills.
func TestRunChild(t *testing.T) {
	out := os.Getenv(childOut)
	if out == "" {
		return
	}
	c, err := ResumeConfig("", out)
	if err != nil {
		t.Fatal(err)
	}
	err = Run(t.Context(), c, RunOptions{
		Resume: true,
		Log:    func(text string) { fmt.Println("log:", text) },
		Told:   func(Event) { fmt.Println("event") },
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRunKilled kills a run at random moments, a hundred times, and demands that
// it loses at most the steps since the last checkpoint, and that it ends with the
// weights of a run that nobody killed.
func TestRunKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a run a hundred times")
	}
	base := smallRun(t)
	base.Train.Steps, base.Save.Every = 150, "1ms"
	want := finished(t, copyOf(t, base), RunOptions{})
	c := copyOf(t, base)
	if err := os.MkdirAll(c.Out, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Out, savedConfig), []byte(c.Text()), 0o666); err != nil {
		t.Fatal(err)
	}
	checkpoints := &Checkpoints{Dir: filepath.Join(c.Out, checkpointsDir)}
	random := rand.New(rand.NewPCG(1, 2))
	before, kills := 0, 0
	for ; kills < 100; kills++ {
		output := killed(t, c.Out, func(events <-chan struct{}) {
			if kills%2 == 0 { // while it trains and saves, else while it starts
				<-events
			}
			time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		})
		if strings.Contains(output, "damaged") {
			t.Errorf("a kill has left something damaged: %s", output)
		}
		steps, err := checkpoints.Steps()
		if err != nil {
			t.Fatal(err)
		}
		newest := 0
		if len(steps) > 0 {
			newest = steps[len(steps)-1]
		}
		if newest < before {
			t.Fatalf("after a kill the newest checkpoint is that of %d steps; there was one of %d", newest, before)
		}
		before = newest
	}
	t.Logf("%d kills until %d steps", kills, before)
	again, err := ResumeConfig("", c.Out)
	if err != nil {
		t.Fatal(err)
	}
	same(t, finished(t, again, RunOptions{Resume: true}), want)
}

// killed starts a child that goes on with the run in the folder out, kills it
// when the moment has come, and returns what it printed. events is closed when
// the child has told of one, or has ended.
func killed(t *testing.T, out string, moment func(events <-chan struct{})) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRunChild$")
	cmd.Env = append(os.Environ(), childOut+"="+out)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	events, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		begin := sync.OnceFunc(func() { close(events) })
		defer begin()
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			fmt.Fprintln(&output, lines.Text())
			begin()
		}
	}()
	moment(events)
	_ = cmd.Process.Kill()
	<-read
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) {
		t.Fatalf("%v: %s", err, &output)
	}
	return output.String()
}
