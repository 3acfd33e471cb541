package storagetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

func testGrants(t *testing.T, open func(*testing.T) Store) {
	t.Run("what is kept is found as it was", func(t *testing.T) {
		s := open(t)
		births := storage.Births{Everything: 0, Tenant: 0, Client: 0, User: 0, UserClient: 0}
		g, a, r := begin(t, s, "g1", births)

		found, err := s.FindAccess(t.Context(), tenant, a.Hash)
		must(t, err)
		same(t, "access", found, asFound(t, s, a, g))
		byJTI, err := s.FindAccessByJTI(t.Context(), tenant, a.JTI)
		must(t, err)
		same(t, "access by jti", byJTI, found)
		foundRefresh, err := s.FindRefresh(t.Context(), tenant, r.Hash)
		must(t, err)
		r.Answer = []byte{}
		if len(foundRefresh.Answer) == 0 {
			foundRefresh.Answer = []byte{}
		}
		same(t, "refresh", foundRefresh, storage.LiveRefresh{RefreshToken: r, Grant: g, Alive: true})
	})
	t.Run("a machine's grant", func(t *testing.T) {
		s := open(t)
		g := storage.Grant{Tenant: tenant, ID: "m1", ClientID: "batch", Scope: "read", WrappedKey: []byte("k"), CreatedAt: start, ExpiresAt: start.Add(time.Minute)}
		a := access("m1", "m1")
		must(t, s.CreateGrantWithToken(t.Context(), g, a))
		found, err := s.FindAccess(t.Context(), tenant, a.Hash)
		must(t, err)
		same(t, "access", found, asFound(t, s, a, g))
	})
	t.Run("nothing is found under another name", func(t *testing.T) {
		s := open(t)
		_, a, r := begin(t, s, "g1", storage.Births{})
		_, err := s.FindAccess(t.Context(), tenant, hash("unknown"))
		wantError(t, "unknown hash", err, storage.ErrNotFound)
		_, err = s.FindAccess(t.Context(), "other", a.Hash)
		wantError(t, "another tenant", err, storage.ErrNotFound)
		_, err = s.FindAccessByJTI(t.Context(), "other", a.JTI)
		wantError(t, "jti in another tenant", err, storage.ErrNotFound)
		_, err = s.FindRefresh(t.Context(), "other", r.Hash)
		wantError(t, "refresh in another tenant", err, storage.ErrNotFound)
		_, err = s.FindAccess(t.Context(), tenant, r.Hash)
		wantError(t, "a refresh reference as an access reference", err, storage.ErrNotFound)
	})
	t.Run("ids are used once", func(t *testing.T) {
		s := open(t)
		begin(t, s, "g1", storage.Births{})
		g, c := userGrant("g1", storage.Births{})
		c.Hash = hash("another code")
		if err := s.CreateGrantWithCode(t.Context(), g, c, nil); err == nil {
			t.Error("a second grant of the same id was taken")
		}
		_, err := s.FindCode(t.Context(), tenant, c.Hash)
		wantError(t, "the refused grant's code", err, storage.ErrNotFound)

		g.ID = "g2"
		if err := s.CreateGrantWithToken(t.Context(), g, access("g1", "x")); err == nil {
			t.Error("a token of another grant was taken")
		}
	})
	t.Run("nothing begins in a session that was logged out", func(t *testing.T) {
		s := open(t)
		must(t, s.CreateSession(t.Context(), session("session-1", storage.Births{})))
		must(t, s.EndSession(t.Context(), tenant, "session-1", "issuer", start))
		g, c := userGrant("late", storage.Births{})
		wantError(t, "a grant after its session's logout", s.CreateGrantWithCode(t.Context(), g, c, nil), storage.ErrEnded)
		g.Offline = true
		wantError(t, "an offline grant after its session's logout", s.CreateGrantWithCode(t.Context(), g, c, nil), storage.ErrEnded)
	})
}

