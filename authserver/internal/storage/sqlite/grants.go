package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// grantColumns are read by every statement that finds a code or a refresh token, in the order of grantRow.dest. The births are not among
// them: grantStands compares them where they lie, and every column costs the driver some allocations.
const grantColumns = `g.tenant, g.id, g.client_id, g.subject, g.session_id, g.scope, g.offline, g.wrapped_key, g.created_at, g.expires_at`

// grantRow receives grantColumns.
type grantRow struct {
	grant            storage.Grant
	created, expires int64
}

func (r *grantRow) dest(more ...any) []any {
	g := &r.grant
	return append(more, &g.Tenant, &g.ID, &g.ClientID, &g.Subject, &g.SessionID, &g.Scope, &g.Offline, &g.WrappedKey,
		&r.created, &r.expires)
}

func (r *grantRow) read() storage.Grant {
	r.grant.CreatedAt, r.grant.ExpiresAt = moment(r.created), moment(r.expires)
	return r.grant
}

// insertGrant refuses a session that was logged out while the grant was being made: EndSession has ended the grants that
// it saw, and this one must not slip through behind it.
const insertGrant = `INSERT INTO grants (tenant, id, client_id, subject, session_id, scope, offline, wrapped_key,
		birth_everything, birth_tenant, birth_client, birth_user, birth_user_client, created_at, expires_at)
	SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15
	WHERE ?5 = '' OR NOT EXISTS (SELECT 1 FROM sessions WHERE tenant = ?1 AND id = ?5 AND ended_at <> 0)
	RETURNING num`

func createGrant(tx *statements, g storage.Grant) (num int64, err error) {
	err = tx.row(context.Background(), insertGrant, []any{g.Tenant, g.ID, g.ClientID, g.Subject, g.SessionID, g.Scope,
		g.Offline, blob(g.WrappedKey), g.Births.Everything, g.Births.Tenant, g.Births.Client, g.Births.User,
		g.Births.UserClient, millis(g.CreatedAt), millis(g.ExpiresAt)}, &num)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, storage.ErrEnded
	}
	return num, err
}

// CreateGrantWithCode begins a grant, with the code that its client will redeem and, if the user was asked, the consent,
// in one transaction. It fails with storage.ErrEnded when the grant's session was logged out.
func (s *Store) CreateGrantWithCode(ctx context.Context, g storage.Grant, code storage.Code, consent *storage.Consent) error {
	if err := belongs(g, code.GrantID); err != nil {
		return err
	}
	return s.writer.do(ctx, func(tx *statements) error {
		num, err := createGrant(tx, g)
		if err != nil {
			return err
		}
		_, err = tx.exec(`INSERT INTO codes (tenant, hash, grant_num, value, issued_at, expires_at, consumed_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)`,
			g.Tenant, code.Hash, num, blob(code.Value), millis(code.IssuedAt), millis(code.ExpiresAt))
		if err != nil || consent == nil {
			return err
		}
		return mergeConsent(tx, *consent)
	})
}

// CreateGrantWithToken begins a grant and gives its access token, in one transaction (client credentials).
func (s *Store) CreateGrantWithToken(ctx context.Context, g storage.Grant, token storage.AccessToken) error {
	if err := belongs(g, token.GrantID); err != nil {
		return err
	}
	return s.writer.do(ctx, func(tx *statements) error {
		num, err := createGrant(tx, g)
		if err != nil {
			return err
		}
		return insertAccess(tx, g.Tenant, num, token)
	})
}

// belongs catches a caller's slip before it becomes a row.
func belongs(g storage.Grant, grantID string) error {
	if g.Tenant == "" || g.ID == "" || grantID != g.ID {
		return fmt.Errorf("%w: a row of grant %q was given with grant %q of tenant %q", errConstraint, grantID, g.ID, g.Tenant)
	}
	return nil
}

