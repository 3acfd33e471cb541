package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"modernc.org/sqlite"
)

// The table of every floor: found by its primary key, which is a hash as the issuer's are, and with what a JWT says.
const (
	createTable = `CREATE TABLE tokens (hash BLOB PRIMARY KEY, jti TEXT NOT NULL, subject TEXT NOT NULL, client_id TEXT NOT NULL,
		scope TEXT NOT NULL, auth_time INTEGER NOT NULL, acr TEXT NOT NULL, amr TEXT NOT NULL, region TEXT NOT NULL,
		expires_at INTEGER NOT NULL, rest BLOB NOT NULL) STRICT`
	insertRow = `INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)`
	findRow   = `SELECT jti, subject, client_id, scope, auth_time, acr, amr, region, expires_at FROM tokens WHERE hash = ?1`
)

// row gives the values of insertRow, about width bytes. They are as long as those of a user's token.
func row(hash []byte, width int) []any {
	const (
		jti, subject = "00000000000000000000000000", "u_00000000000000000000000000"
		acr          = "urn:phantomgate:acr:password"
		others       = 192 // bytes before the rest
	)
	now := time.Now()
	return []any{hash, jti, subject, "mobile", "eventcatalog.read", now.Unix(), acr, "pwd", "eu",
		now.Add(24 * time.Hour).Unix(), make([]byte, max(0, width-others))}
}

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
	for i := range rows {
		hash := sha256.Sum256([]byte(rowName(i)))
		if _, err := insert.ExecContext(ctx, row(hash[:], width)...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// rowName is as long as a reference.
func rowName(i int) string { return fmt.Sprintf("pgat_%049d", i) }
