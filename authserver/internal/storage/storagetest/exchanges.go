package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// The chain of the tests: the app's token "root" is exchanged by basket for "child", and that by discount for "grandchild".
const (
	basket   = "basket"
	discount = "discount"
)

// exchanged is a token that ends with the parent of every test, or sooner.
func exchanged(grantID, name string, expires time.Time) storage.AccessToken {
	token := access(grantID, name)
	token.Scope, token.ExpiresAt = "narrow", expires
	return token
}

// births reads what an exchange by that client for the user is born under.
func birthsOf(t *testing.T, s Store, clientID string) storage.Births {
	t.Helper()
	births, err := s.Generations(t.Context(), tenant, clientID, user)
	must(t, err)
	return births
}

// chain begins a grant and exchanges its token twice.
func chain(t *testing.T, s Store, births storage.Births) {
	t.Helper()
	begin(t, s, "root", births)
	for _, hop := range []struct{ parent, client, name string }{{"root", basket, "child"}, {"child", discount, "grandchild"}} {
		by := storage.Exchange{ParentJTI: "jti-" + hop.parent, ClientID: hop.client, Births: birthsOf(t, s, hop.client)}
		must(t, s.CreateExchanged(t.Context(), tenant, by, start, exchanged("root", hop.name, start.Add(time.Minute))))
	}
}

func isAlive(t *testing.T, s Store, name string) bool {
	t.Helper()
	found, err := s.FindAccessByJTI(t.Context(), tenant, "jti-"+name)
	must(t, err)
	return found.Alive
}

