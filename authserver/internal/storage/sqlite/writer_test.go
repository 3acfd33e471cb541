package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	driver "modernc.org/sqlite"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

func openInside(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "issuer.db"), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func insertAccount(login string) func(*statements) error {
	return func(tx *statements) error {
		_, err := tx.exec(`INSERT INTO accounts (tenant, login, subject) VALUES ('default', ?1, ?2)`, login, "u_"+login)
		return err
	}
}

func logins(t *testing.T, s *Store) string {
	t.Helper()
	accounts, err := s.Accounts(context.Background(), "default")
	if err != nil {
		t.Fatal(err)
	}
	var logins []string
	for _, account := range accounts {
		logins = append(logins, account.Login)
	}
	return strings.Join(logins, " ")
}

// together makes the writer run writes in one batch, and gives their errors. It holds the writer in a first one until all
// others wait in its queue.
func together(t *testing.T, s *Store, contexts []context.Context, writes ...func(*statements) error) []error {
	t.Helper()
	held, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- s.writer.do(context.Background(), func(*statements) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	jobs := make([]*write, len(writes))
	for i, do := range writes {
		ctx := context.Background()
		if contexts != nil {
			ctx = contexts[i]
		}
		jobs[i] = &write{ctx: ctx, do: do, done: make(chan error, 1)}
		s.writer.queue <- jobs[i]
	}
	close(release)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	errs := make([]error, len(jobs))
	for i, job := range jobs {
		errs[i] = <-job.done
	}
	return errs
}

func TestWritersShareACommit(t *testing.T) {
	s := openInside(t)
	var inside, outside error
	errs := together(t, s, nil,
		insertAccount("alice"),
		func(tx *statements) error { // in the same transaction alice is there; outside she is not yet
			var subject string
			query, args := `SELECT subject FROM accounts WHERE tenant = ?1 AND login = 'alice'`, []any{"default"}
			inside = tx.row(context.Background(), query, args, &subject)
			outside = s.point.row(context.Background(), query, args, &subject)
			return nil
		})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if inside != nil || !errors.Is(outside, storage.ErrNotFound) {
		t.Errorf("inside: %v, outside: %v; want a row inside, none outside", inside, outside)
	}
	if got := logins(t, s); got != "alice" {
		t.Errorf("accounts: %s", got)
	}
}

func TestAWriteThatFailsHarmsNoOther(t *testing.T) {
	s := openInside(t)
	given, cancel := context.WithCancel(context.Background())
	cancel()
	background := context.Background()
	refused := errors.New("refused")
	errs := together(t, s, []context.Context{background, background, background, given, background},
		insertAccount("alice"),
		func(tx *statements) error { // it wrote before it failed
			return errors.Join(insertAccount("bob")(tx), refused)
		},
		insertAccount("alice"),
		insertAccount("dave"),
		insertAccount("carol"),
	)
	for i, want := range []error{nil, refused, errConstraint, context.Canceled, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("write %d: error is %v, want %v", i, errs[i], want)
		}
	}
	if got := logins(t, s); got != "alice carol" {
		t.Errorf("accounts: %s", got)
	}
	if err := s.writer.do(background, func(tx *statements) error { return errors.Join(insertAccount("bob")(tx), refused) }); !errors.Is(err, refused) {
		t.Errorf("alone: error is %v", err)
	}
	if got := logins(t, s); got != "alice carol" {
		t.Errorf("accounts after a write that failed alone: %s", got)
	}
}

