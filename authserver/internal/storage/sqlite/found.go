package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// accessColumns are those of accessRow.dest, and no more: a column costs the driver about as much as finding the row. Who
// exchanged a token is asked of exchanged ones only. A column without a name has its whole expression for one, which the
// driver would copy at every read.
const accessColumns = `t.jti, t.scope, t.value, t.issued_at, t.expires_at,
	CASE t.hops WHEN 0 THEN '' ELSE (SELECT group_concat(e.client_id, ' ' ORDER BY e.hop DESC) FROM exchanges e WHERE e.token_num = t.num) END AS actors,
	` + accessStands + ` AS alive, g.id, g.client_id, g.subject, g.session_id, g.wrapped_key, g.expires_at,
	g.birth_everything, g.birth_tenant, g.birth_client, g.birth_user, g.birth_user_client, f.epoch, f.sequence`

// One read finds the token, its grant, and whether every reach still stands: nothing can come between.
const accessByHash = `SELECT ` + accessColumns + `
	FROM feed f CROSS JOIN access_tokens t JOIN grants g ON g.num = t.grant_num WHERE f.one = 1 AND t.hash = ?1 AND t.tenant = ?2`

const accessByJTI = `SELECT ` + accessColumns + `
	FROM feed f CROSS JOIN access_tokens t JOIN grants g ON g.num = t.grant_num WHERE f.one = 1 AND t.jti = ?1 AND t.tenant = ?2`

const refreshByHash = `SELECT t.hash, t.scope, t.value, t.issued_at, t.expires_at, t.consumed_at, t.answer, ` + grantStands + ` AS alive, ` + grantColumns + `
	FROM refresh_tokens t JOIN grants g ON g.num = t.grant_num WHERE t.hash = ?1 AND t.tenant = ?2`

const codeByHash = `SELECT t.hash, t.value, t.issued_at, t.expires_at, t.consumed_at, ` + grantStands + ` AS alive, ` + grantColumns + `
	FROM codes t JOIN grants g ON g.num = t.grant_num WHERE t.hash = ?1 AND t.tenant = ?2`

// Lists go through the user's grants when there is a user, and else along the jti, so that a page ends early. A client's
// tokens are those of its grants, and those that it exchanged.
const (
	exchangedBy = `t.hops > 0 AND EXISTS (SELECT 1 FROM exchanges e WHERE e.token_num = t.num AND e.client_id = ?3)`
	listByUser  = `SELECT ` + accessColumns + ` FROM feed f CROSS JOIN grants g CROSS JOIN access_tokens t ON t.grant_num = g.num
	WHERE f.one = 1 AND g.tenant = ?1 AND g.subject = ?2 AND g.subject <> '' AND (?3 = '' OR g.client_id = ?3 OR ` + exchangedBy + `)
		AND t.jti > ?4 AND t.expires_at > ?5 AND g.expires_at > ?5 AND ` + accessStands + `
	ORDER BY t.jti LIMIT ?6`
	listAll = `SELECT ` + accessColumns + ` FROM feed f CROSS JOIN access_tokens t CROSS JOIN grants g ON g.num = t.grant_num
	WHERE f.one = 1 AND t.tenant = ?1 AND ?2 = '' AND (?3 = '' OR g.client_id = ?3 OR ` + exchangedBy + `)
		AND t.jti > ?4 AND t.expires_at > ?5 AND g.expires_at > ?5 AND ` + accessStands + `
	ORDER BY t.jti LIMIT ?6`
)

// accessRow receives the columns of an access token and its grant.
type accessRow struct {
	found                 storage.LiveAccess
	actors                string
	issued, expires, ends int64 // the last is the grant's
}

func (r *accessRow) dest() []any {
	t, g := &r.found, &r.found.Grant
	return []any{&t.JTI, &t.Scope, &t.Value, &r.issued, &r.expires, &r.actors, &t.Alive,
		&g.ID, &g.ClientID, &g.Subject, &g.SessionID, &g.WrappedKey, &r.ends,
		&g.Births.Everything, &g.Births.Tenant, &g.Births.Client, &g.Births.User, &g.Births.UserClient, &t.Feed.Epoch, &t.Feed.Sequence}
}