func testCodes(t *testing.T, open func(*testing.T) Store) {
	t.Run("a code is consumed once", func(t *testing.T) {
		s := open(t)
		g, c := userGrant("g1", storage.Births{})
		must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
		found, err := s.FindCode(t.Context(), tenant, c.Hash)
		must(t, err)
		same(t, "fresh code", found, storage.LiveCode{Code: c, Grant: g, Alive: true})

		now := start.Add(time.Second)
		must(t, s.RedeemCode(t.Context(), tenant, c.Hash, now, access("g1", "a"), nil))
		wantError(t, "the second time", s.RedeemCode(t.Context(), tenant, c.Hash, now, access("g1", "b"), nil), storage.ErrConsumed)
		_, err = s.FindAccess(t.Context(), tenant, hash("access b"))
		wantError(t, "the second token", err, storage.ErrNotFound)

		found, err = s.FindCode(t.Context(), tenant, c.Hash)
		must(t, err)
		c.ConsumedAt = now
		same(t, "consumed code", found, storage.LiveCode{Code: c, Grant: g, Alive: true})
	})
	t.Run("a code that cannot be redeemed gives nothing and stays", func(t *testing.T) {
		s := open(t)
		g, c := userGrant("g1", storage.Births{})
		must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
		a := access("g1", "a")
		wantError(t, "unknown", s.RedeemCode(t.Context(), tenant, hash("?"), start, a, nil), storage.ErrNotFound)
		wantError(t, "other tenant", s.RedeemCode(t.Context(), "other", c.Hash, start, a, nil), storage.ErrNotFound)
		wantError(t, "expired to the millisecond", s.RedeemCode(t.Context(), tenant, c.Hash, c.ExpiresAt, a, nil), storage.ErrEnded)
		wantError(t, "for another grant", s.RedeemCode(t.Context(), tenant, c.Hash, start, access("g2", "a"), nil), storage.ErrEnded)
		_, err := s.FindAccess(t.Context(), tenant, a.Hash)
		wantError(t, "the token", err, storage.ErrNotFound)
		must(t, s.RedeemCode(t.Context(), tenant, c.Hash, c.ExpiresAt.Add(-time.Millisecond), a, nil))
	})
	t.Run("tokens that cannot be kept leave the code unconsumed", func(t *testing.T) {
		s := open(t)
		_, taken, _ := begin(t, s, "g1", storage.Births{})
		g, c := userGrant("g2", storage.Births{})
		must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
		twice := access("g2", "fresh")
		twice.JTI = taken.JTI
		if err := s.RedeemCode(t.Context(), tenant, c.Hash, start, twice, nil); err == nil {
			t.Fatal("a jti was taken twice")
		}
		must(t, s.RedeemCode(t.Context(), tenant, c.Hash, start, access("g2", "fresh"), nil))
	})
}