func TestAFailedCommitFailsAllOfThem(t *testing.T) {
	s := openInside(t)
	errs := together(t, s, nil,
		insertAccount("alice"),
		func(tx *statements) error { // a deferred foreign key makes the COMMIT itself fail
			_, err := tx.exec(`PRAGMA defer_foreign_keys = ON`)
			if err == nil {
				_, err = tx.exec(`INSERT INTO access_tokens (tenant, hash, jti, grant_num, scope, value, issued_at, expires_at)
					VALUES ('default', x'00', 'j', 4711, '', x'', 0, 0)`)
			}
			return err
		},
		func(*statements) error { return storage.ErrConsumed }, // what it saw may not have come to pass
	)
	for i, err := range errs {
		if err == nil || errors.Is(err, storage.ErrConsumed) {
			t.Errorf("write %d: error is %v after a failed commit", i, err)
		}
	}
	if got := logins(t, s); got != "" {
		t.Errorf("accounts: %s", got)
	}
	if err := s.writer.do(context.Background(), insertAccount("alice")); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

func TestAFullDiskIsUnavailableAndRecovers(t *testing.T) {
	s := openInside(t)
	err := s.writer.do(context.Background(), func(tx *statements) error {
		var pages int64
		return tx.row(context.Background(), `PRAGMA max_page_count = 1`, nil, &pages) // the size it has: it cannot grow
	})
	if err != nil {
		t.Fatal(err)
	}
	answered := 0
	for err == nil && answered < 1000 {
		if err = s.writer.do(context.Background(), insertAccount(fmt.Sprintf("%04d", answered)+strings.Repeat("x", 1000))); err == nil {
			answered++
		}
	}
	if !errors.Is(err, storage.ErrUnavailable) {
		t.Fatalf("after %d writes the error is %v, want ErrUnavailable", answered, err)
	}
	if got := len(strings.Fields(logins(t, s))); got != answered {
		t.Errorf("%d accounts are kept, %d were answered", got, answered)
	}
	if err := s.writer.do(context.Background(), insertAccount("later")); err != nil { // on a new connection, which has no limit
		t.Errorf("it did not recover: %v", err)
	}
}

func TestCloseLetsWaitingWritesEnd(t *testing.T) {
	s := openInside(t)
	held, release := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.writer.do(context.Background(), func(*statements) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	waiting := &write{ctx: context.Background(), do: insertAccount("alice"), done: make(chan error, 1)}
	s.writer.queue <- waiting
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-s.writer.closing
	close(release)
	if err := <-waiting.done; err != nil {
		t.Errorf("a write that waited: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := s.writer.do(context.Background(), insertAccount("bob")); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("a write after Close: %v", err)
	}
	if _, err := s.FindAccess(context.Background(), "default", []byte("x")); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("a read after Close: %v", err)
	}
}

func TestTheDriversErrorsNeverLeave(t *testing.T) {
	s := openInside(t)
	for name, err := range map[string]error{
		"broken SQL":   s.point.row(context.Background(), `SELECT nonsense`, nil),
		"a constraint": errors.Join(s.writer.do(context.Background(), insertAccount("a")), s.writer.do(context.Background(), insertAccount("a"))),
		"a reader that writes": s.point.row(context.Background(), `INSERT INTO accounts (tenant, login, subject)
			VALUES ('default', 'x', 'x') RETURNING 1`, nil, new(int)),
	} {
		var e *driver.Error
		if err == nil || errors.As(err, &e) {
			t.Errorf("%s: error is %#v", name, err)
		}
	}
}

// TestTheLogBeginsAnewUnderReadersThatNeverPause keeps readers going while many pages are written: the write-ahead log must
// not grow with what was written.
func TestTheLogBeginsAnewUnderReadersThatNeverPause(t *testing.T) {
	s := openInside(t)
	if _, err := s.writes.Exec("PRAGMA synchronous = OFF"); err != nil { // nothing is lost here, and it is much faster
		t.Fatal(err)
	}
	reading, stop := context.WithCancel(context.Background())
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for reading.Err() == nil {
				if err := s.Ping(context.Background()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	const bytes = 8 << 10 // a row takes two pages of its own, beside those of the indexes
	for n := range 64 {
		writers.Go(func() {
			for row := range 6 * checkpointEvery / 64 {
				if err := s.writer.do(context.Background(), insertAccount(fmt.Sprint(n, row, strings.Repeat("x", bytes)))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	info, err := os.Stat(s.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	written := int64(6 * checkpointEvery * bytes)
	if info.Size() > written*3/2 {
		t.Errorf("the log has %d bytes after rows of %d were written", info.Size(), written)
	}
	t.Logf("%d MB of log for %d MB of rows", info.Size()>>20, written>>20)
}

func TestPragmas(t *testing.T) {
	s := openInside(t)
	for _, c := range []struct {
		on     *statements
		pragma string
		want   string
	}{
		{s.point, "journal_mode", "wal"}, {s.point, "query_only", "1"}, {s.listing, "query_only", "1"},
	} {
		var got string
		if err := c.on.row(context.Background(), "PRAGMA "+c.pragma, nil, &got); err != nil || got != c.want {
			t.Errorf("%s is %s, want %s (%v)", c.pragma, got, c.want, err)
		}
	}
	err := s.writer.do(context.Background(), func(tx *statements) error {
		for pragma, want := range map[string]int{"synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "query_only": 0} {
			var got int
			if err := tx.row(context.Background(), "PRAGMA "+pragma, nil, &got); err != nil || got != want {
				t.Errorf("%s is %d, want %d (%v)", pragma, got, want, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPlans holds the statements of every request to their indexes: none reads a table from end to end.
func TestPlans(t *testing.T) {
	s := openInside(t)
	for name, query := range map[string]string{
		"FindAccess": accessByHash, "FindAccessByJTI": accessByJTI, "FindRefresh": refreshByHash, "FindCode": codeByHash,
		"FindSession": sessionByHash, "Generations": readGenerations, "ListTokens of a user": listByUser, "ListTokens": listAll,
		"RedeemCode": consumeCode, "RotateRefresh": consumeRefresh, "begin": insertGrant,
		"ReadFeed": feedAfter, "keys by session": endedBySession, "keys by user": endedByUser, "keys by user+client": endedByUserClient, "keys by client": endedByClient,
	} {
		rows, err := s.writes.Query("EXPLAIN QUERY PLAN "+query, "1", "2", "3", "4", "5", 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(step, "SCAN") && step != "SCAN CONSTANT ROW" {
				t.Errorf("%s: %s", name, step)
			}
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
}
