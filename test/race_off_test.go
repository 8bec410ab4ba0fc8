//go:build !race

package test

// raceEnabled reports whether to build the binary with the race detector too.
const raceEnabled = false
