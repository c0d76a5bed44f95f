package wenmo

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// physicalCores counts the cores, not the hardware threads that share one;
// where the system does not tell, the hardware threads.
func physicalCores() int {
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list")
	seen := map[string]bool{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return runtime.NumCPU()
		}
		seen[strings.TrimSpace(string(data))] = true
	}
	if len(seen) == 0 {
		return runtime.NumCPU()
	}
	return len(seen)
}
