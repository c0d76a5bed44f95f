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
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return guess
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				return guess
			}
			return min(kb<<10, freeOfGroup())
		}
	}
	return guess
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
	return max(0, limit-used+cachedByGroup())
}

// cachedByGroup is what a container's memory.current counts of files that were
// read and can be dropped.
func cachedByGroup() int {
	data, err := os.ReadFile("/sys/fs/cgroup/memory.stat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "inactive_file "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(rest)) // of nonsense 0
			return n
		}
	}
	return 0
}
