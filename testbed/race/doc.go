// Package race tells tests that run with the race detector, so that what they build is built like them: all that Caddy needs has
// been compiled so already, and takes minutes to be compiled otherwise as well.
package race
