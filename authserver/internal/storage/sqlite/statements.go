package sqlite

import (
	"context"
	"database/sql"
	"sync"
)

// statements are the prepared statements of one pool or connection, each prepared when it is first needed. The queries
// are constants of this package, so there are few.
type statements struct {
	db interface {
		PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	}
	mu       sync.RWMutex
	prepared map[string]*sql.Stmt
	revoked  bool // the writer's: a revocation was written since the last commit
}

func newStatements(db interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}) *statements {
	return &statements{db: db, prepared: map[string]*sql.Stmt{}}
}

func (s *statements) get(query string) (*sql.Stmt, error) {
	s.mu.RLock()
	stmt := s.prepared[query]
	s.mu.RUnlock()
	if stmt != nil {
		return stmt, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt := s.prepared[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.db.PrepareContext(context.Background(), query) // outlives the request that needed it first
	if err != nil {
		return nil, fault(err)
	}
	s.prepared[query] = stmt
	return stmt, nil
}

func (s *statements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stmt := range s.prepared {
		_ = stmt.Close() // the connection is closed next, which frees it in any case
	}
	clear(s.prepared)
}

// row reads one row, or fails with storage.ErrNotFound. The context is looked at before, not during: a point read is over
// in microseconds, and watching a context through it would cost as much as the read.
func (s *statements) row(ctx context.Context, query string, args []any, dest ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stmt, err := s.get(query)
	if err != nil {
		return err
	}
	return fault(stmt.QueryRowContext(context.WithoutCancel(ctx), args...).Scan(dest...))
}

// each calls scan for every row. It stops when the context ends.
func (s *statements) each(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	stmt, err := s.get(query)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return fault(err)
	}
	defer func() { _ = rows.Close() }() // its error is that of rows.Err
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fault(err)
		}
	}
	return fault(rows.Err())
}

// exec writes, and tells how many rows it changed.
func (s *statements) exec(query string, args ...any) (int64, error) {
	stmt, err := s.get(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, fault(err)
	}
	n, err := result.RowsAffected()
	return n, fault(err)
}
