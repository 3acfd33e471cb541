package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"modernc.org/sqlite"
)

// The table of every floor: found by its primary key, which is a hash as the issuer's are.
const (
	createTable = `CREATE TABLE tokens (hash BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT`
	insertRow   = `INSERT INTO tokens (hash, value) VALUES (?1, ?2)`
	findRow     = `SELECT value FROM tokens WHERE hash = ?1`
)

// openDatabase opens a pool of at most n connections, with those of the issuer's pragmas that cost or save anything.
func openDatabase(path string, n int) (*sql.DB, error) {
	if path == "" {
		return nil, errors.New("say which file with -database")
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "temp_store(MEMORY)", "cache_size(-16000)",
		"trusted_schema(OFF)", "secure_delete(ON)", "journal_size_limit(67108864)",
	}}.Encode()}
	connector, err := sqlite.NewConnector(uri.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// fill makes the table, with rows whose hashes are those of rowName(0), rowName(1) and so on.
func fill(ctx context.Context, db *sql.DB, rows, width int) error {
	if _, err := db.ExecContext(ctx, createTable); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it does nothing after the commit
	insert, err := tx.PrepareContext(ctx, insertRow)
	if err != nil {
		return err
	}
	value := make([]byte, width)
	for i := range rows {
		hash := sha256.Sum256([]byte(rowName(i)))
		if _, err := insert.ExecContext(ctx, hash[:], value); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// rowName is as long as a reference.
func rowName(i int) string { return fmt.Sprintf("pgat_%049d", i) }
