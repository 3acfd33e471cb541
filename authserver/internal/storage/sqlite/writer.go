package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

const (
	maxBatch        = 128  // writes that share a commit, at most
	checkpointEvery = 500  // writes between two times that the WAL is written back into the file
	maxWALPages     = 4096 // of 4 KiB: past 16 MB the WAL is made to begin anew, which readers that never pause would prevent
)

// writer runs every write. One goroutine, one connection: it takes all writes that wait, runs each in a savepoint of its
// own inside one transaction, and commits once. So many writers pay for one sync of the disk, and none waits for a lock.
//
// Nobody is answered before the commit. What one write found may rest on what another did in the same transaction, so when
// the commit fails all of them fail, with storage.ErrUnavailable.
type writer struct {
	db      *sql.DB
	log     *slog.Logger
	queue   chan *write
	changed *changes // told of every revocation that is durable

	closing   chan struct{} // closed by close: no new writes
	ended     chan struct{} // closed when the goroutine has ended
	closeOnce sync.Once

	tx        *statements // of the one connection; nil before the first write and after a fault
	conn      *sql.Conn
	unwritten int // writes since the WAL was last written back
}

// write is one write that waits. do must change nothing but what it writes to tx and its own result, which is read only
// after done has answered nil.
type write struct {
	ctx  context.Context
	do   func(tx *statements) error
	err  error
	done chan error
}

// answer answers once; a second answer is not heard.
func (j *write) answer(err error) {
	select {
	case j.done <- err:
	default:
	}
}

func startWriter(db *sql.DB, log *slog.Logger, changed *changes) *writer {
	w := &writer{db: db, log: log, queue: make(chan *write, maxBatch), changed: changed,
		closing: make(chan struct{}), ended: make(chan struct{})}
	go w.run()
	return w
}

// do runs one write and returns when it is durable, or has failed. When the context ends first, the write may or may not
// come to pass: the caller must tell nobody that it was done.
func (w *writer) do(ctx context.Context, do func(tx *statements) error) error {
	job := &write{ctx: ctx, do: do, done: make(chan error, 1)}
	select {
	case <-w.closing:
		return errClosed()
	default:
	}
	select {
	case w.queue <- job:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return errClosed()
	}
	select {
	case err := <-job.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-w.ended:
	}
	select { // it may have been the last one
	case err := <-job.done:
		return err
	default:
		return errClosed()
	}
}

func errClosed() error { return fmt.Errorf("%w: sqlite: the store is closed", storage.ErrUnavailable) }

// close lets the writes that wait end, and then the goroutine.
func (w *writer) close() {
	w.closeOnce.Do(func() { close(w.closing) })
	<-w.ended
}

func (w *writer) run() {
	defer close(w.ended)
	defer w.drop()
	batch := make([]*write, 0, maxBatch)
	for {
		select {
		case job := <-w.queue:
			batch = w.fill(append(batch[:0], job))
		case <-w.closing:
			if batch = w.fill(batch[:0]); len(batch) == 0 {
				return
			}
		}
		err := w.commit(batch)
		if err != nil {
			w.log.Error("a commit failed; nothing of it was answered as done", "writes", len(batch), "error", err)
			w.drop()
		} else if w.tx.revoked {
			w.tx.revoked = false
			w.changed.announce() // before the answer: gateways may well be first to know
		}
		for _, job := range batch {
			if err != nil {
				job.err = err
			}
			job.answer(job.err)
		}
		w.checkpoint(len(batch))
	}
}

// fill takes what waits now; it waits for nothing.
func (w *writer) fill(batch []*write) []*write {
	for len(batch) < maxBatch {
		select {
		case job := <-w.queue:
			batch = append(batch, job)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction. An error is the whole batch's; what concerns one write stays with it.
func (w *writer) commit(batch []*write) error {
	if err := w.connect(); err != nil {
		return err
	}
	if _, err := w.tx.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, job := range batch {
		if job.err = job.ctx.Err(); job.err != nil {
			continue // given up before it began
		}
		if err := w.one(job, len(batch) == 1); err != nil {
			_, rollback := w.tx.exec("ROLLBACK")
			return errors.Join(err, rollback)
		}
	}
	beforeCommit(batch)
	if _, err := w.tx.exec("COMMIT"); err != nil {
		_, rollback := w.tx.exec("ROLLBACK")
		return errors.Join(err, rollback)
	}
	return nil
}

// one runs one write in a savepoint of its own and leaves its error with it; it returns a fault of the disk, after which
// SQLite may have rolled back more than the savepoint.
func (w *writer) one(job *write, alone bool) error {
	if alone { // the transaction itself is its savepoint
		if job.err = job.do(w.tx); job.err == nil {
			return nil
		}
		if errors.Is(job.err, storage.ErrUnavailable) {
			return job.err
		}
		if _, err := w.tx.exec("ROLLBACK"); err != nil {
			return err
		}
		_, err := w.tx.exec("BEGIN IMMEDIATE")
		return err
	}
	if _, err := w.tx.exec("SAVEPOINT job"); err != nil {
		return err
	}
	if job.err = job.do(w.tx); job.err != nil {
		if errors.Is(job.err, storage.ErrUnavailable) {
			return job.err
		}
		if _, err := w.tx.exec("ROLLBACK TO job"); err != nil {
			return err
		}
	}
	_, err := w.tx.exec("RELEASE job")
	return err
}

// connect takes the one connection, again after a fault.
func (w *writer) connect() error {
	if w.tx != nil {
		return nil
	}
	conn, err := w.db.Conn(context.Background())
	if err != nil {
		return fault(err)
	}
	w.conn, w.tx = conn, newStatements(conn)
	return nil
}

// drop closes the connection: after a fault nothing that it remembers is trusted.
func (w *writer) drop() {
	if w.conn == nil {
		return
	}
	w.tx.close()
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // which is how database/sql is told not to keep it
	_ = w.conn.Close()
	w.conn, w.tx = nil, nil
}

// checkpoint writes the WAL back into the file after every checkpointEvery writes. It runs after the answers, so that only
// the next commit waits for it.
func (w *writer) checkpoint(writes int) {
	if w.unwritten += writes; w.unwritten < checkpointEvery || w.tx == nil {
		return
	}
	w.unwritten = 0
	pages, err := w.writeBack("PASSIVE") // waits for nobody
	if err == nil && pages > maxWALPages {
		err = w.restart()
	}
	if err != nil {
		w.log.Error("the write-ahead log could not be written back; it grows until it can", "error", err)
	}
}

// restart lets the WAL begin anew, for which no reader may be in it. Readers of one row are gone at once; a long one is
// not waited for: then it is tried again after the next writes.
func (w *writer) restart() error {
	// These two pragmas work while they are compiled: they must not be prepared once and kept.
	if _, err := w.conn.ExecContext(context.Background(), "PRAGMA busy_timeout = 50"); err != nil {
		return fault(err)
	}
	_, err := w.writeBack("RESTART")
	_, back := w.conn.ExecContext(context.Background(), "PRAGMA busy_timeout = "+busyTimeout)
	return errors.Join(err, fault(back))
}

// writeBack tells how many pages the WAL has.
func (w *writer) writeBack(mode string) (pages int64, err error) {
	var busy, written int64
	err = w.tx.row(context.Background(), "PRAGMA wal_checkpoint("+mode+")", nil, &busy, &pages, &written)
	return pages, err
}
