package sqlite

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// BenchmarkRevoke measures that a revocation takes the same time however many tokens it ends: of a user, a client and the
// tenant with 1,000 living tokens, and with REVOKE_TOKENS (100,000 unless set), by turns in one run. "x-few" is the median of
// the turns' ratios. What takes longer with more tokens, destroying their keys, is done later and in small parts (Sweep).
func BenchmarkRevoke(b *testing.B) {
	many := 100_000
	if n, err := strconv.Atoi(os.Getenv("REVOKE_TOKENS")); err == nil {
		many = n
	}
	few, full := filledWith(b, 1000), filledWith(b, many)
	for _, reach := range []storage.Revocation{
		{Kind: storage.KindUser, Target: "u_many"}, {Kind: storage.KindClient, Target: "app"}, {Kind: storage.KindTenant, Target: "default"},
	} {
		b.Run(string(reach.Kind), func(b *testing.B) {
			var fulls, ratios []float64
			for b.Loop() {
				var ofFew, ofFull float64
				if len(ratios)%2 == 0 { // who comes second finds the disk awake
					ofFew, ofFull = revokeTime(b, few, reach), revokeTime(b, full, reach)
				} else {
					ofFull, ofFew = revokeTime(b, full, reach), revokeTime(b, few, reach)
				}
				fulls, ratios = append(fulls, ofFull), append(ratios, ofFull/ofFew)
			}
			slices.Sort(ratios)
			slices.Sort(fulls)
			b.ReportMetric(0, "ns/op") // an operation is a turn of both
			b.ReportMetric(ratios[len(ratios)/2], "x-few")
			b.ReportMetric(ratios[len(ratios)/4], "x-quarter")
			b.ReportMetric(ratios[len(ratios)*3/4], "x-threequarters")
			b.ReportMetric(fulls[len(fulls)/2], "µs/revocation")
		})
	}
}

// filledWith makes a store with n living tokens of one user at one client, each of a grant and a session of its own.
func filledWith(b *testing.B, n int) *Store {
	b.Helper()
	s, err := Open(b.Context(), Options{Path: filepath.Join(b.TempDir(), fmt.Sprint(n, ".db")), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	fill(b, s, n)
	return s
}

// fill writes the first token as everybody does. The others are its copies under names of their own, which SQL makes, and the
// indexes are made anew behind them: ten million, one by one, would take hours. (That of the jtis stays, since a foreign key needs it;
// so they come in order.) After each statement the WAL is written back into the file: it must not grow by all of them.
func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	do := func(write func(tx *statements) error) {
		b.Helper()
		if err := s.writer.do(b.Context(), func(tx *statements) error {
			s.writer.unwritten = checkpointEvery
			return write(tx)
		}); err != nil {
			b.Fatal(err)
		}
	}
	run := func(statement string, args ...any) {
		b.Helper()
		do(func(tx *statements) error { _, err := tx.exec(statement, args...); return err })
	}
	var names, made string
	do(addToken)
	do(func(tx *statements) error {
		return tx.row(b.Context(), `SELECT group_concat(name), group_concat(sql, ';') FROM sqlite_schema
			WHERE type = 'index' AND tbl_name IN ('grants', 'access_tokens') AND name <> 'access_tokens_jti'`, nil, &names, &made)
	})
	for name := range strings.SplitSeq(names, ",") {
		run("DROP INDEX " + name)
	}
	const together = 500_000
	for from := 2; from <= n; from += together {
		run(copyGrants, from, min(from+together-1, n))
		run(copyTokens, from, min(from+together-1, n))
	}
	for index := range strings.SplitSeq(made, ";") {
		run(index)
	}
}

// The copies of the first grant and of its token, with the nums from ?1 to ?2.
const (
	nums = `WITH RECURSIVE copies (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM copies WHERE n < ?2) `

	copyGrants = nums + `INSERT INTO grants (num, tenant, id, client_id, subject, session_id, scope, offline, wrapped_key, birth_everything,
			birth_tenant, birth_client, birth_user, birth_user_client, created_at, expires_at)
		SELECT n, tenant, hex(randomblob(13)), client_id, subject, 's_' || hex(randomblob(13)), scope, offline, wrapped_key, birth_everything,
			birth_tenant, birth_client, birth_user, birth_user_client, created_at, expires_at
		FROM copies, grants WHERE num = 1`
	copyTokens = nums + `INSERT INTO access_tokens (num, tenant, hash, jti, grant_num, scope, value, issued_at, expires_at)
		SELECT n, tenant, randomblob(32), printf('j_%024d', n), n, scope, value, issued_at, expires_at
		FROM copies, access_tokens WHERE num = 1`
)

func addToken(tx *statements) error {
	now, id := time.Now(), rand.Text()
	num, err := createGrant(tx, storage.Grant{Tenant: "default", ID: id, ClientID: "app", Subject: "u_many", SessionID: "s_" + id, Scope: "read",
		WrappedKey: make([]byte, 60), CreatedAt: now, ExpiresAt: now.Add(240 * time.Hour)})
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(id))
	return insertAccess(tx, "default", num, storage.AccessToken{Hash: hash[:], JTI: "j_" + id, Scope: "read", Value: make([]byte, 120),
		IssuedAt: now, ExpiresAt: now.Add(240 * time.Hour)})
}

// revokeTime is in microseconds.
func revokeTime(b *testing.B, s *Store, r storage.Revocation) float64 {
	b.Helper()
	r.Tenant, r.ID, r.By, r.At = "default", rand.Text(), "bench", time.Now()
	start := time.Now()
	if _, err := s.Revoke(b.Context(), r); err != nil {
		b.Fatal(err)
	}
	return float64(time.Since(start).Nanoseconds()) / 1000
}
