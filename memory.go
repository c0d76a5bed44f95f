package wenmo

import (
	"math"
	"os"
	"strconv"
	"strings"

	"wenmo/tensor"
)

// defaultCacheTokens is the room of an engine's KV cache where nobody says: half
// of the memory that is free now, but at least one sequence of the model's
// context and at most 64. Memory is taken only as sequences grow.
func (m *Model) defaultCacheTokens() int {
	shape := m.m.KV
	shape.BF16 = m.bf16
	perToken := max(1, shape.PageBytes()/tensor.PageTokens)
	const most = 64
	return min(max(freeMemory()/2/perToken, m.m.Context), most*m.m.Context)
}

// freeMemory is how many bytes can be had without swapping, a guess where the
// system does not tell.
func freeMemory() int {
	const guess = 4 << 30
	kb, ok := numberAfter("/proc/meminfo", "MemAvailable:")
	if !ok {
		return guess
	}
	return min(kb<<10, freeOfGroup())
}

// numberAfter returns the number behind a word that begins a line of a file of the
// system's.
func numberAfter(path, word string) (int, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, word); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return n, err == nil
		}
	}
	return 0, false
}

// freeOfGroup is what a container's limit leaves (cgroup v2).
func freeOfGroup() int {
	read := func(name string) (int, bool) {
		data, err := os.ReadFile("/sys/fs/cgroup/" + name)
		if err != nil {
			return 0, false
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(data)))
		return n, err == nil // "max" is no number: no limit
	}
	limit, limited := read("memory.max")
	used, known := read("memory.current")
	if !limited || !known {
		return math.MaxInt
	}
	// What was read of files counts as used, and can be dropped.
	files, _ := numberAfter("/sys/fs/cgroup/memory.stat", "inactive_file ")
	return max(0, limit-used+files)
}
