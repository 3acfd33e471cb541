package storagetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// model is what a store must agree with: who was born before which revocation, in a few maps.
type model struct {
	generations map[string]int64 // by kind and id
	grants      map[string]*modelGrant
	tokens      map[string]modelToken // by name
	made        int
}

type modelToken struct {
	grant *modelGrant
	hops  []storage.Exchange // the first exchange first; none of a token that was not exchanged
}

type modelGrant struct {
	storage.Grant
	refresh string // name of the refresh token that is not consumed
}

func (m *model) births(client, subject string) storage.Births {
	at := func(kind storage.Kind, id string) int64 { return m.generations[string(kind)+" "+id] }
	return storage.Births{Everything: at(storage.KindEverything, ""), Tenant: at(storage.KindTenant, tenant), Client: at(storage.KindClient, client),
		User: at(storage.KindUser, subject), UserClient: at(storage.KindUserClient, storage.UserClientID(subject, client))}
}

func (m *model) alive(g *modelGrant) bool {
	return m.births(g.ClientID, g.Subject) == g.Births && m.generations["grant "+g.ID] == 0 && m.generations["session "+g.SessionID] == 0
}

// aliveToken asks after every ancestor and everybody who exchanged one.
func (m *model) aliveToken(name string) bool {
	token := m.tokens[name]
	for _, hop := range token.hops {
		now := m.births(hop.ClientID, token.grant.Subject)
		if m.generations["token "+hop.ParentJTI] != 0 || now.Client != hop.Births.Client || now.UserClient != hop.Births.UserClient {
			return false
		}
	}
	return m.alive(token.grant) && m.generations["token jti-"+name] == 0
}

// testModel lets rapid begin, refresh, exchange and revoke in any order, and asks the store for every token after every step.
func testModel(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		// One store serves all runs, which keeps them fast: each has names of its own, so that nothing is left over.
		name := func(kind string, n int) string { return fmt.Sprintf("%s-%d-%d", kind, run, n) }
		clients, users := []string{name("app", 1), name("app", 2)}, []string{name("u", 1), name("u", 2)}
		m := model{generations: map[string]int64{}, grants: map[string]*modelGrant{}, tokens: map[string]modelToken{}}
		held := map[string]storage.Births{} // births that a slow login has read and not yet used
		base, err := s.Generations(t.Context(), tenant, "", "")
		must(r, err)
		m.generations["everything "], m.generations["tenant "+tenant] = base.Everything, base.Tenant

		r.Repeat(map[string]func(*rapid.T){
			"read generations": func(r *rapid.T) {
				c, u := rapid.SampledFrom(clients).Draw(r, "client"), rapid.SampledFrom(users).Draw(r, "user")
				births, err := s.Generations(t.Context(), tenant, c, u)
				must(r, err)
				same(r, "generations", births, m.births(c, u))
				held[c+" "+u] = births
			},
			"begin": func(r *rapid.T) {
				c, u := rapid.SampledFrom(clients).Draw(r, "client"), rapid.SampledFrom(users).Draw(r, "user")
				births, ok := held[c+" "+u]
				if !ok {
					r.Skip("nobody is logging in")
				}
				m.made++
				g := &modelGrant{Grant: storage.Grant{Tenant: tenant, ID: name("g", m.made), ClientID: c, Subject: u, SessionID: name("s", m.made%3),
					Scope: "read", Births: births, CreatedAt: start, ExpiresAt: start.AddDate(0, 0, 1)}}
				code := storage.Code{Hash: hash("code " + g.ID), GrantID: g.ID, IssuedAt: start, ExpiresAt: start.AddDate(0, 0, 1)}
				must(r, s.CreateGrantWithCode(t.Context(), g.Grant, code, nil))
				next := refresh(g.ID, g.ID)
				err := s.RedeemCode(t.Context(), tenant, code.Hash, start, access(g.ID, g.ID), &next)
				if !m.alive(g) {
					wantError(r, "redeeming a dead grant's code", err, storage.ErrEnded)
					return
				}
				must(r, err)
				m.grants[g.ID], m.tokens[g.ID], g.refresh = g, modelToken{grant: g}, g.ID
			},
			"refresh": func(r *rapid.T) {
				g := m.draw(r)
				m.made++
				next := name("t", m.made)
				err := s.RotateRefresh(t.Context(), tenant, hash("refresh "+g.refresh), start, nil, access(g.ID, next), refresh(g.ID, next))
				if !m.alive(g) {
					wantError(r, "refreshing a dead grant", err, storage.ErrEnded)
					return
				}
				must(r, err)
				m.tokens[next], g.refresh = modelToken{grant: g}, next
			},
			"exchange": func(r *rapid.T) { m.exchange(t, r, s, name, clients, held) },
			"revoke":   func(r *rapid.T) { m.revoke(t, r, s, clients, users) },
			"":         func(r *rapid.T) { m.compare(t, r, s) },
		})
	})
}

