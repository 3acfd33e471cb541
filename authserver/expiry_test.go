package authserver_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

// TestExpiredRowsGoByThemselves: nobody asks for it. The rows that are alive stay, which is the control.
func TestExpiredRowsGoByThemselves(t *testing.T) {
	dir, start := t.TempDir(), time.Now()
	at := func(moment time.Time) authservertest.Options {
		return authservertest.Options{Config: machines, Dir: dir, Now: func() time.Time { return moment }}
	}
	first := authservertest.New(t, at(start))
	tokenFor(t, first, "batch")
	first.Stop(t)

	year := start.AddDate(1, 0, 0)
	second := authservertest.New(t, at(year))
	tokenFor(t, second, "batch")
	db, err := sql.Open("sqlite", filepath.Join(dir, "db", "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := func(table, condition string) (n int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table+" WHERE expires_at "+condition, year.UnixMilli()).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); rows("access_tokens", "<= ?")+rows("grants", "<= ?") > 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("expired rows are still there")
		}
	}
	if tokens, grants := rows("access_tokens", "> ?"), rows("grants", "> ?"); tokens != 1 || grants != 1 {
		t.Errorf("of what is alive %d tokens and %d grants are left; want 1 of each", tokens, grants)
	}
}
