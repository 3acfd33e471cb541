//go:build unix && !linux

package authserver

import "golang.org/x/sys/unix"

// ForbidCoreDumps keeps the process's memory, with its secrets, from being written out when it crashes.
func ForbidCoreDumps() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
