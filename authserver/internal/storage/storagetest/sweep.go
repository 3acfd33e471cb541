package storagetest

import (
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// sweepAll sweeps until there is nothing left to do, and fails if that does not come to an end.
func sweepAll(t *testing.T, s Store, now time.Time, limit int) {
	t.Helper()
	for range 1000 {
		n, err := s.Sweep(t.Context(), now, limit)
		must(t, err)
		if n == 0 {
			return
		}
	}
	t.Fatal("the sweep finds something to do for ever")
}

func testSweep(t *testing.T, open func(*testing.T) Store) {
	t.Run("rows go when their time is over, not before", func(t *testing.T) { sweepsOnTime(t, open) })
	t.Run("a revoked token, grant or session stays dead until it is gone", func(t *testing.T) { sweepsNothingAlive(t, open) })
	t.Run("a wide revocation destroys the keys of what it ended, and of nothing else", func(t *testing.T) { sweepDestroysKeys(t, open) })
	t.Run("one call is bounded", func(t *testing.T) { sweepIsBounded(t, open) })
	t.Run("keys too are destroyed in bounded calls, without an end too early", func(t *testing.T) { sweepOfKeysIsBounded(t, open) })
	t.Run("the record of a revocation is kept for 30 days", func(t *testing.T) { sweepKeepsRecords(t, open) })
}

func sweepsOnTime(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	g, a, r := begin(t, s, "g1", storage.Births{})
	must(t, s.CreateSession(t.Context(), session("s1", storage.Births{})))
	must(t, s.RotateRefresh(t.Context(), tenant, r.Hash, start, nil, access("g1", "2"), refresh("g1", "2")))
	find := map[string]func() error{
		"code":             func() error { _, err := s.FindCode(t.Context(), tenant, hash("code g1")); return err },
		"access":           func() error { _, err := s.FindAccess(t.Context(), tenant, a.Hash); return err },
		"access by jti":    func() error { _, err := s.FindAccessByJTI(t.Context(), tenant, a.JTI); return err },
		"consumed refresh": func() error { _, err := s.FindRefresh(t.Context(), tenant, r.Hash); return err },
		"session":          func() error { _, err := s.FindSession(t.Context(), tenant, hash("session s1")); return err },
	}
	for _, step := range []struct {
		now  time.Time
		gone []string
	}{
		{start.Add(time.Minute - time.Millisecond), nil},
		{start.Add(time.Minute), []string{"code"}},
		{start.Add(15 * time.Minute), []string{"access", "access by jti"}},
		{start.Add(time.Hour - time.Millisecond), nil},
		{start.Add(time.Hour), []string{"consumed refresh"}},
		{start.Add(8 * time.Hour), []string{"session"}},
		{g.ExpiresAt, nil},
	} {
		sweepAll(t, s, step.now, 1)
		for _, name := range step.gone {
			wantError(t, name, find[name](), storage.ErrNotFound)
			delete(find, name)
		}
		for name, still := range find {
			if err := still(); err != nil {
				t.Errorf("%s is gone at %s: %v", name, step.now, err)
			}
		}
	}
	_, err := s.Revoke(t.Context(), revocation(storage.KindGrant, "g1"))
	wantError(t, "the grant", err, storage.ErrNotFound)
}

func sweepsNothingAlive(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	must(t, s.CreateSession(t.Context(), session("session-1", storage.Births{})))
	for _, id := range []string{"by-token", "by-grant", "by-session"} {
		begin(t, s, id, storage.Births{})
	}
	_, err := s.RevokeAll(t.Context(), []storage.Revocation{revocation(storage.KindToken, "jti-by-token"),
		revocation(storage.KindGrant, "by-grant"), revocation(storage.KindSession, "session-1")})
	must(t, err)
	for _, now := range []time.Time{start, start.Add(14 * time.Minute), start.Add(8 * time.Hour), start.Add(24 * time.Hour)} {
		sweepAll(t, s, now, 100)
		for _, id := range []string{"by-token", "by-grant", "by-session"} {
			if found, err := s.FindAccess(t.Context(), tenant, hash("access "+id)); err == nil && found.Alive {
				t.Errorf("%s is alive at %s", id, now)
			}
		}
		// The session's row goes after 8 hours, its grants after 24: until then its reach must hold.
		g, c := userGrant("late "+now.String(), storage.Births{})
		must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
		if now.Before(start.Add(24 * time.Hour)) {
			wantError(t, "a code of the revoked session", s.RedeemCode(t.Context(), tenant, c.Hash, start, access(g.ID, "x"), nil), storage.ErrEnded)
		}
	}
}

func sweepDestroysKeys(t *testing.T, open func(*testing.T) Store) {
	for _, reach := range []struct {
		kind   storage.Kind
		target string
		ends   bool
	}{
		{storage.KindEverything, "", true}, {storage.KindTenant, tenant, true}, {storage.KindClient, client, true},
		{storage.KindUser, user, true}, {storage.KindUserClient, storage.UserClientID(user, client), true},
		{storage.KindSession, "session-1", true}, {storage.KindUser, "u_bob", false}, {storage.KindUserClient, storage.UserClientID(user, "other"), false},
	} {
		s := open(t)
		for _, id := range []string{"g1", "g2", "g3", "g4", "g5"} {
			begin(t, s, id, storage.Births{})
		}
		_, err := s.Revoke(t.Context(), revocation(reach.kind, reach.target))
		must(t, err)
		births, err := s.Generations(t.Context(), tenant, client, user)
		must(t, err)
		younger, c := userGrant("younger", births)
		younger.SessionID = "session-2"
		must(t, s.CreateGrantWithCode(t.Context(), younger, c, nil))
		sweepAll(t, s, start, 2)
		for _, id := range []string{"g1", "g2", "g3", "g4", "g5"} {
			found, err := s.FindAccess(t.Context(), tenant, hash("access "+id))
			must(t, err)
			if destroyed := len(found.Grant.WrappedKey) == 0; destroyed != reach.ends {
				t.Errorf("%s %q: the key of %s is destroyed: %t", reach.kind, reach.target, id, destroyed)
			}
		}
		found, err := s.FindCode(t.Context(), tenant, c.Hash)
		must(t, err)
		if len(found.Grant.WrappedKey) == 0 {
			t.Errorf("%s %q: the key of a younger grant is destroyed", reach.kind, reach.target)
		}
	}
}

func sweepIsBounded(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	for _, id := range []string{"g1", "g2", "g3", "g4"} {
		begin(t, s, id, storage.Births{})
	}
	n, err := s.Sweep(t.Context(), start.Add(48*time.Hour), 3)
	must(t, err)
	if n != 3 {
		t.Errorf("dealt with %d rows, want 3", n)
	}
	_, err = s.Revoke(t.Context(), revocation(storage.KindClient, client))
	must(t, err)
	for _, want := range []int{3, 3, 3} { // of 4 tokens, 4 refresh tokens, 4 codes, …
		if n, err = s.Sweep(t.Context(), start.Add(48*time.Hour), 3); err != nil || n != want {
			t.Errorf("dealt with %d rows, want %d (%v)", n, want, err)
		}
	}
	n, err = s.Sweep(t.Context(), start.Add(48*time.Hour), 0)
	must(t, err)
	if n != 0 {
		t.Errorf("dealt with %d rows, want none", n)
	}
}

func sweepOfKeysIsBounded(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	for _, id := range []string{"g1", "g2", "g3", "g4", "g5"} {
		begin(t, s, id, storage.Births{})
	}
	for range 2 {
		_, err := s.Revoke(t.Context(), revocation(storage.KindClient, client))
		must(t, err)
	}
	for n := 2; n == 2; { // as the issuer does: on, while a call dealt with all it might
		var err error
		n, err = s.Sweep(t.Context(), start, 2)
		must(t, err)
		if n > 2 {
			t.Fatalf("dealt with %d rows, want 2 at most", n)
		}
	}
	for _, id := range []string{"g1", "g2", "g3", "g4", "g5"} {
		found, err := s.FindAccess(t.Context(), tenant, hash("access "+id))
		must(t, err)
		if len(found.Grant.WrappedKey) != 0 {
			t.Errorf("the key of %s is still there", id)
		}
	}
}

func sweepKeepsRecords(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	asked := revocation(storage.KindUser, user)
	_, err := s.Revoke(t.Context(), asked)
	must(t, err)
	sweepAll(t, s, start.Add(30*24*time.Hour-time.Millisecond), 10)
	_, err = s.FindRevocation(t.Context(), tenant, asked.ID)
	must(t, err)
	sweepAll(t, s, start.Add(30*24*time.Hour), 10)
	_, err = s.FindRevocation(t.Context(), tenant, asked.ID)
	wantError(t, "the record", err, storage.ErrNotFound)
	again, err := s.Revoke(t.Context(), revocation(storage.KindUser, user))
	must(t, err)
	if again.Generation != 2 || again.Sequence != 2 {
		t.Errorf("after its record went, the generation is %d and the sequence %d, want 2 and 2", again.Generation, again.Sequence)
	}
}