func testRefresh(t *testing.T, open func(*testing.T) Store) {
	t.Run("a refresh reference is consumed once and remembers its answer", func(t *testing.T) {
		s := open(t)
		_, first, r := begin(t, s, "g1", storage.Births{})
		now := start.Add(time.Minute)
		answer := []byte("sealed answer")
		must(t, s.RotateRefresh(t.Context(), tenant, r.Hash, now, answer, access("g1", "2"), refresh("g1", "2")))
		wantError(t, "the second time",
			s.RotateRefresh(t.Context(), tenant, r.Hash, now, []byte("other"), access("g1", "3"), refresh("g1", "3")), storage.ErrConsumed)

		found, err := s.FindRefresh(t.Context(), tenant, r.Hash)
		must(t, err)
		if !found.ConsumedAt.Equal(now) || !bytes.Equal(found.Answer, answer) || !found.Alive {
			t.Errorf("the consumed reference is %+v", found)
		}
		_, err = s.FindRefresh(t.Context(), tenant, hash("refresh 3"))
		wantError(t, "the second successor", err, storage.ErrNotFound)
		for _, h := range [][]byte{first.Hash, hash("access 2")} {
			token, err := s.FindAccess(t.Context(), tenant, h)
			must(t, err)
			if !token.Alive {
				t.Error("an access token of the family died by the rotation")
			}
		}
		must(t, s.RotateRefresh(t.Context(), tenant, hash("refresh 2"), now, answer, access("g1", "3"), refresh("g1", "3")))
	})
	t.Run("a reference that has expired, or whose grant has, is refused", func(t *testing.T) {
		s := open(t)
		g, c := userGrant("g1", storage.Births{})
		r := refresh("g1", "1")
		must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
		must(t, s.RedeemCode(t.Context(), tenant, c.Hash, start, access("g1", "1"), &r))
		rotate := func(now time.Time) error {
			return s.RotateRefresh(t.Context(), tenant, r.Hash, now, nil, access("g1", "2"), refresh("g1", "2"))
		}
		wantError(t, "expired", rotate(r.ExpiresAt), storage.ErrEnded)
		wantError(t, "grant expired", rotate(g.ExpiresAt), storage.ErrEnded)
		wantError(t, "unknown", s.RotateRefresh(t.Context(), tenant, hash("?"), start, nil, access("g1", "2"), refresh("g1", "2")), storage.ErrNotFound)
		must(t, rotate(r.ExpiresAt.Add(-time.Millisecond)))
	})
}

func testLists(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	for _, id := range []string{"g1", "g2", "g3"} {
		begin(t, s, id, storage.Births{})
	}
	g := storage.Grant{Tenant: tenant, ID: "m1", ClientID: "batch", Scope: "read", CreatedAt: start, ExpiresAt: start.Add(time.Minute)}
	must(t, s.CreateGrantWithToken(t.Context(), g, access("m1", "m1")))
	_, err := s.Revoke(t.Context(), revocation(storage.KindToken, "jti-g2"))
	must(t, err)

	for _, c := range []struct {
		name   string
		filter storage.TokenFilter
		now    time.Time
		want   []string
	}{
		{"all that is alive", storage.TokenFilter{}, start, []string{"jti-g1", "jti-g3", "jti-m1"}},
		{"a page", storage.TokenFilter{Limit: 2}, start, []string{"jti-g1", "jti-g3"}},
		{"the next page", storage.TokenFilter{Limit: 2, After: "jti-g3"}, start, []string{"jti-m1"}},
		{"of a user", storage.TokenFilter{Subject: user}, start, []string{"jti-g1", "jti-g3"}},
		{"a user's next page", storage.TokenFilter{Subject: user, After: "jti-g1"}, start, []string{"jti-g3"}},
		{"of a client", storage.TokenFilter{ClientID: "batch"}, start, []string{"jti-m1"}},
		{"of a user at a client", storage.TokenFilter{Subject: user, ClientID: client}, start, []string{"jti-g1", "jti-g3"}},
		{"of a user at a client he does not use", storage.TokenFilter{Subject: user, ClientID: "batch"}, start, nil},
		{"the grant has expired", storage.TokenFilter{ClientID: "batch"}, start.Add(time.Minute), nil},
		{"the tokens have expired", storage.TokenFilter{}, start.Add(15 * time.Minute), nil},
		{"another tenant", storage.TokenFilter{Tenant: "other"}, start, nil},
	} {
		if c.filter.Tenant == "" {
			c.filter.Tenant = tenant
		}
		if c.filter.Limit == 0 {
			c.filter.Limit = 10
		}
		list, err := s.ListTokens(t.Context(), c.filter, c.now)
		must(t, err)
		var got []string
		for _, token := range list {
			got = append(got, token.JTI)
		}
		same(t, c.name, got, c.want)
	}
	if _, err := s.ListTokens(t.Context(), storage.TokenFilter{Tenant: tenant}, start); err == nil {
		t.Error("a list without a limit was given")
	}
}
