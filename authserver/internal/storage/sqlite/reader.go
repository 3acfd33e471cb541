package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// reader reads one row of one query, straight from the driver: database/sql looks at each column by reflection and watches the
// context in a goroutine, which takes as long as finding the row does. It is for the read that every introspection is.
type reader struct {
	db    *sql.DB
	query string
	idle  chan *readConn // as many as there are connections; nil: not opened yet
}

// readConn is a connection with the prepared query, used by one goroutine at a time.
type readConn struct {
	conn *sql.Conn
	stmt driver.StmtQueryContext
	row  []driver.Value
}

func newReader(db *sql.DB, query string, connections int) *reader {
	r := &reader{db: db, query: query, idle: make(chan *readConn, connections)}
	for range connections {
		r.idle <- nil
	}
	return r
}

// read calls scan with the columns of the row, or fails with storage.ErrNotFound. What scan is given is the row's own: bytes
// and texts may be kept. The context is looked at before, not during: a point read is over in microseconds.
func (r *reader) read(ctx context.Context, scan func([]driver.Value) error, args ...driver.NamedValue) error {
	var c *readConn
	select {
	case c = <-r.idle:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := ctx.Err()
	if err == nil && c == nil {
		c, err = r.open()
	}
	if err == nil {
		err = c.read(scan, args)
		if err != nil && !errors.Is(err, storage.ErrNotFound) { // after a fault nothing that it remembers is trusted
			err = errors.Join(err, c.close())
			c = nil
		}
	}
	r.idle <- c
	return err
}

func (r *reader) open() (*readConn, error) {
	conn, err := r.db.Conn(context.Background())
	if err != nil {
		return nil, fault(err)
	}
	c := &readConn{conn: conn}
	err = conn.Raw(func(raw any) error {
		stmt, err := raw.(driver.ConnPrepareContext).PrepareContext(context.Background(), r.query)
		if err == nil {
			c.stmt = stmt.(driver.StmtQueryContext)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(fault(err), conn.Close())
	}
	return c, nil
}

func (c *readConn) read(scan func([]driver.Value) error, args []driver.NamedValue) error {
	rows, err := c.stmt.QueryContext(context.Background(), args)
	if err != nil {
		return fault(err)
	}
	if c.row == nil {
		c.row = make([]driver.Value, len(rows.Columns()))
	}
	switch err = rows.Next(c.row); {
	case errors.Is(err, io.EOF):
		err = storage.ErrNotFound
	case err == nil:
		err = scan(c.row)
	}
	return errors.Join(fault(err), fault(rows.Close()))
}

func (c *readConn) close() error {
	return errors.Join(c.stmt.(driver.Stmt).Close(), c.conn.Close())
}

// close waits for those who read, and closes what was opened.
func (r *reader) close() error {
	var errs []error
	for range cap(r.idle) {
		if c := <-r.idle; c != nil {
			errs = append(errs, c.close())
		}
	}
	for range cap(r.idle) {
		r.idle <- nil // later reads fail on the closed database
	}
	return fault(errors.Join(errs...))
}

// columns takes the columns of a row one after the other. What has another type than was asked for is a fault.
type columns struct {
	values []driver.Value
	bad    bool
}

func column[T any](c *columns) (value T) {
	if len(c.values) == 0 {
		c.bad = true
		return value
	}
	value, ok := c.values[0].(T)
	c.bad = c.bad || !ok
	c.values = c.values[1:]
	return value
}

func (c *columns) text() string  { return column[string](c) }
func (c *columns) number() int64 { return column[int64](c) }
func (c *columns) bytes() []byte { return column[[]byte](c) }

// end tells whether every column was what it was taken for.
func (c *columns) end() error {
	if c.bad || len(c.values) > 0 {
		return errors.New("sqlite: a row has other columns than its query asks for")
	}
	return nil
}
