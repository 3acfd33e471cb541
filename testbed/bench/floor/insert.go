package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// mostShared is how many inserts share a commit at most: as many as the issuer's writer takes.
const mostShared = 128

// inserter makes one row a request and answers once it is on the disk.
type inserter struct {
	insert *sql.Stmt // of the one connection: its commit is its own
	db     *sql.DB
	width  int
	shared bool
	queue  chan *waiting
}

// waiting is an insert that shares a commit with others.
type waiting struct {
	hash []byte
	done chan error
}

func newInserter(ctx context.Context, o options) (http.Handler, func() error, error) {
	db, err := openDatabase(o.database, 1)
	if err != nil {
		return nil, nil, err
	}
	if err := fill(ctx, db, o.rows, o.width); err != nil {
		return nil, nil, err
	}
	in := &inserter{db: db, width: o.width, shared: o.shared, queue: make(chan *waiting, mostShared)}
	if o.shared {
		ended := make(chan error, 1)
		go func() { ended <- in.share(ctx) }()
		return in, func() error { return errors.Join(<-ended, db.Close()) }, nil
	}
	if in.insert, err = db.PrepareContext(ctx, insertRow); err != nil {
		return nil, nil, err
	}
	return in, db.Close, nil
}

func (in *inserter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := in.one(r); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	const answer = `{"access_token":"pgat_0000000000000000000000000000000000000000000000000","token_type":"Bearer","expires_in":300}`
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = io.WriteString(w, answer) // a client that has gone away is no fault of ours
}

func (in *inserter) one(r *http.Request) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	hash := make([]byte, 32)
	_, _ = rand.Read(hash) // never fails
	if !in.shared {
		_, err := in.insert.ExecContext(context.Background(), hash, make([]byte, in.width))
		return err
	}
	job := &waiting{hash, make(chan error, 1)}
	in.queue <- job
	return <-job.done
}

// share inserts what waits and commits it together, until ctx ends.
func (in *inserter) share(ctx context.Context) error {
	conn, err := in.db.Conn(context.Background())
	if err != nil {
		return err
	}
	var prepared [3]*sql.Stmt
	for i, query := range []string{"BEGIN IMMEDIATE", insertRow, "COMMIT"} {
		if prepared[i], err = conn.PrepareContext(context.Background(), query); err != nil {
			return err
		}
	}
	for {
		var batch []*waiting
		select {
		case <-ctx.Done():
			return conn.Close()
		case job := <-in.queue:
			batch = append(batch, job)
		}
		for len(batch) < mostShared && len(in.queue) > 0 {
			batch = append(batch, <-in.queue)
		}
		err := in.commit(prepared, batch)
		for _, job := range batch {
			job.done <- err
		}
	}
}

// commit begins, inserts and commits. After an error the database is of no use any more; the one who measures ends then.
func (in *inserter) commit(prepared [3]*sql.Stmt, batch []*waiting) error {
	begin, insert, commit := prepared[0], prepared[1], prepared[2]
	if _, err := begin.Exec(); err != nil {
		return err
	}
	for _, job := range batch {
		if _, err := insert.Exec(job.hash, make([]byte, in.width)); err != nil {
			return err
		}
	}
	_, err := commit.Exec()
	return err
}
