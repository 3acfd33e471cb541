//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// lockFile takes the database for this process, until the file is closed or the process has ended, however it does. The lock
// is on a file beside the database: to open and close that one would take SQLite's own locks away from this process (POSIX).
func lockFile(path string) (*os.File, error) {
	path, err := realPath(path)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path+"-lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%s: %w", path, ErrInUse), file.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("locking %s-lock: %w", path, err), file.Close())
	}
	return file, nil
}

// realPath is where the database is, or will be: however it is called, it is one.
func realPath(path string) (string, error) {
	found, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}
