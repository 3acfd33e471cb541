package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

const (
	// sweepChunk is how many rows one write of the sweep touches: a millisecond or two, for which others wait.
	sweepChunk = 100
	// keepRevocations is how long the record of a revocation is kept. What it ended stays ended: that is in generations.
	keepRevocations = 30 * 24 * time.Hour
	// keepStreams is how long a stream that nobody polls is kept: longer than any gateway serves from a cache without it.
	keepStreams = time.Hour
	// keepAcknowledgements is how long it is known when which gateway had applied a revocation.
	keepAcknowledgements = time.Hour
)

// Sweep removes rows whose time is over, and destroys the keys of grants that were revoked: it deals with limit rows at
// most. It tells with how many; fewer than limit means that nothing is left to do at now. It is safe to call often: it
// works in small writes, between which others get their turn.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (removed int, err error) {
	// Children go before grants, and a grant's reaches with the last that they could end.
	for _, sweep := range []func(tx *statements, now int64, limit int) (int, error){
		sweepAccess, sweepRefresh, sweepCodes, sweepGrants, sweepSessions, sweepSigningKeys, sweepRevocations, sweepStreams,
		sweepAcknowledgements, destroyKeys,
	} {
		for removed < limit {
			n, err := s.sweepOnce(ctx, sweep, millis(now), min(sweepChunk, limit-removed))
			if err != nil {
				return removed, err
			}
			if n == 0 {
				break
			}
			removed += n
		}
	}
	return removed, nil
}

