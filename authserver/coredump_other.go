//go:build !unix

package authserver

// ForbidCoreDumps has nothing to do where crashes leave no core file.
func ForbidCoreDumps() error { return nil }
