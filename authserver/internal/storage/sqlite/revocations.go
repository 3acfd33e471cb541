package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// Revoke moves one reach on and records it, in one transaction: when it has returned, nothing that was born under the
// reach is found alive any more. To revoke again moves it on again. It fails with storage.ErrNotFound for a token, grant or
// session that was never there or is swept already: those rows could never be removed.
func (s *Store) Revoke(ctx context.Context, r storage.Revocation) (storage.Revocation, error) {
	done, err := s.RevokeAll(ctx, []storage.Revocation{r})
	if err != nil {
		return storage.Revocation{}, err
	}
	return done[0], nil
}

// RevokeAll is Revoke for several reaches in one transaction.
func (s *Store) RevokeAll(ctx context.Context, asked []storage.Revocation) ([]storage.Revocation, error) {
	for _, r := range asked {
		if err := checkReach(r); err != nil {
			return nil, err
		}
	}
	var done []storage.Revocation
	err := s.writer.do(ctx, func(tx *statements) (err error) {
		done, err = revoke(tx, asked)
		return err
	})
	if err != nil {
		return nil, err // done may still be written to when only the context ended
	}
	return done, nil
}

// checkReach catches a reach that would end nothing, or more than was meant.
func checkReach(r storage.Revocation) error {
	switch {
	case r.ID == "" || r.Tenant == "":
		return fmt.Errorf("%w: a revocation needs a tenant and an id", errConstraint)
	case r.Kind == storage.KindEverything && r.Target != "":
		return fmt.Errorf("%w: the reach everything has no target", errConstraint)
	case r.Kind == storage.KindTenant && r.Target != r.Tenant:
		return fmt.Errorf("%w: the reach tenant has its own tenant as its target", errConstraint)
	case r.Kind != storage.KindEverything && r.Target == "":
		return fmt.Errorf("%w: the reach %s needs a target", errConstraint, r.Kind)
	}
	switch r.Kind {
	case storage.KindToken, storage.KindGrant, storage.KindSession, storage.KindUser, storage.KindUserClient,
		storage.KindClient, storage.KindTenant, storage.KindEverything:
		return nil
	}
	return fmt.Errorf("%w: unknown reach %q", errConstraint, r.Kind)
}

// existence, by kind, of what a reach without a birth in its descendants would end.
const (
	tokenExists   = `SELECT 1 FROM access_tokens WHERE tenant = ?1 AND jti = ?2`
	grantExists   = `SELECT 1 FROM grants WHERE tenant = ?1 AND id = ?2`
	sessionExists = `SELECT 1 WHERE EXISTS (SELECT 1 FROM sessions WHERE tenant = ?1 AND id = ?2)
		OR EXISTS (SELECT 1 FROM grants WHERE tenant = ?1 AND session_id = ?2 AND session_id <> '')`
)

// revoke moves the reaches on, then writes the records, and last the feed's counter: where transactions run side by side
// (another driver), whoever holds the counter commits next, so the sequence has no holes and no late rows.
func revoke(tx *statements, asked []storage.Revocation) ([]storage.Revocation, error) {
	done := make([]storage.Revocation, len(asked))
	for i, r := range asked {
		if err := exists(tx, r); err != nil {
			return nil, err
		}
		var err error
		if r.Generation, err = moveOn(tx, r); err != nil {
			return nil, err
		}
		r.At = moment(millis(r.At))
		done[i] = r
	}
	var sequence int64
	if err := tx.row(context.Background(), `SELECT sequence FROM feed`, nil, &sequence); err != nil {
		return nil, err
	}
	for i := range done {
		r := &done[i]
		sequence++
		r.Sequence = sequence
		_, err := tx.exec(`INSERT INTO revocations (sequence, tenant, id, kind, target, generation, asked_by, at, swept_to)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`,
			r.Sequence, r.Tenant, r.ID, string(r.Kind), r.Target, r.Generation, r.By, millis(r.At), firstSweep(r.Kind))
		if err != nil {
			return nil, err
		}
	}
	tx.revoked = true
	_, err := tx.exec(`UPDATE feed SET sequence = ?1`, sequence)
	return done, err
}

func exists(tx *statements, r storage.Revocation) error {
	var query string
	switch r.Kind {
	case storage.KindToken:
		query = tokenExists
	case storage.KindGrant:
		query = grantExists
	case storage.KindSession:
		query = sessionExists
	default:
		return nil
	}
	var one int
	return tx.row(context.Background(), query, []any{r.Tenant, r.Target}, &one)
}

// moveOn adds one to the reach's generation. A grant's key goes at once; what wider reaches end is left to the sweep.
func moveOn(tx *statements, r storage.Revocation) (generation int64, err error) {
	tenant := r.Tenant
	if r.Kind == storage.KindEverything {
		tenant = ""
	}
	err = tx.row(context.Background(), `INSERT INTO generations (tenant, kind, id, generation) VALUES (?1, ?2, ?3, 1)
		ON CONFLICT (tenant, kind, id) DO UPDATE SET generation = generation + 1 RETURNING generation`,
		[]any{tenant, string(r.Kind), r.Target}, &generation)
	if err == nil && r.Kind == storage.KindGrant {
		_, err = tx.exec(`UPDATE grants SET wrapped_key = x'' WHERE tenant = ?1 AND id = ?2`, r.Tenant, r.Target)
	}
	return generation, err
}

// firstSweep is where the sweep of a revocation's keys begins: nil where there is nothing left to do.
func firstSweep(kind storage.Kind) any {
	if kind == storage.KindToken || kind == storage.KindGrant {
		return nil
	}
	return 0
}

// FindRevocation finds a revocation by its id, or fails with storage.ErrNotFound.
func (s *Store) FindRevocation(ctx context.Context, tenant, id string) (storage.Revocation, error) {
	r := storage.Revocation{Tenant: tenant, ID: id}
	var at int64
	err := s.point.row(ctx, `SELECT kind, target, generation, sequence, asked_by, at FROM revocations WHERE tenant = ?1 AND id = ?2`,
		[]any{tenant, id}, &r.Kind, &r.Target, &r.Generation, &r.Sequence, &r.By, &at)
	if err != nil {
		return storage.Revocation{}, err
	}
	r.At = moment(at)
	return r, nil
}

// endGrants revokes every grant of a session that does not outlive its logout and has not ended already.
func endGrants(tx *statements, tenant, sessionID, by string, at time.Time) error {
	var asked []storage.Revocation
	for after := int64(0); ; {
		var id string
		err := tx.row(context.Background(), `SELECT g.num, g.id FROM grants g
			WHERE g.tenant = ?1 AND g.session_id = ?2 AND g.session_id <> '' AND g.offline = 0 AND g.num > ?3
				AND NOT EXISTS (SELECT 1 FROM generations WHERE tenant = g.tenant AND kind = 'grant' AND id = g.id)
			ORDER BY g.num LIMIT 1`, []any{tenant, sessionID, after}, &after, &id)
		if errors.Is(err, storage.ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		asked = append(asked, storage.Revocation{Tenant: tenant, ID: rand.Text(), Kind: storage.KindGrant, Target: id, By: by, At: at})
	}
	if len(asked) == 0 {
		return nil
	}
	_, err := revoke(tx, asked)
	return err
}