func (s *Store) sweepOnce(ctx context.Context, sweep func(*statements, int64, int) (int, error), now int64, limit int) (int, error) {
	var n int
	err := s.writer.do(ctx, func(tx *statements) (err error) {
		n, err = sweep(tx, now, limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// sweepAccess leaves a token that others were exchanged for until they are gone, which is no later than its own end: the
// rows of descendants lean on it, and its reach must hold as long as one of them is there.
func sweepAccess(tx *statements, now int64, limit int) (int, error) {
	gone, err := remove(tx, `DELETE FROM access_tokens WHERE num IN
			(SELECT num FROM access_tokens t WHERE expires_at <= ?1
				AND NOT EXISTS (SELECT 1 FROM exchanges e WHERE e.tenant = t.tenant AND e.parent_jti = t.jti)
			ORDER BY expires_at LIMIT ?2)
		RETURNING tenant, jti, ''`, now, limit)
	if err != nil {
		return 0, err
	}
	for _, token := range gone {
		if _, err := tx.exec(`DELETE FROM generations WHERE tenant = ?1 AND kind = 'token' AND id = ?2`, token.tenant, token.id); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}

func sweepRefresh(tx *statements, now int64, limit int) (int, error) {
	n, err := tx.exec(`DELETE FROM refresh_tokens WHERE num IN
		(SELECT num FROM refresh_tokens WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)`, now, limit)
	return int(n), err
}

func sweepCodes(tx *statements, now int64, limit int) (int, error) {
	n, err := tx.exec(`DELETE FROM codes WHERE num IN
		(SELECT num FROM codes WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)`, now, limit)
	return int(n), err
}

// forgetSession removes the reach of a session that nothing refers to any more.
const forgetSession = `DELETE FROM generations WHERE tenant = ?1 AND kind = 'session' AND id = ?2
	AND NOT EXISTS (SELECT 1 FROM sessions WHERE tenant = ?1 AND id = ?2)
	AND NOT EXISTS (SELECT 1 FROM grants WHERE tenant = ?1 AND session_id = ?2 AND session_id <> '')`

func sweepGrants(tx *statements, now int64, limit int) (int, error) {
	gone, err := remove(tx, `DELETE FROM grants WHERE num IN
			(SELECT g.num FROM grants g WHERE g.expires_at <= ?1
				AND NOT EXISTS (SELECT 1 FROM access_tokens WHERE grant_num = g.num)
				AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE grant_num = g.num)
				AND NOT EXISTS (SELECT 1 FROM codes WHERE grant_num = g.num)
			ORDER BY g.expires_at LIMIT ?2)
		RETURNING tenant, id, session_id`, now, limit)
	if err != nil {
		return 0, err
	}
	for _, grant := range gone {
		if _, err := tx.exec(`DELETE FROM generations WHERE tenant = ?1 AND kind = 'grant' AND id = ?2`, grant.tenant, grant.id); err != nil {
			return 0, err
		}
		if grant.sessionID == "" {
			continue
		}
		if _, err := tx.exec(forgetSession, grant.tenant, grant.sessionID); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}

func sweepSessions(tx *statements, now int64, limit int) (int, error) {
	gone, err := remove(tx, `DELETE FROM sessions WHERE num IN
			(SELECT num FROM sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
		RETURNING tenant, id, ''`, now, limit)
	if err != nil {
		return 0, err
	}
	for _, session := range gone {
		if _, err := tx.exec(forgetSession, session.tenant, session.id); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}

// removed is what a sweep must know of a row that is gone.
type removed struct{ tenant, id, sessionID string }

func remove(tx *statements, query string, now int64, limit int) ([]removed, error) {
	var gone []removed
	err := tx.each(context.Background(), query, []any{now, limit}, func(rows *sql.Rows) error {
		var r removed
		err := rows.Scan(&r.tenant, &r.id, &r.sessionID)
		gone = append(gone, r)
		return err
	})
	return gone, err
}

func sweepSigningKeys(tx *statements, now int64, limit int) (int, error) {
	n, err := tx.exec(`DELETE FROM signing_keys WHERE (tenant, id) IN
		(SELECT tenant, id FROM signing_keys WHERE expires_at <> 0 AND expires_at <= ?1 LIMIT ?2)`, now, limit)
	return int(n), err
}

// sweepRevocations looks at the oldest only: they come in the order of time.
func sweepRevocations(tx *statements, now int64, limit int) (int, error) {
	n, err := tx.exec(`DELETE FROM revocations WHERE sequence IN
		(SELECT sequence FROM (SELECT sequence, at, swept_to FROM revocations ORDER BY sequence LIMIT ?2)
			WHERE at <= ?1 AND swept_to IS NULL)`, now-keepRevocations.Milliseconds(), limit)
	return int(n), err
}

func sweepStreams(tx *statements, now int64, limit int) (int, error) {
	n, err := tx.exec(`DELETE FROM streams WHERE num IN (SELECT num FROM streams WHERE seen_at <= ?1 ORDER BY seen_at LIMIT ?2)`,
		now-keepStreams.Milliseconds(), limit)
	return int(n), err
}

func sweepAcknowledgements(tx *statements, now int64, limit int) (int, error) {
	n, err := tx.exec(`DELETE FROM acknowledgements WHERE (stream_num, through) IN
		(SELECT stream_num, through FROM acknowledgements WHERE at <= ?1 ORDER BY at LIMIT ?2)`, now-keepAcknowledgements.Milliseconds(), limit)
	return int(n), err
}

// The grants that a revocation may have ended, by its reach: ?1 tenant, ?2 target, ?3 where the last look stopped, ?4 how
// many to look at.
const (
	endedColumns = `SELECT g.num, g.wrapped_key <> x'' AND NOT ` + grantStands + ` FROM grants g WHERE `
	endedEnd     = ` AND g.num > ?3 ORDER BY g.num LIMIT ?4`

	endedBySession    = endedColumns + `g.tenant = ?1 AND g.session_id = ?2 AND g.session_id <> ''` + endedEnd
	endedByUser       = endedColumns + `g.tenant = ?1 AND g.subject = ?2 AND g.subject <> ''` + endedEnd
	endedByUserClient = endedColumns + `g.tenant = ?1 AND g.subject = substr(?2, 1, instr(?2, ' ') - 1) AND g.subject <> ''` + endedEnd
	endedByClient     = endedColumns + `g.tenant = ?1 AND g.client_id = ?2` + endedEnd
	endedByTenant     = endedColumns + `g.tenant = ?1 AND g.tenant = ?2` + endedEnd
	endedByEverything = endedColumns + `?1 <> '' AND ?2 = ''` + endedEnd
)

// destroyKeys goes on with the oldest revocation whose grants still have keys. A grant that stands, because it is younger,
// keeps its own.
func destroyKeys(tx *statements, _ int64, limit int) (int, error) {
	var (
		r              storage.Revocation
		at, seen, last int64
	)
	err := tx.row(context.Background(), `SELECT sequence, tenant, kind, target, swept_to FROM revocations
		WHERE swept_to IS NOT NULL ORDER BY sequence LIMIT 1`, nil, &r.Sequence, &r.Tenant, &r.Kind, &r.Target, &at)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var ended []int64
	err = tx.each(context.Background(), endedBy(r.Kind), []any{r.Tenant, r.Target, at, limit}, func(rows *sql.Rows) error {
		var destroy bool
		err := rows.Scan(&last, &destroy)
		if seen++; destroy {
			ended = append(ended, last)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, num := range ended {
		if _, err := tx.exec(`UPDATE grants SET wrapped_key = x'' WHERE num = ?1`, num); err != nil {
			return 0, err
		}
	}
	var next any // NULL: done
	if seen == int64(limit) {
		next = last
	}
	_, err = tx.exec(`UPDATE revocations SET swept_to = ?2 WHERE sequence = ?1`, r.Sequence, next)
	return max(int(seen), 1), err // at least one: this revocation is dealt with
}

func endedBy(kind storage.Kind) string {
	switch kind {
	case storage.KindSession:
		return endedBySession
	case storage.KindUser:
		return endedByUser
	case storage.KindUserClient:
		return endedByUserClient
	case storage.KindClient:
		return endedByClient
	case storage.KindTenant:
		return endedByTenant
	default:
		return endedByEverything
	}
}
