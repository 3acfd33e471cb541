// Package sqlite keeps the issuer's rows in one SQLite file (modernc.org/sqlite: no cgo).
//
// It promises what storage says, and two things more. A write that returned nil is on the disk: it survives a killed
// process and a power cut, as far as the disk keeps what it says it synced. And writers share commits: one goroutine
// takes all writes that wait, gives each its own savepoint, and commits them together (see writer).
//
// Two processes may not serve from one file: the second one is refused (ErrInUse). Other programs may read it, and SQLite's own
// locks keep it sound. One issuer, one file.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	driver "modernc.org/sqlite"
)

// Options says where the database is.
type Options struct {
	Path   string       // the file; it and its directory are made if missing, for the owner only
	Logger *slog.Logger // required
}

// ErrInUse: another process has the database open.
var ErrInUse = errors.New("an issuer has it open; one issuer, one file: stop that one first")

// Store is the open database. It is safe for concurrent use.
type Store struct {
	path    string
	lock    *os.File
	reads   *sql.DB // point reads: many, short
	lists   *sql.DB // lists: few, long; they never take a connection from the point reads
	writes  *sql.DB // one connection, the writer's
	found   *sql.DB // reads of access tokens, which have connections of their own
	point   *statements
	tokens  *reader
	writer  *writer
	listing *statements
	changed *changes
}

// Open opens the database, makes it if missing, and brings its tables up to date. It refuses a file whose tables are
// newer than this program knows, and one that is open elsewhere (ErrInUse).
func Open(ctx context.Context, options Options) (_ *Store, err error) {
	if options.Path == "" {
		return nil, errors.New("sqlite: no path given")
	}
	if options.Logger == nil {
		return nil, errors.New("sqlite: no logger given")
	}
	path, err := filepath.Abs(options.Path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	s := &Store{path: path, changed: newChanges()}
	if s.lock, err = lockFile(path); err != nil { // first: whoever has the file open must not meet another here
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	if err = prepareFile(path, options.Logger); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if s.writes, err = open(path, 1, writePragmas()); err != nil {
		return nil, err
	}
	if err = migrate(ctx, s.writes); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %s: %w", options.Path, err), s.writes.Close())
	}
	if s.reads, err = open(path, max(4, 2*runtime.GOMAXPROCS(0)), readPragmas()); err != nil {
		return nil, errors.Join(err, s.writes.Close())
	}
	if s.lists, err = open(path, 2, readPragmas()); err != nil {
		return nil, errors.Join(err, s.reads.Close(), s.writes.Close())
	}
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	if s.found, err = open(path, readers, readPragmas()); err != nil {
		return nil, errors.Join(err, s.lists.Close(), s.reads.Close(), s.writes.Close())
	}
	s.point, s.listing = newStatements(s.reads), newStatements(s.lists)
	s.tokens = newReader(s.found, accessByHash, readers)
	s.writer = startWriter(s.writes, options.Logger, s.changed)
	return s, nil
}

// Close lets the writes that wait end, then closes the file. Later writes fail with storage.ErrUnavailable.
func (s *Store) Close() error {
	s.writer.close()
	err := s.tokens.close()
	s.point.close()
	s.listing.close()
	err = fault(errors.Join(err, s.found.Close(), s.reads.Close(), s.lists.Close(), s.writes.Close()))
	if unlocked := s.lock.Close(); !errors.Is(unlocked, os.ErrClosed) { // Close may be called twice
		err = errors.Join(err, unlocked)
	}
	return err
}

// Ping tells whether the database can be read.
func (s *Store) Ping(ctx context.Context) error {
	var sequence int64
	return s.point.row(ctx, "SELECT sequence FROM feed", nil, &sequence)
}

// busyTimeout is in milliseconds.
const busyTimeout = "5000"

// writePragmas are those of the writer's connection.
func writePragmas() []string {
	return append(pragmas(),
		"synchronous("+synchronous+")", // a COMMIT that returned is on the disk
		"foreign_keys(ON)",             // a grant cannot go before its descendants
		"secure_delete(ON)",            // what is deleted is overwritten in the file: a destroyed key is gone
		"wal_autocheckpoint(0)",        // the writer does it itself, after it has answered
		"journal_size_limit(67108864)", // after a burst the WAL file is cut back
	)
}

// readPragmas are those of the readers.
func readPragmas() []string {
	return append(pragmas(),
		"query_only(ON)", // a reader that writes is a programming fault: refused
	)
}

// pragmas are those of every connection.
func pragmas() []string {
	return []string{
		"busy_timeout(" + busyTimeout + ")", // another process at the file (a backup, a shell) is waited for, 5 s at most
		"journal_mode(WAL)",                 // readers and the writer do not wait for each other
		"temp_store(MEMORY)",                // sorting leaves nothing in /tmp
		"cache_size(-16000)",                // 16 MB a connection: the inner pages of the indexes of some million tokens
		"trusted_schema(OFF)",               // a tampered file cannot run functions from its schema
	}
}

// open makes a pool of at most n connections, which live as long as the pool.
func open(path string, n int, pragmas []string) (*sql.DB, error) {
	uri := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}.Encode()}
	connector, err := driver.NewConnector(uri.String())
	if err != nil {
		return nil, fault(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// prepareFile makes the file for its owner only, and makes its name durable. SQLite gives the WAL the same mode.
func prepareFile(path string, log *slog.Logger) error {
	dir := filepath.Dir(path)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing was written through it
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		log.Warn("the database file was open to other users; now it is the owner's only", "file", path)
		if err := file.Chmod(0o600); err != nil {
			return err
		}
	}
	if info.Size() > 0 {
		return nil
	}
	// A new file's name is lost by a power cut until its directory is synced, and so are the directories made for it.
	for ; ; dir = filepath.Dir(dir) {
		if err := syncDirectory(dir); err != nil {
			return err
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, os.ErrPermission) { // not ours to read: then not ours to have made
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
