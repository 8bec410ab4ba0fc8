//go:build race

package test

// raceEnabled tells to build the binary with the race detector too.
const raceEnabled = true
