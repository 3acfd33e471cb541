//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package sqlite

import (
	"errors"
	"os"
)

// lockFile fails: how a file is locked here for the life of a process is not known, and without it two issuers could serve.
func lockFile(string) (*os.File, error) {
	return nil, errors.New("this operating system is not supported: its file locks are not known here")
}
