package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// SigningKeys lists a tenant's signing keys, the oldest first.
func (s *Store) SigningKeys(ctx context.Context, tenant string) ([]storage.SigningKey, error) {
	const query = `SELECT id, algorithm, private_key, public_key, created_at, active_at, expires_at
		FROM signing_keys WHERE tenant = ?1 ORDER BY active_at, created_at, id`
	var list []storage.SigningKey
	err := s.listing.each(ctx, query, []any{tenant}, func(rows *sql.Rows) error {
		key := storage.SigningKey{Tenant: tenant}
		var created, active, expires int64
		if err := rows.Scan(&key.ID, &key.Algorithm, &key.Private, &key.Public, &created, &active, &expires); err != nil {
			return err
		}
		key.CreatedAt, key.ActiveAt, key.ExpiresAt = moment(created), moment(active), moment(expires)
		list = append(list, key)
		return nil
	})
	return list, err
}

// AddSigningKey adds the successor of the key previousID and sets that one's end, in one transaction. With an empty
// previousID it adds a tenant's first key. It fails with storage.ErrConsumed when the previous key has a successor already,
// or there is a first key already: another node was first.
func (s *Store) AddSigningKey(ctx context.Context, key storage.SigningKey, previousID string, previousExpiresAt time.Time) error {
	return s.writer.do(ctx, func(tx *statements) error {
		var changed int64
		var err error
		if previousID == "" {
			changed, err = insertSigningKey(tx, key, `NOT EXISTS (SELECT 1 FROM signing_keys WHERE tenant = ?1)`)
		} else {
			changed, err = tx.exec(`UPDATE signing_keys SET expires_at = ?3 WHERE tenant = ?1 AND id = ?2 AND expires_at = 0`,
				key.Tenant, previousID, millis(previousExpiresAt))
		}
		if err != nil {
			return err
		}
		if changed == 0 {
			return storage.ErrConsumed
		}
		if previousID != "" {
			_, err = insertSigningKey(tx, key, `true`)
		}
		return err
	})
}

func insertSigningKey(tx *statements, key storage.SigningKey, condition string) (int64, error) {
	return tx.exec(`INSERT INTO signing_keys (tenant, id, algorithm, private_key, public_key, created_at, active_at, expires_at)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE `+condition,
		key.Tenant, key.ID, key.Algorithm, blob(key.Private), blob(key.Public),
		millis(key.CreatedAt), millis(key.ActiveAt), millis(key.ExpiresAt))
}
