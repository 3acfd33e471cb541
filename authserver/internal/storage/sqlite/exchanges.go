package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// insertExchanged puts the new token beside the one it was exchanged for, on the same grant, provided that one is alive
// now and does not end before it.
const insertExchanged = `INSERT INTO access_tokens (tenant, hash, jti, grant_num, scope, value, issued_at, expires_at, hops)
	SELECT t.tenant, ?3, ?4, t.grant_num, ?5, ?6, ?7, ?8, t.hops + 1
	FROM access_tokens t JOIN grants g ON g.num = t.grant_num
	WHERE t.jti = ?1 AND t.tenant = ?2 AND g.id = ?9 AND t.expires_at > ?10 AND g.expires_at > ?10 AND t.expires_at >= ?8
		AND ` + accessStands + `
	RETURNING num, hops`

// insertHops copies the parent's hops, births and all, and adds the new one.
const (
	insertParentsHops = `INSERT INTO exchanges (token_num, hop, tenant, parent_jti, client_id, birth_client, birth_user_client)
		SELECT ?1, e.hop, e.tenant, e.parent_jti, e.client_id, e.birth_client, e.birth_user_client
		FROM exchanges e JOIN access_tokens t ON t.num = e.token_num WHERE t.tenant = ?2 AND t.jti = ?3`
	insertHop = `INSERT INTO exchanges (token_num, hop, tenant, parent_jti, client_id, birth_client, birth_user_client)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`
)

// CreateExchanged gives a token in exchange for the one with the jti by.ParentJTI (RFC 8693), in one transaction. The new
// one hangs on the same grant and dies with its parent, with every ancestor, and with whoever exchanged one of them. It
// fails with storage.ErrNotFound for a parent that is not there, and with storage.ErrEnded when the parent has expired,
// would end before the new token, or any reach of it has moved on.
func (s *Store) CreateExchanged(ctx context.Context, tenant string, by storage.Exchange, now time.Time, token storage.AccessToken) error {
	return s.writer.do(ctx, func(tx *statements) error {
		var num, hops int64
		err := tx.row(context.Background(), insertExchanged, []any{by.ParentJTI, tenant, token.Hash, token.JTI, token.Scope,
			blob(token.Value), millis(token.IssuedAt), millis(token.ExpiresAt), token.GrantID, millis(now)}, &num, &hops)
		if errors.Is(err, storage.ErrNotFound) {
			var one int
			if err := tx.row(context.Background(), tokenExists, []any{tenant, by.ParentJTI}, &one); err != nil {
				return err
			}
			return storage.ErrEnded
		}
		if err != nil {
			return err
		}
		if _, err := tx.exec(insertParentsHops, num, tenant, by.ParentJTI); err != nil {
			return err
		}
		_, err = tx.exec(insertHop, num, hops, tenant, by.ParentJTI, by.ClientID, by.Births.Client, by.Births.UserClient)
		return err
	})
}
