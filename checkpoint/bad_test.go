package checkpoint

import (
	"path/filepath"
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
				f, err := Open(filepath.Join(path, c.File))
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
