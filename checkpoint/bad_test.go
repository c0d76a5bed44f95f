package checkpoint

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

func TestFixtureGGUFBad(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		var cases []struct{ File, Reason, Place, Expect string }
		readJSON(t, filepath.Join(path, "bad.json"), &cases)
		for _, c := range cases {
			t.Run(strings.TrimSuffix(c.File, ".gguf"), func(t *testing.T) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				f, err := Open(filepath.Join(path, c.File))
				runtime.ReadMemStats(&after)
				if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
					t.Errorf("opening took %d bytes of memory", n)
				}
				if err == nil {
					defer f.Close()
				}
				switch c.Expect {
				case "ok":
					if err != nil {
						t.Fatal(err)
					}
					return
				case "container ok, model error":
					if err != nil {
						t.Fatal(err)
					}
					_, _, err = FromGGUF(f)
				case "error":
				default:
					t.Fatalf("expect %q is unknown", c.Expect)
				}
				if err == nil {
					t.Fatalf("accepted: %s", c.Reason)
				}
				if msg := err.Error(); !strings.Contains(msg, c.Place) || !strings.Contains(msg, c.File) {
					t.Errorf("message %q names not both %q and %q", msg, c.File, c.Place)
				}
			})
		}
	}, "gguf_bad")
}
