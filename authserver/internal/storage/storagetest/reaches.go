package storagetest

import (
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

func testGenerations(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	births, err := s.Generations(t.Context(), tenant, client, user)
	must(t, err)
	same(t, "before any revocation", births, storage.Births{})

	var sequence int64
	for _, step := range []struct {
		kind   storage.Kind
		target string
		want   storage.Births
	}{
		{storage.KindUser, user, storage.Births{User: 1}},
		{storage.KindUser, user, storage.Births{User: 2}},
		{storage.KindUser, "u_bob", storage.Births{User: 2}},
		{storage.KindClient, client, storage.Births{User: 2, Client: 1}},
		{storage.KindUserClient, storage.UserClientID(user, client), storage.Births{User: 2, Client: 1, UserClient: 1}},
		{storage.KindUserClient, storage.UserClientID(user, "other"), storage.Births{User: 2, Client: 1, UserClient: 1}},
		{storage.KindTenant, tenant, storage.Births{User: 2, Client: 1, UserClient: 1, Tenant: 1}},
		{storage.KindEverything, "", storage.Births{User: 2, Client: 1, UserClient: 1, Tenant: 1, Everything: 1}},
	} {
		asked := revocation(step.kind, step.target)
		done, err := s.Revoke(t.Context(), asked)
		must(t, err)
		sequence++
		asked.Sequence, asked.Generation = sequence, done.Generation
		same(t, "the answer", done, asked)
		if done.Generation < 1 {
			t.Errorf("the generation of %s after a revocation is %d", step.kind, done.Generation)
		}
		found, err := s.FindRevocation(t.Context(), tenant, asked.ID)
		must(t, err)
		same(t, "the record", found, done)
		births, err := s.Generations(t.Context(), tenant, client, user)
		must(t, err)
		same(t, "after "+string(step.kind)+" "+step.target, births, step.want)
	}
	births, err = s.Generations(t.Context(), "other", client, user)
	must(t, err)
	same(t, "another tenant", births, storage.Births{Everything: 1})
	births, err = s.Generations(t.Context(), tenant, client, "")
	must(t, err)
	same(t, "a machine client", births, storage.Births{Client: 1, Tenant: 1, Everything: 1})

	refusesRevocations(t, s)

	several := []storage.Revocation{revocation(storage.KindUser, user), revocation(storage.KindClient, client)}
	done, err := s.RevokeAll(t.Context(), several)
	must(t, err)
	if len(done) != 2 || done[0].Sequence != sequence+1 || done[1].Sequence != sequence+2 || done[0].Generation != 3 || done[1].Generation != 2 {
		t.Errorf("several at once: %+v", done)
	}
	_, err = s.RevokeAll(t.Context(), []storage.Revocation{revocation(storage.KindUser, user), revocation(storage.KindGrant, "never was")})
	wantError(t, "several of which one fails", err, storage.ErrNotFound)
	births, err = s.Generations(t.Context(), tenant, client, user)
	must(t, err)
	same(t, "after a failed revocation", births, storage.Births{User: 3, Client: 2, UserClient: 1, Tenant: 1, Everything: 1})
}

// refusesRevocations tries those that would end nothing, or more than was meant.
func refusesRevocations(t *testing.T, s Store) {
	t.Helper()
	_, err := s.FindRevocation(t.Context(), tenant, "unknown")
	wantError(t, "unknown revocation", err, storage.ErrNotFound)
	for name, wrong := range map[string]storage.Revocation{
		"unknown kind":             revocation("galaxy", "x"),
		"no target":                revocation(storage.KindUser, ""),
		"everything with a target": revocation(storage.KindEverything, "x"),
		"another tenant":           revocation(storage.KindTenant, "other"),
		"no id":                    {Tenant: tenant, Kind: storage.KindUser, Target: user, By: "operator", At: start},
	} {
		if _, err := s.Revoke(t.Context(), wrong); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, kind := range []storage.Kind{storage.KindToken, storage.KindGrant, storage.KindSession} {
		_, err := s.Revoke(t.Context(), revocation(kind, "never was"))
		wantError(t, "an unknown "+string(kind), err, storage.ErrNotFound)
	}
}

// paths tells for every way to find or use a grant's descendants whether it is alive. A consuming path is tried for real,
// so it is asked once for each grant.
var paths = []struct {
	name  string
	alive func(t *testing.T, s Store, id string) bool
}{
	{"access", func(t *testing.T, s Store, id string) bool {
		found, err := s.FindAccess(t.Context(), tenant, hash("access "+id))
		must(t, err)
		return found.Alive
	}},
	{"access by jti", func(t *testing.T, s Store, id string) bool {
		found, err := s.FindAccessByJTI(t.Context(), tenant, "jti-"+id)
		must(t, err)
		return found.Alive
	}},
	{"list", func(t *testing.T, s Store, id string) bool {
		list, err := s.ListTokens(t.Context(), storage.TokenFilter{Tenant: tenant, Limit: 100}, start)
		must(t, err)
		for _, token := range list {
			if token.JTI == "jti-"+id {
				return true
			}
		}
		return false
	}},
	{"list of the user", func(t *testing.T, s Store, id string) bool {
		list, err := s.ListTokens(t.Context(), storage.TokenFilter{Tenant: tenant, Subject: user, Limit: 100}, start)
		must(t, err)
		for _, token := range list {
			if token.JTI == "jti-"+id {
				return true
			}
		}
		return false
	}},
	{"refresh", func(t *testing.T, s Store, id string) bool {
		found, err := s.FindRefresh(t.Context(), tenant, hash("refresh "+id))
		must(t, err)
		return found.Alive
	}},
	{"code", func(t *testing.T, s Store, id string) bool {
		found, err := s.FindCode(t.Context(), tenant, hash("code second "+id))
		must(t, err)
		return found.Alive
	}},
	{"redeem", func(t *testing.T, s Store, id string) bool {
		return alive(t, s.RedeemCode(t.Context(), tenant, hash("code second "+id), start, access("second "+id, "redeemed "+id), nil))
	}},
	{"rotate", func(t *testing.T, s Store, id string) bool {
		return alive(t, s.RotateRefresh(t.Context(), tenant, hash("refresh "+id), start, nil, access(id, "rotated "+id), refresh(id, "rotated "+id)))
	}},
}

func alive(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		wantError(t, "a consuming write", err, storage.ErrEnded)
	}
	return err == nil
}

// testReaches revokes by every reach and asks every path, of a grant that was born before, of one born after, of one whose
// generations were read before the revocation and that was made after it, and of a stranger's.
func testReaches(t *testing.T, open func(*testing.T) Store) {
	everyPath := []string{"access", "access by jti", "list", "list of the user", "refresh", "code", "redeem", "rotate"}
	for _, reach := range []struct {
		kind   storage.Kind
		target string
		ends   []string // of the grant born before
		after  bool     // a grant born after it lives
	}{
		{storage.KindEverything, "", everyPath, true},
		{storage.KindTenant, tenant, everyPath, true},
		{storage.KindClient, client, everyPath, true},
		{storage.KindUser, user, everyPath, true},
		{storage.KindUserClient, storage.UserClientID(user, client), everyPath, true},
		{storage.KindSession, "session-1", everyPath, false}, // the session's id is never used again
		{storage.KindGrant, "before", []string{"access", "access by jti", "list", "list of the user", "refresh", "rotate"}, true},
		{storage.KindToken, "jti-before", []string{"access", "access by jti", "list", "list of the user"}, true},
		{storage.KindUser, "u_bob", nil, true},
		{storage.KindClient, "other", nil, true},
		{storage.KindUserClient, storage.UserClientID(user, "other"), nil, true},
	} {
		t.Run(string(reach.kind)+" "+reach.target, func(t *testing.T) {
			s := open(t)
			must(t, s.CreateSession(t.Context(), session("session-1", storage.Births{})))
			early, err := s.Generations(t.Context(), tenant, client, user)
			must(t, err)
			beginTwo(t, s, "before", early)
			_, err = s.Revoke(t.Context(), revocation(reach.kind, reach.target))
			must(t, err)
			late, err := s.Generations(t.Context(), tenant, client, user)
			must(t, err)

			ends := map[string]bool{}
			for _, path := range reach.ends {
				ends[path] = true
			}
			for _, path := range paths {
				if got, want := path.alive(t, s, "before"), !ends[path.name]; got != want {
					t.Errorf("%s: alive is %t, want %t", path.name, got, want)
				}
			}
			if early != late { // a wide reach: the grant whose births were read too early is ended with the others
				g, c := userGrant("overtaken", early)
				must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
				wantError(t, "a code that a revocation overtook", s.RedeemCode(t.Context(), tenant, c.Hash, start, access(g.ID, "x"), nil), storage.ErrEnded)
			}
			g, c := userGrant("after", late)
			must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
			if got := alive(t, s.RedeemCode(t.Context(), tenant, c.Hash, start, access("after", "after"), nil)); got != reach.after {
				t.Errorf("a grant born after it: alive is %t, want %t", got, reach.after)
			}
		})
	}
	t.Run("a revoked grant's key is destroyed with it", func(t *testing.T) { revokedGrantLosesKey(t, open) })
	t.Run("one reach does not hide another", func(t *testing.T) { reachHidesNoOther(t, open) })
}

// beginTwo makes a grant with an access and a refresh token, and a second one whose code is still unredeemed.
func beginTwo(t *testing.T, s Store, id string, births storage.Births) {
	t.Helper()
	begin(t, s, id, births)
	g, c := userGrant("second "+id, births)
	must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
}

func testSessions(t *testing.T, open func(*testing.T) Store) {
	t.Run("found as it was", func(t *testing.T) {
		s := open(t)
		kept := session("s1", storage.Births{})
		must(t, s.CreateSession(t.Context(), kept))
		found, err := s.FindSession(t.Context(), tenant, kept.Hash)
		must(t, err)
		same(t, "session", found, storage.LiveSession{Session: kept, Alive: true})
		_, err = s.FindSession(t.Context(), "other", kept.Hash)
		wantError(t, "another tenant", err, storage.ErrNotFound)
		_, err = s.FindSession(t.Context(), tenant, hash("?"))
		wantError(t, "unknown", err, storage.ErrNotFound)
	})
	for _, reach := range []struct {
		kind   storage.Kind
		target string
		ends   bool
	}{
		{storage.KindEverything, "", true}, {storage.KindTenant, tenant, true}, {storage.KindUser, user, true},
		{storage.KindSession, "s1", true}, {storage.KindSession, "s2", false}, {storage.KindUser, "u_bob", false}, {storage.KindClient, client, false},
		{storage.KindUserClient, storage.UserClientID(user, client), false},
	} {
		t.Run("revoked by "+string(reach.kind)+" "+reach.target, func(t *testing.T) {
			s := open(t)
			for _, id := range []string{"s1", "s2"} {
				must(t, s.CreateSession(t.Context(), session(id, storage.Births{})))
			}
			_, err := s.Revoke(t.Context(), revocation(reach.kind, reach.target))
			must(t, err)
			found, err := s.FindSession(t.Context(), tenant, hash("session s1"))
			must(t, err)
			if found.Alive == reach.ends {
				t.Errorf("alive is %t", found.Alive)
			}
		})
	}
	t.Run("a logout ends the session and its grants, but not offline ones", func(t *testing.T) { logoutEndsGrants(t, open) })
}

func revokedGrantLosesKey(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	_, a, _ := begin(t, s, "g1", storage.Births{})
	_, err := s.Revoke(t.Context(), revocation(storage.KindGrant, "g1"))
	must(t, err)
	found, err := s.FindAccess(t.Context(), tenant, a.Hash)
	must(t, err)
	if len(found.Grant.WrappedKey) != 0 {
		t.Error("the key is still there")
	}
}

func reachHidesNoOther(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	_, err := s.Revoke(t.Context(), revocation(storage.KindUser, user))
	must(t, err)
	births, err := s.Generations(t.Context(), tenant, client, user)
	must(t, err)
	_, a, _ := begin(t, s, "g1", births)
	_, err = s.Revoke(t.Context(), revocation(storage.KindClient, client))
	must(t, err)
	found, err := s.FindAccess(t.Context(), tenant, a.Hash)
	must(t, err)
	if found.Alive {
		t.Error("alive, though its client was revoked after its birth")
	}
}

func logoutEndsGrants(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	must(t, s.CreateSession(t.Context(), session("session-1", storage.Births{})))
	begin(t, s, "online", storage.Births{})
	g, c := userGrant("offline", storage.Births{})
	g.Offline = true
	must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
	must(t, s.RedeemCode(t.Context(), tenant, c.Hash, start, access("offline", "offline"), nil))
	g, c = userGrant("elsewhere", storage.Births{})
	g.SessionID = "session-2"
	must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
	must(t, s.RedeemCode(t.Context(), tenant, c.Hash, start, access("elsewhere", "elsewhere"), nil))

	for range 2 { // it works twice
		must(t, s.EndSession(t.Context(), tenant, "session-1", "issuer", start.Add(time.Second)))
	}
	found, err := s.FindSession(t.Context(), tenant, hash("session session-1"))
	must(t, err)
	if found.Alive {
		t.Error("the session is alive")
	}
	for id, want := range map[string]bool{"online": false, "offline": true, "elsewhere": true} {
		found, err := s.FindAccess(t.Context(), tenant, hash("access "+id))
		must(t, err)
		if found.Alive != want || (len(found.Grant.WrappedKey) != 0) != want {
			t.Errorf("%s: alive is %t, its key has %d bytes", id, found.Alive, len(found.Grant.WrappedKey))
		}
	}
	done, err := s.Revoke(t.Context(), revocation(storage.KindUser, user))
	must(t, err)
	if done.Sequence != 2 {
		t.Errorf("the sequence is %d after one grant was ended twice", done.Sequence)
	}
	wantError(t, "an unknown session", s.EndSession(t.Context(), tenant, "?", "issuer", start), storage.ErrNotFound)
}