// read gives what was scanned, of the tenant that was asked for.
func (r *accessRow) read(tenant string) storage.LiveAccess {
	r.found.Grant.Tenant, r.found.GrantID = tenant, r.found.Grant.ID
	r.found.IssuedAt, r.found.ExpiresAt, r.found.Grant.ExpiresAt = moment(r.issued), moment(r.expires), moment(r.ends)
	if r.actors != "" {
		r.found.Actors = strings.Fields(r.actors)
	}
	return r.found
}

// FindAccess finds an access token by its reference's hash, or fails with storage.ErrNotFound. It does not look at times.
func (s *Store) FindAccess(ctx context.Context, tenant string, hash []byte) (storage.LiveAccess, error) {
	var row accessRow
	err := s.tokens.read(ctx, row.dest(), driver.NamedValue{Ordinal: 1, Value: hash}, driver.NamedValue{Ordinal: 2, Value: tenant})
	if err != nil {
		return storage.LiveAccess{}, err
	}
	return row.read(tenant), nil
}

// FindAccessByJTI finds an access token by its jti, as FindAccess does.
func (s *Store) FindAccessByJTI(ctx context.Context, tenant, jti string) (storage.LiveAccess, error) {
	var row accessRow
	if err := s.point.row(ctx, accessByJTI, []any{jti, tenant}, row.dest()...); err != nil {
		return storage.LiveAccess{}, err
	}
	return row.read(tenant), nil
}

// FindRefresh finds a refresh token, consumed ones too, or fails with storage.ErrNotFound. It does not look at times.
func (s *Store) FindRefresh(ctx context.Context, tenant string, hash []byte) (storage.LiveRefresh, error) {
	var (
		found                     storage.LiveRefresh
		grant                     grantRow
		issued, expires, consumed int64
	)
	err := s.point.row(ctx, refreshByHash, []any{hash, tenant}, grant.dest(&found.Hash, &found.Scope, &found.Value,
		&issued, &expires, &consumed, &found.Answer, &found.Alive)...)
	if err != nil {
		return storage.LiveRefresh{}, err
	}
	found.Grant = grant.read()
	found.GrantID = found.Grant.ID
	found.IssuedAt, found.ExpiresAt, found.ConsumedAt = moment(issued), moment(expires), moment(consumed)
	return found, nil
}

// FindCode finds a code, consumed ones too, or fails with storage.ErrNotFound. It does not look at times.
func (s *Store) FindCode(ctx context.Context, tenant string, hash []byte) (storage.LiveCode, error) {
	var (
		found                     storage.LiveCode
		grant                     grantRow
		issued, expires, consumed int64
	)
	err := s.point.row(ctx, codeByHash, []any{hash, tenant},
		grant.dest(&found.Hash, &found.Value, &issued, &expires, &consumed, &found.Alive)...)
	if err != nil {
		return storage.LiveCode{}, err
	}
	found.Grant = grant.read()
	found.GrantID = found.Grant.ID
	found.IssuedAt, found.ExpiresAt, found.ConsumedAt = moment(issued), moment(expires), moment(consumed)
	return found, nil
}

// ListTokens lists the access tokens that are alive at now and match the filter, by jti. With a user it costs what the
// user has; without, a page may look at every token of the tenant.
func (s *Store) ListTokens(ctx context.Context, f storage.TokenFilter, now time.Time) ([]storage.LiveAccess, error) {
	if f.Limit <= 0 {
		return nil, fmt.Errorf("%w: a token list needs a positive limit", errConstraint)
	}
	query := listAll
	if f.Subject != "" {
		query = listByUser
	}
	var list []storage.LiveAccess
	err := s.listing.each(ctx, query, []any{f.Tenant, f.Subject, f.ClientID, f.After, millis(now), f.Limit}, func(rows *sql.Rows) error {
		var row accessRow
		if err := rows.Scan(row.dest()...); err != nil {
			return err
		}
		list = append(list, row.read(f.Tenant))
		return nil
	})
	return list, err
}