func testExchanges(t *testing.T, open func(*testing.T) Store) {
	t.Run("found as it was", func(t *testing.T) { testExchangesFound(t, open(t)) })
	t.Run("refused", func(t *testing.T) { testExchangesRefused(t, open(t)) })
	t.Run("reaches", func(t *testing.T) { testExchangeReaches(t, open) })
	t.Run("overtaken", func(t *testing.T) { testExchangesOvertaken(t, open) })
	t.Run("sweep", func(t *testing.T) { testExchangesSwept(t, open) })
	t.Run("a revocation against an exchange", func(t *testing.T) { testExchangeRace(t, open(t)) })
	t.Run("a machine's token", func(t *testing.T) {
		s := open(t)
		g := storage.Grant{Tenant: tenant, ID: "m1", ClientID: "batch", Scope: "read", WrappedKey: []byte("k"), CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
		must(t, s.CreateGrantWithToken(t.Context(), g, access("m1", "m1")))
		by := storage.Exchange{ParentJTI: "jti-m1", ClientID: basket}
		must(t, s.CreateExchanged(t.Context(), tenant, by, start, exchanged("m1", "child", start.Add(time.Minute))))
		if !isAlive(t, s, "child") {
			t.Error("it is dead at birth")
		}
		_, err := s.Revoke(t.Context(), revocation(storage.KindClient, "batch"))
		must(t, err)
		if isAlive(t, s, "child") {
			t.Error("it outlives the machine it acts for")
		}
	})
}

func testExchangesFound(t *testing.T, s Store) {
	chain(t, s, storage.Births{})
	root, err := s.FindAccessByJTI(t.Context(), tenant, "jti-root")
	must(t, err)
	same(t, "what was exchanged", root.Actors, []string(nil))
	for name, actors := range map[string][]string{"child": {basket}, "grandchild": {discount, basket}} {
		want := exchanged("root", name, start.Add(time.Minute))
		want.Actors = actors
		found, err := s.FindAccessByJTI(t.Context(), tenant, "jti-"+name)
		must(t, err)
		same(t, name, found, asFound(t, s, want, root.Grant))
		byHash, err := s.FindAccess(t.Context(), tenant, want.Hash)
		must(t, err)
		same(t, name+" by hash", byHash, found)
		_, err = s.FindAccessByJTI(t.Context(), "other", "jti-"+name)
		wantError(t, name+" in another tenant", err, storage.ErrNotFound)
	}
	for _, list := range []struct {
		filter storage.TokenFilter
		want   int
	}{
		{storage.TokenFilter{}, 3}, {storage.TokenFilter{Subject: user}, 3}, {storage.TokenFilter{ClientID: client}, 3},
		{storage.TokenFilter{ClientID: basket}, 2}, {storage.TokenFilter{ClientID: discount, Subject: user}, 1},
		{storage.TokenFilter{ClientID: "other"}, 0},
	} {
		list.filter.Tenant, list.filter.Limit = tenant, 10
		found, err := s.ListTokens(t.Context(), list.filter, start)
		must(t, err)
		if len(found) != list.want {
			t.Errorf("the list %+v has %d tokens, want %d", list.filter, len(found), list.want)
		}
	}
}

func testExchangesRefused(t *testing.T, s Store) {
	begin(t, s, "root", storage.Births{})
	begin(t, s, "stranger", storage.Births{})
	ends := start.Add(15 * time.Minute)
	by := storage.Exchange{ParentJTI: "jti-root", ClientID: basket}
	for _, wrong := range []struct {
		name, tenant, parent, grant string
		now, expires                time.Time
		want                        error
	}{
		{"an unknown parent", tenant, "jti-?", "root", start, ends, storage.ErrNotFound},
		{"another tenant", "other", "jti-root", "root", start, ends, storage.ErrNotFound},
		{"another grant", tenant, "jti-root", "stranger", start, ends, storage.ErrEnded},
		{"a parent that has expired, to the millisecond", tenant, "jti-root", "root", ends, ends, storage.ErrEnded},
		{"a longer life than the parent's", tenant, "jti-root", "root", start, ends.Add(time.Millisecond), storage.ErrEnded},
	} {
		by.ParentJTI = wrong.parent
		err := s.CreateExchanged(t.Context(), wrong.tenant, by, wrong.now, exchanged(wrong.grant, wrong.name, wrong.expires))
		wantError(t, wrong.name, err, wrong.want)
		_, err = s.FindAccessByJTI(t.Context(), tenant, "jti-"+wrong.name)
		wantError(t, "the token of "+wrong.name, err, storage.ErrNotFound)
	}
	by.ParentJTI = "jti-root"
	must(t, s.CreateExchanged(t.Context(), tenant, by, ends.Add(-time.Millisecond), exchanged("root", "as long as the parent", ends)))
	if err := s.CreateExchanged(t.Context(), tenant, by, start, exchanged("root", "stranger", ends)); err == nil {
		t.Error("a jti was taken a second time")
	}
}

// testExchangeReaches revokes by every reach of every link of the chain, and asks which links are alive afterwards.
func testExchangeReaches(t *testing.T, open func(*testing.T) Store) {
	none, all := []string{}, []string{"root", "child", "grandchild"}
	for _, reach := range []struct {
		kind   storage.Kind
		target string
		ends   []string
	}{
		{storage.KindEverything, "", all}, {storage.KindTenant, tenant, all}, {storage.KindUser, user, all},
		{storage.KindSession, "session-1", all}, {storage.KindGrant, "root", all}, {storage.KindToken, "jti-root", all},
		{storage.KindClient, client, all}, {storage.KindUserClient, storage.UserClientID(user, client), all},
		{storage.KindToken, "jti-child", all[1:]}, {storage.KindClient, basket, all[1:]}, {storage.KindUserClient, storage.UserClientID(user, basket), all[1:]},
		{storage.KindToken, "jti-grandchild", all[2:]}, {storage.KindClient, discount, all[2:]},
		{storage.KindUserClient, storage.UserClientID(user, discount), all[2:]},
		{storage.KindClient, "other", none}, {storage.KindUser, "u_bob", none}, {storage.KindUserClient, storage.UserClientID("u_bob", basket), none},
	} {
		t.Run(string(reach.kind)+" "+reach.target, func(t *testing.T) {
			s := open(t)
			must(t, s.CreateSession(t.Context(), session("session-1", storage.Births{})))
			chain(t, s, storage.Births{})
			_, err := s.Revoke(t.Context(), revocation(reach.kind, reach.target))
			must(t, err)
			ended := map[string]bool{}
			for _, name := range reach.ends {
				ended[name] = true
			}
			list, err := s.ListTokens(t.Context(), storage.TokenFilter{Tenant: tenant, Limit: 10}, start)
			must(t, err)
			if len(list) != len(all)-len(reach.ends) {
				t.Errorf("the list has %d tokens, want %d", len(list), len(all)-len(reach.ends))
			}
			for _, name := range all {
				if got := isAlive(t, s, name); got == ended[name] {
					t.Errorf("%s: alive is %t, want %t", name, got, !ended[name])
				}
				by := storage.Exchange{ParentJTI: "jti-" + name, ClientID: "late", Births: birthsOf(t, s, "late")}
				err := s.CreateExchanged(t.Context(), tenant, by, start, exchanged("root", "late "+name, start.Add(time.Minute)))
				if got := alive(t, err); got == ended[name] {
					t.Errorf("a further exchange of %s: given is %t, want %t", name, got, !ended[name])
				}
			}
		})
	}
	t.Run("logout", func(t *testing.T) {
		s := open(t)
		must(t, s.CreateSession(t.Context(), session("session-1", storage.Births{})))
		chain(t, s, storage.Births{})
		must(t, s.EndSession(t.Context(), tenant, "session-1", "issuer", start))
		for _, name := range all {
			if isAlive(t, s, name) {
				t.Errorf("%s outlives the logout", name)
			}
		}
	})
}

// testExchangesOvertaken revokes the asker between the reading of its generations and the exchange: what it is given is
// dead at birth, and so is what is exchanged for that. What it is given for a secret checked later lives.
func testExchangesOvertaken(t *testing.T, open func(*testing.T) Store) {
	for _, reach := range []struct {
		kind   storage.Kind
		target string
	}{{storage.KindClient, basket}, {storage.KindUserClient, storage.UserClientID(user, basket)}} {
		t.Run(string(reach.kind), func(t *testing.T) {
			s := open(t)
			begin(t, s, "root", storage.Births{})
			early := birthsOf(t, s, basket)
			_, err := s.Revoke(t.Context(), revocation(reach.kind, reach.target))
			must(t, err)
			give := func(name string, births storage.Births) {
				by := storage.Exchange{ParentJTI: "jti-root", ClientID: basket, Births: births}
				must(t, s.CreateExchanged(t.Context(), tenant, by, start, exchanged("root", name, start.Add(time.Minute))))
			}
			give("overtaken", early)
			give("after", birthsOf(t, s, basket))
			if isAlive(t, s, "overtaken") {
				t.Error("it outlives a revocation that overtook its birth")
			}
			if !isAlive(t, s, "after") {
				t.Error("nothing can be exchanged any more after a revocation")
			}
			by := storage.Exchange{ParentJTI: "jti-overtaken", ClientID: discount}
			err = s.CreateExchanged(t.Context(), tenant, by, start, exchanged("root", "further", start.Add(time.Minute)))
			wantError(t, "a further exchange", err, storage.ErrEnded)
		})
	}
}

// testExchangesSwept: all of a chain end at the same moment here, so that an order by time alone would remove a parent, and
// with it the reach that ended it, before its descendants.
func testExchangesSwept(t *testing.T, open func(*testing.T) Store) {
	for _, revoked := range []string{"root", "child"} {
		t.Run("revoked by "+revoked, func(t *testing.T) {
			s := open(t)
			begin(t, s, "root", storage.Births{})
			end := start.Add(15 * time.Minute)
			for _, hop := range []struct{ parent, name string }{{"root", "child"}, {"child", "grandchild"}} {
				by := storage.Exchange{ParentJTI: "jti-" + hop.parent, ClientID: basket}
				must(t, s.CreateExchanged(t.Context(), tenant, by, start, exchanged("root", hop.name, end)))
			}
			_, err := s.Revoke(t.Context(), revocation(storage.KindToken, "jti-"+revoked))
			must(t, err)
			gone := 0
			for range 100 {
				n, err := s.Sweep(t.Context(), end, 1)
				must(t, err)
				if n == 0 {
					break
				}
				gone = 0
				for _, name := range []string{"root", "child", "grandchild"} {
					found, err := s.FindAccessByJTI(t.Context(), tenant, "jti-"+name)
					if err != nil {
						wantError(t, name, err, storage.ErrNotFound)
						gone++
					} else if found.Alive && !(name == "root" && revoked == "child") {
						t.Errorf("%s is alive again, since what ended it was swept first", name)
					}
				}
			}
			if gone != 3 {
				t.Errorf("%d of 3 rows are gone", gone)
			}
		})
	}
}

// testExchangeRace: whoever comes first, nothing is alive once the revocation was answered.
func testExchangeRace(t *testing.T, s Store) {
	for round := range 25 {
		births, err := s.Generations(t.Context(), tenant, client, user)
		must(t, err)
		root := fmt.Sprintf("root%d", round)
		begin(t, s, root, births)
		askers := birthsOf(t, s, basket)
		target := []storage.Revocation{revocation(storage.KindToken, "jti-"+root), revocation(storage.KindClient, basket),
			revocation(storage.KindUserClient, storage.UserClientID(user, basket)), revocation(storage.KindUser, user)}[round%4]
		for i, err := range race(func(i int) error {
			if i == 0 {
				_, err := s.Revoke(t.Context(), target)
				return err
			}
			by := storage.Exchange{ParentJTI: "jti-" + root, ClientID: basket, Births: askers}
			return s.CreateExchanged(t.Context(), tenant, by, start, exchanged(root, fmt.Sprintf("%s-%d", root, i), start.Add(time.Minute)))
		}) {
			if err != nil && i > 0 {
				wantError(t, "an exchange that came too late", err, storage.ErrEnded)
			} else {
				must(t, err)
			}
		}
		list, err := s.ListTokens(t.Context(), storage.TokenFilter{Tenant: tenant, ClientID: basket, Limit: 100}, start)
		must(t, err)
		if len(list) != 0 {
			t.Fatalf("%d exchanged tokens are alive after %s was revoked", len(list), target.Kind)
		}
	}
}
