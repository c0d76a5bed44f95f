package dataset

import (
	"encoding/json"

	"wenmo/internal/atomicfile"
)

// Manifest tells what a corpus is made of.
type Manifest struct {
	HeldOut        float64          `json:"held_out"`                  // share of the documents
	NearDuplicates float64          `json:"near_duplicates,omitempty"` // similarity of copies; 0: exact ones alone
	Evaluation     []string         `json:"evaluation,omitempty"`      // sets that documents were compared with
	Sources        []ManifestSource `json:"sources"`
}

// ManifestSource is a source in a manifest.
type ManifestSource struct {
	Name    string  `json:"name"`
	Licence string  `json:"licence,omitempty"`
	Origin  string  `json:"origin,omitempty"`
	Weight  float64 `json:"weight,omitempty"`
	Passes  float64 `json:"passes,omitempty"`
	ManifestCounts
	Files []ManifestFile `json:"files"`
}

// ManifestCounts counts the documents of a file or of a source. Documents are
// all; those dropped and held out are among them.
type ManifestCounts struct {
	Documents      int64 `json:"documents"`
	Bytes          int64 `json:"bytes"`      // of their texts
	TokensAll      int64 `json:"tokens_all"` // of all documents
	Tokens         int64 `json:"tokens"`     // to train on
	Duplicates     int64 `json:"duplicates_dropped"`
	Contaminated   int64 `json:"contaminated_dropped"`
	NearDuplicates int64 `json:"near_duplicates_dropped,omitempty"`
	HeldOut        int64 `json:"held_out"`
	Empty          int64 `json:"empty,omitempty"`     // records without a sequence, not among Documents
	Broken         int64 `json:"broken,omitempty"`    // records left out, not among Documents
	Truncated      int64 `json:"truncated,omitempty"` // conversations that lost their oldest exchanges
	TooLong        int64 `json:"too_long,omitempty"`  // conversations, or turns, left out
}

// ManifestFile is a file in a manifest, or a series of small ones.
type ManifestFile struct {
	Path   string `json:"path"`   // of the first
	Files  int    `json:"files"`  // how many, by their names
	SHA256 string `json:"sha256"` // of the file; of several, that of their hashes and formats
	Size   int64  `json:"size"`   // bytes
	ManifestCounts
}

func (m *ManifestSource) add(f ManifestFile) {
	m.Files = append(m.Files, f)
	m.Documents += f.Documents
	m.Bytes += f.Bytes
	m.TokensAll += f.TokensAll
	m.Tokens += f.Tokens
	m.Duplicates += f.Duplicates
	m.Contaminated += f.Contaminated
	m.NearDuplicates += f.NearDuplicates
	m.HeldOut += f.HeldOut
	m.Empty += f.Empty
	m.Broken += f.Broken
	m.Truncated += f.Truncated
	m.TooLong += f.TooLong
}

// Save writes the manifest as JSON to path. A file that is there already is
// replaced as a whole or not at all.
func (m Manifest) Save(path string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Replace(path, append(data, '\n'))
}
