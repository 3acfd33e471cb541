package storagetest

import (
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

func testConsents(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	_, err := s.FindConsent(t.Context(), tenant, user, client)
	wantError(t, "before any", err, storage.ErrNotFound)
	give := func(id, scope string, at time.Time) {
		t.Helper()
		g, c := userGrant(id, storage.Births{})
		must(t, s.CreateGrantWithCode(t.Context(), g, c, &storage.Consent{Tenant: tenant, Subject: user, ClientID: client, Scope: scope, At: at}))
	}
	give("g1", "openid read", start)
	give("g2", "write read", start.Add(time.Second))
	found, err := s.FindConsent(t.Context(), tenant, user, client)
	must(t, err)
	same(t, "the union", found, storage.Consent{Tenant: tenant, Subject: user, ClientID: client, Scope: "openid read write", At: start.Add(time.Second)})
	for _, other := range [][3]string{{"other", user, client}, {tenant, "u_bob", client}, {tenant, user, "other"}} {
		_, err = s.FindConsent(t.Context(), other[0], other[1], other[2])
		wantError(t, "of somebody else", err, storage.ErrNotFound)
	}
	for range 2 { // it works twice
		must(t, s.DeleteConsent(t.Context(), tenant, user, client))
	}
	_, err = s.FindConsent(t.Context(), tenant, user, client)
	wantError(t, "taken back", err, storage.ErrNotFound)
}

func testAccounts(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	bob, err := s.EnsureAccount(t.Context(), tenant, "bob", "u_1")
	must(t, err)
	same(t, "made", bob, storage.Account{Tenant: tenant, Subject: "u_1", Login: "bob"})
	again, err := s.EnsureAccount(t.Context(), tenant, "bob", "u_2")
	must(t, err)
	same(t, "the second time", again, bob)
	if _, err := s.EnsureAccount(t.Context(), tenant, "carol", "u_1"); err == nil {
		t.Error("a sub was given twice")
	}
	alice, err := s.EnsureAccount(t.Context(), tenant, "alice", "u_3")
	must(t, err)
	elsewhere, err := s.EnsureAccount(t.Context(), "other", "bob", "u_4")
	must(t, err)
	list, err := s.Accounts(t.Context(), tenant)
	must(t, err)
	same(t, "the tenant's", list, []storage.Account{alice, bob})
	list, err = s.Accounts(t.Context(), "other")
	must(t, err)
	same(t, "the other tenant's", list, []storage.Account{elsewhere})
	must(t, s.Ping(t.Context()))
}

func testSigningKeys(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	key := func(id string, active time.Time) storage.SigningKey {
		return storage.SigningKey{Tenant: tenant, ID: id, Algorithm: "ES256", Private: []byte("sealed " + id), Public: []byte(`{"kid":"` + id + `"}`),
			CreatedAt: start, ActiveAt: active}
	}
	first, second := key("k1", start), key("k2", start.Add(time.Hour))
	must(t, s.AddSigningKey(t.Context(), first, "", time.Time{}))
	wantError(t, "a second first key", s.AddSigningKey(t.Context(), second, "", time.Time{}), storage.ErrConsumed)
	end := start.Add(2 * time.Hour)
	must(t, s.AddSigningKey(t.Context(), second, "k1", end))
	wantError(t, "a second successor", s.AddSigningKey(t.Context(), key("k3", end), "k1", end), storage.ErrConsumed)
	wantError(t, "a successor of none", s.AddSigningKey(t.Context(), key("k3", end), "?", end), storage.ErrConsumed)

	list, err := s.SigningKeys(t.Context(), tenant)
	must(t, err)
	first.ExpiresAt = end
	same(t, "the keys", list, []storage.SigningKey{first, second})
	list, err = s.SigningKeys(t.Context(), "other")
	must(t, err)
	same(t, "another tenant's", len(list), 0)

	_, err = s.Sweep(t.Context(), end.Add(-time.Millisecond), 100)
	must(t, err)
	list, err = s.SigningKeys(t.Context(), tenant)
	must(t, err)
	same(t, "before its end", len(list), 2)
	_, err = s.Sweep(t.Context(), end, 100)
	must(t, err)
	list, err = s.SigningKeys(t.Context(), tenant)
	must(t, err)
	same(t, "after its end", list, []storage.SigningKey{second})
}