// compare asks the store for everything that the model knows of.
func (m *model) compare(t *testing.T, r *rapid.T, s Store) {
	for token := range m.tokens {
		found, err := s.FindAccess(t.Context(), tenant, hash("access "+token))
		must(r, err)
		if want := m.aliveToken(token); found.Alive != want {
			r.Fatalf("%s: alive is %t, want %t", token, found.Alive, want)
		}
	}
	for _, g := range m.grants {
		found, err := s.FindRefresh(t.Context(), tenant, hash("refresh "+g.refresh))
		must(r, err)
		if found.Alive != m.alive(g) {
			r.Fatalf("refresh of %s: alive is %t, want %t", g.ID, found.Alive, m.alive(g))
		}
	}
}

func (m *model) draw(r *rapid.T) *modelGrant {
	if len(m.grants) == 0 {
		r.Skip("there is no grant yet")
	}
	return m.grants[rapid.SampledFrom(slices.Sorted(maps.Keys(m.grants))).Draw(r, "grant")]
}

// exchange gives a token for any other one, in the name of a client whose births may have been read long ago.
func (m *model) exchange(t *testing.T, r *rapid.T, s Store, name func(string, int) string, clients []string, held map[string]storage.Births) {
	if len(m.tokens) == 0 {
		r.Skip("there is no token yet")
	}
	parent := rapid.SampledFrom(slices.Sorted(maps.Keys(m.tokens))).Draw(r, "parent")
	token := m.tokens[parent]
	by := storage.Exchange{ParentJTI: "jti-" + parent, ClientID: rapid.SampledFrom(clients).Draw(r, "asker")}
	births, ok := held[by.ClientID+" "+token.grant.Subject]
	if !ok {
		births = m.births(by.ClientID, token.grant.Subject)
	}
	by.Births = storage.Births{Client: births.Client, UserClient: births.UserClient}
	m.made++
	next := name("t", m.made)
	err := s.CreateExchanged(t.Context(), tenant, by, start, access(token.grant.ID, next))
	if !m.aliveToken(parent) {
		wantError(r, "exchanging a dead token", err, storage.ErrEnded)
		return
	}
	must(r, err)
	m.tokens[next] = modelToken{token.grant, append(slices.Clone(token.hops), by)}
}

func (m *model) revoke(t *testing.T, r *rapid.T, s Store, clients, users []string) {
	kind := rapid.SampledFrom([]storage.Kind{storage.KindToken, storage.KindGrant, storage.KindSession, storage.KindUser,
		storage.KindUserClient, storage.KindClient, storage.KindTenant, storage.KindEverything}).Draw(r, "kind")
	var target string
	switch kind {
	case storage.KindToken:
		if len(m.tokens) == 0 {
			r.Skip("there is no token yet")
		}
		target = "jti-" + rapid.SampledFrom(slices.Sorted(maps.Keys(m.tokens))).Draw(r, "token")
	case storage.KindGrant:
		target = m.draw(r).ID
	case storage.KindSession:
		target = m.draw(r).SessionID
	case storage.KindUser:
		target = rapid.SampledFrom(users).Draw(r, "user")
	case storage.KindClient:
		target = rapid.SampledFrom(clients).Draw(r, "client")
	case storage.KindUserClient:
		target = storage.UserClientID(rapid.SampledFrom(users).Draw(r, "user"), rapid.SampledFrom(clients).Draw(r, "client"))
	case storage.KindTenant:
		target = tenant
	}
	done, err := s.Revoke(t.Context(), revocation(kind, target))
	must(r, err)
	key := string(kind) + " " + target
	m.generations[key]++
	if done.Generation != m.generations[key] {
		r.Fatalf("%s: generation %d, want %d", key, done.Generation, m.generations[key])
	}
}
