package sqlite

import (
	"context"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// CreateSession keeps a new login.
func (s *Store) CreateSession(ctx context.Context, n storage.Session) error {
	return s.writer.do(ctx, func(tx *statements) error {
		_, err := tx.exec(`INSERT INTO sessions (tenant, id, hash, subject, acr, amr,
				birth_everything, birth_tenant, birth_user, auth_time, expires_at, ended_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0)`,
			n.Tenant, n.ID, n.Hash, n.Subject, n.ACR, n.AMR,
			n.Births.Everything, n.Births.Tenant, n.Births.User, millis(n.AuthTime), millis(n.ExpiresAt))
		return err
	})
}

const sessionByHash = `SELECT s.id, s.hash, s.subject, s.acr, s.amr, s.birth_everything, s.birth_tenant, s.birth_user,
		s.auth_time, s.expires_at, ` + sessionStands + `
	FROM sessions s WHERE s.hash = ?1 AND s.tenant = ?2`

// FindSession finds a session by the hash of its cookie's secret, or fails with storage.ErrNotFound. It does not look at
// times.
func (s *Store) FindSession(ctx context.Context, tenant string, hash []byte) (storage.LiveSession, error) {
	found := storage.LiveSession{Session: storage.Session{Tenant: tenant}}
	var authTime, expires int64
	err := s.point.row(ctx, sessionByHash, []any{hash, tenant}, &found.ID, &found.Hash, &found.Subject, &found.ACR, &found.AMR,
		&found.Births.Everything, &found.Births.Tenant, &found.Births.User, &authTime, &expires, &found.Alive)
	if err != nil {
		return storage.LiveSession{}, err
	}
	found.AuthTime, found.ExpiresAt = moment(authTime), moment(expires)
	return found, nil
}

// EndSession is a logout: the session is over, and so is every grant of it that is not Offline, in one transaction. To end
// it again does nothing. It fails with storage.ErrNotFound for a session that is not there.
func (s *Store) EndSession(ctx context.Context, tenant, sessionID, by string, at time.Time) error {
	return s.writer.do(ctx, func(tx *statements) error {
		var one int
		if err := tx.row(context.Background(), sessionExists, []any{tenant, sessionID}, &one); err != nil {
			return err
		}
		if _, err := tx.exec(`UPDATE sessions SET ended_at = ?3 WHERE tenant = ?1 AND id = ?2 AND ended_at = 0`,
			tenant, sessionID, millis(at)); err != nil {
			return err
		}
		return endGrants(tx, tenant, sessionID, by, at)
	})
}
