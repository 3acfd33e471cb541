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

// read puts the columns of the row into what dest points to, or fails with storage.ErrNotFound. Bytes and texts are the
// caller's to keep. The context is looked at before, not during: a point read is over in microseconds.
func (r *reader) read(ctx context.Context, dest []any, args ...driver.NamedValue) error {
	var c *readConn
	select {
	case c = <-r.idle:
	case <-ctx.Done():
		return ctx.Err()
	}
	kept := c // what the next one gets; nil when this read panics
	defer func() { r.idle <- kept }()
	err := ctx.Err()
	if err == nil && c == nil {
		c, err = r.open()
	}
	if err != nil {
		return err
	}
	kept = nil
	err = c.read(dest, args)
	if err != nil && !errors.Is(err, storage.ErrNotFound) { // after a fault nothing that it remembers is trusted
		return errors.Join(err, c.close())
	}
	kept = c
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

func (c *readConn) read(dest []any, args []driver.NamedValue) error {
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
		err = scan(c.row, dest)
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

// scan puts the columns of a row into what dest points to. What has another type than that is a fault.
func scan(row []driver.Value, dest []any) error {
	ok := len(row) == len(dest)
	for i := 0; ok && i < len(dest); i++ {
		switch to := dest[i].(type) {
		case *string:
			*to, ok = row[i].(string)
		case *[]byte:
			*to, ok = row[i].([]byte)
		case *int64:
			*to, ok = row[i].(int64)
		case *bool:
			var number int64
			number, ok = row[i].(int64)
			*to = number == 1
		default:
			ok = false
		}
	}
	if !ok {
		return errors.New("sqlite: a row has other columns than its query asks for")
	}
	return nil
}
