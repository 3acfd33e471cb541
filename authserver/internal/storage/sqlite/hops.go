//go:build !fault_exchange

package sqlite

// hopsStand counts those hops of access token t of which no reach has moved on: the exchanged token is not revoked, nor is
// the client that exchanged it, nor that client for this user.
const hopsStand = `(SELECT count(*) FROM exchanges e WHERE e.token_num = t.num
	AND NOT EXISTS (SELECT 1 FROM generations WHERE tenant = t.tenant AND kind = 'token' AND id = e.parent_jti)
	AND coalesce((SELECT generation FROM generations WHERE tenant = t.tenant AND kind = 'client' AND id = e.client_id), 0)` + standsAt + `e.birth_client
	AND (g.subject = '' OR coalesce((SELECT generation FROM generations
		WHERE tenant = t.tenant AND kind = 'user+client' AND id = g.subject || ' ' || e.client_id), 0)` + standsAt + `e.birth_user_client))`
