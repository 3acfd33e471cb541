package sqlite

import (
	"context"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// grantStands is true while no reach of grant g has moved on since its birth. Each line is one look into the primary key
// of generations. Every statement that finds or consumes a descendant uses it: there is no second way to be alive.
const grantStands = `(
	coalesce((SELECT generation FROM generations WHERE tenant = '' AND kind = 'everything' AND id = ''), 0)` + standsAt + `g.birth_everything
	AND coalesce((SELECT generation FROM generations WHERE tenant = g.tenant AND kind = 'tenant' AND id = g.tenant), 0)` + standsAt + `g.birth_tenant
	AND coalesce((SELECT generation FROM generations WHERE tenant = g.tenant AND kind = 'client' AND id = g.client_id), 0)` + standsAt + `g.birth_client
	AND (g.subject = '' OR (
		coalesce((SELECT generation FROM generations WHERE tenant = g.tenant AND kind = 'user' AND id = g.subject), 0)` + standsAt + `g.birth_user
		AND coalesce((SELECT generation FROM generations
			WHERE tenant = g.tenant AND kind = 'user+client' AND id = g.subject || ' ' || g.client_id), 0)` + standsAt + `g.birth_user_client))
	AND (g.session_id = '' OR NOT EXISTS (SELECT 1 FROM generations WHERE tenant = g.tenant AND kind = 'session' AND id = g.session_id))
	AND NOT EXISTS (SELECT 1 FROM generations WHERE tenant = g.tenant AND kind = 'grant' AND id = g.id))`

// accessStands is true while no reach of access token t and its grant g has moved on, nor one of those it was exchanged
// for (RFC 8693). A token that was not exchanged pays one comparison for that.
const accessStands = `(` + grantStands + `
	AND NOT EXISTS (SELECT 1 FROM generations WHERE tenant = t.tenant AND kind = 'token' AND id = t.jti)
	AND (t.hops = 0 OR t.hops = ` + hopsStand + `))`

// sessionStands is true while session s was not ended and no reach of it has moved on.
const sessionStands = `(s.ended_at = 0
	AND coalesce((SELECT generation FROM generations WHERE tenant = '' AND kind = 'everything' AND id = ''), 0)` + standsAt + `s.birth_everything
	AND coalesce((SELECT generation FROM generations WHERE tenant = s.tenant AND kind = 'tenant' AND id = s.tenant), 0)` + standsAt + `s.birth_tenant
	AND coalesce((SELECT generation FROM generations WHERE tenant = s.tenant AND kind = 'user' AND id = s.subject), 0)` + standsAt + `s.birth_user
	AND NOT EXISTS (SELECT 1 FROM generations WHERE tenant = s.tenant AND kind = 'session' AND id = s.id))`

const readGenerations = `SELECT
	coalesce((SELECT generation FROM generations WHERE tenant = '' AND kind = 'everything' AND id = ''), 0),
	coalesce((SELECT generation FROM generations WHERE tenant = ?1 AND kind = 'tenant' AND id = ?1), 0),
	coalesce((SELECT generation FROM generations WHERE tenant = ?1 AND kind = 'client' AND id = ?2), 0),
	coalesce((SELECT generation FROM generations WHERE tenant = ?1 AND kind = 'user' AND id = ?3), 0),
	coalesce((SELECT generation FROM generations WHERE tenant = ?1 AND kind = 'user+client' AND id = ?4), 0)`

// Generations reads, in one statement, what a grant or session that begins now is born under. It is read before the
// credential is checked. The reaches of an empty clientID or subject read 0.
func (s *Store) Generations(ctx context.Context, tenant, clientID, subject string) (storage.Births, error) {
	var pair string
	if clientID != "" && subject != "" {
		pair = storage.UserClientID(subject, clientID)
	}
	var b storage.Births
	err := s.point.row(ctx, readGenerations, []any{tenant, clientID, subject, pair},
		&b.Everything, &b.Tenant, &b.Client, &b.User, &b.UserClient)
	return b, err
}
