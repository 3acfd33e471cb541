//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// forbidCoreDumps keeps the process's memory, with its secrets, from being written out when it crashes.
func forbidCoreDumps() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
