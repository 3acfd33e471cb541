package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// errConstraint: a row that cannot be. It is the caller's fault, not the disk's, so it is none of storage's errors.
var errConstraint = errors.New("storage: a constraint was broken")

// fault is the one place where the driver's errors become storage's; its own never leave, only their text does, for the
// log. It leaves errors alone that are storage's already, and those of a context.
func fault(err error) error {
	switch {
	case err == nil, isStorage(err), errors.Is(err, errConstraint),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return storage.ErrNotFound
	}
	var e *driver.Error
	if errors.As(err, &e) && e.Code()&0xff == codes.SQLITE_CONSTRAINT {
		return fmt.Errorf("%w: sqlite: %s", errConstraint, e.Error())
	}
	return fmt.Errorf("%w: sqlite: %s", storage.ErrUnavailable, err.Error())
}

func isStorage(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrConsumed) ||
		errors.Is(err, storage.ErrEnded) || errors.Is(err, storage.ErrUnavailable)
}

// millis is how a time is kept: 0 is the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// moment is the inverse of millis.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// blob keeps nil out of columns that are NOT NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
