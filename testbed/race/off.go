//go:build !race

package race

// Enabled tells whether this program is built with -race.
const Enabled = false