func insertAccess(tx *statements, tenant string, grantNum int64, t storage.AccessToken) error {
	_, err := tx.exec(`INSERT INTO access_tokens (tenant, hash, jti, grant_num, scope, value, issued_at, expires_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`,
		tenant, t.Hash, t.JTI, grantNum, t.Scope, blob(t.Value), millis(t.IssuedAt), millis(t.ExpiresAt))
	return err
}

func insertRefresh(tx *statements, tenant string, grantNum int64, t storage.RefreshToken) error {
	_, err := tx.exec(`INSERT INTO refresh_tokens (tenant, hash, grant_num, scope, value, issued_at, expires_at, consumed_at, answer)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, x'')`,
		tenant, t.Hash, grantNum, t.Scope, blob(t.Value), millis(t.IssuedAt), millis(t.ExpiresAt))
	return err
}

const consumeCode = `UPDATE codes SET consumed_at = ?3
	WHERE hash = ?1 AND tenant = ?2 AND ` + unconsumed + ` AND expires_at > ?3
		AND EXISTS (SELECT 1 FROM grants g WHERE g.num = grant_num AND g.id = ?4 AND g.expires_at > ?3 AND ` + grantStands + `)
	RETURNING grant_num`

const consumeRefresh = `UPDATE refresh_tokens SET consumed_at = ?3, answer = ?5
	WHERE hash = ?1 AND tenant = ?2 AND ` + unconsumed + ` AND expires_at > ?3
		AND EXISTS (SELECT 1 FROM grants g WHERE g.num = grant_num AND g.id = ?4 AND g.expires_at > ?3 AND ` + grantStands + `)
	RETURNING grant_num`

// RedeemCode consumes a code and gives what it earned, in one transaction. It fails with storage.ErrNotFound for a code
// that is not there, storage.ErrConsumed when another was first, and storage.ErrEnded when the code or its grant has
// expired or any reach has moved on.
func (s *Store) RedeemCode(ctx context.Context, tenant string, hash []byte, now time.Time,
	access storage.AccessToken, refresh *storage.RefreshToken) error {
	return s.writer.do(ctx, func(tx *statements) error {
		num, err := consume(tx, consumeCode, `SELECT consumed_at FROM codes WHERE hash = ?1 AND tenant = ?2`,
			hash, tenant, millis(now), access.GrantID)
		if err != nil {
			return err
		}
		if refresh != nil {
			if err := insertRefresh(tx, tenant, num, *refresh); err != nil {
				return err
			}
		}
		return insertAccess(tx, tenant, num, access)
	})
}

// RotateRefresh consumes a refresh reference, keeps the sealed answer with it, and gives its successor and an access
// token, in one transaction. It fails as RedeemCode does.
func (s *Store) RotateRefresh(ctx context.Context, tenant string, hash []byte, now time.Time, answer []byte,
	access storage.AccessToken, next storage.RefreshToken) error {
	return s.writer.do(ctx, func(tx *statements) error {
		num, err := consume(tx, consumeRefresh, `SELECT consumed_at FROM refresh_tokens WHERE hash = ?1 AND tenant = ?2`,
			hash, tenant, millis(now), access.GrantID, blob(answer))
		if err != nil {
			return err
		}
		if err := insertRefresh(tx, tenant, num, next); err != nil {
			return err
		}
		return insertAccess(tx, tenant, num, access)
	})
}

// consume runs the one conditional write; when it changed nothing, it looks why. Its first two arguments are the hash and
// the tenant.
func consume(tx *statements, write, why string, args ...any) (grantNum int64, err error) {
	err = tx.row(context.Background(), write, args, &grantNum)
	if !errors.Is(err, storage.ErrNotFound) {
		return grantNum, err
	}
	var consumedAt int64
	switch err := tx.row(context.Background(), why, args[:2], &consumedAt); {
	case err != nil:
		return 0, err
	case consumedAt != 0:
		return 0, storage.ErrConsumed
	default:
		return 0, storage.ErrEnded
	}
}
