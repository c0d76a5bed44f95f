package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestStoriesAreThoseOfTheManifest compares the stories with what the model inside
// was trained on.
func TestStoriesAreThoseOfTheManifest(t *testing.T) {
	var manifest struct {
		Sources []struct {
			Files []struct{ Path, SHA256 string }
		}
	}
	data, err := os.ReadFile("../manifest-last.json")
	if err == nil {
		err = json.Unmarshal(data, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := write(&text); err != nil {
		t.Fatal(err)
	}
	sum, found := fmt.Sprintf("%x", sha256.Sum256([]byte(text.String()))), false
	for _, s := range manifest.Sources {
		for _, f := range s.Files {
			if f.Path == "zh-stories.jsonl" {
				found = true
				if f.SHA256 != sum {
					t.Errorf("the manifest has %s, the stories are %s", f.SHA256, sum)
				}
			}
		}
	}
	if !found {
		t.Error("the manifest has no zh-stories.jsonl")
	}
	for line := range strings.Lines(text.String()) {
		var s story
		if err := json.Unmarshal([]byte(line), &s); err != nil || s.User == "" || strings.ContainsAny(s.User+s.Text, "{}|X") {
			t.Fatalf("%s: %v", line, err)
		}
	}
}
