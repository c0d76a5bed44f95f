//go:build !amd64 || purego || race

package kernel

// quantizeWhole does the work of quantizeBlock for as many blocks of a row as
// assembly takes, and returns their number.
func quantizeWhole(*QRows, int, []float32) int { return 0 }
