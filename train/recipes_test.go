package train

import (
	"path/filepath"
	"testing"
)

// TestRecipes demands that the runs of the repository can be meant.
func TestRecipes(t *testing.T) {
	files, err := filepath.Glob("../runs/*/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, error %v: want recipes", files, err)
	}
	for _, path := range files {
		c, err := ReadConfig(path)
		if err == nil {
			err = c.Complete()
		}
		if err == nil {
			for i := range c.Data {
				s := &c.Data[i]
				if s.Licence == "" || s.Origin == "" {
					t.Errorf("%s: %s has no licence or origin", path, s.Name)
				}
			}
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
