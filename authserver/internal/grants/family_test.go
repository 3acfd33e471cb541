package grants_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

const graceOfTheDesign = 10 * time.Second

// link is one refresh reference of the modelled family.
type link struct {
	reference string
	expires   time.Time
	consumed  time.Time     // zero: not yet
	answer    grants.Answer // what it has earned
}

// family is what a family of refresh references should do, told without a database.
type family struct {
	issuer       *grantstest.Issuer
	owner, other config.Client
	grantID      string
	grantEnds    time.Time
	alive        bool
	links        []link
	access       map[string]time.Time // by reference: its end
}

func newFamily(t *testing.T, i *grantstest.Issuer) *family {
	owner, _ := i.Clients.Find(grantstest.Tenant, "web")
	other, _ := i.Clients.Find(grantstest.Tenant, "other")
	code := i.Code(t, "web", "openid", "offline_access", "eventcatalog.read", "shoppingbasket.read")
	now := i.Clock.Now()
	answer, err := i.Grants.RedeemCode(t.Context(), grantstest.Tenant, owner, grants.CodeRequest{
		Code: code, RedirectURI: grantstest.RedirectURI, Verifier: grantstest.Verifier,
	})
	if err != nil {
		t.Fatal(err)
	}
	row, err := i.Store.FindRefresh(t.Context(), grantstest.Tenant, tokens.Hash(answer.RefreshToken))
	if err != nil {
		t.Fatal(err)
	}
	f := &family{issuer: i, owner: owner, other: other, grantID: row.Grant.ID, alive: true,
		grantEnds: now.Add(owner.Policy.RefreshAbsolute), access: map[string]time.Time{}}
	f.add(answer, now)
	return f
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (f *family) add(a grants.Answer, now time.Time) {
	f.links = append(f.links, link{reference: a.RefreshToken, expires: earliest(now.Add(f.owner.Policy.RefreshIdle), f.grantEnds)})
	f.access[a.AccessToken] = earliest(now.Add(f.owner.Policy.AccessToken), f.grantEnds).Truncate(time.Second)
}

// refresh uses any reference the family ever had, as its client or as another, and compares what happens with what should.
func (f *family) refresh(t *testing.T, rt *rapid.T) {
	n := rapid.IntRange(0, len(f.links)-1).Draw(rt, "reference")
	stranger := rapid.IntRange(0, 9).Draw(rt, "stranger") == 0
	used, now := &f.links[n], f.issuer.Clock.Now()
	client := f.owner
	if stranger {
		client = f.other
	}
	got, err := f.issuer.Grants.Refresh(t.Context(), grantstest.Tenant, client, grants.RefreshRequest{Reference: used.reference})

	switch over := !now.Before(used.expires); {
	case stranger || !f.alive:
		f.refused(rt, "a stranger, or a dead family", err)
	case !used.consumed.IsZero() && now.Sub(used.consumed) >= graceOfTheDesign:
		f.refused(rt, "reuse after the grace", err)
		f.alive = false
	case over:
		f.refused(rt, "an expired reference", err)
	case err != nil:
		rt.Fatalf("a good reference is refused: %v", err)
	case !used.consumed.IsZero():
		if got != used.answer {
			rt.Fatal("reuse within the grace earns another answer")
		}
	default:
		used.consumed, used.answer = now, got
		f.add(got, now)
	}
}

func (f *family) refused(rt *rapid.T, what string, err error) {
	if err == nil {
		rt.Fatalf("%s is answered with tokens", what)
	}
}

// check compares every access token the family ever had, and counts what can still be refreshed.
func (f *family) check(t *testing.T, rt *rapid.T) {
	now := f.issuer.Clock.Now()
	for reference, ends := range f.access {
		_, err := f.issuer.Bearer.Find(t.Context(), grantstest.Tenant, reference)
		if got, want := err == nil, f.alive && now.Before(ends); got != want {
			rt.Fatalf("an access token is alive: %v, want %v", got, want)
		}
	}
	fresh := 0
	for _, l := range f.links {
		row, err := f.issuer.Store.FindRefresh(t.Context(), grantstest.Tenant, tokens.Hash(l.reference))
		if err != nil {
			rt.Fatal(err)
		}
		if row.ConsumedAt.IsZero() {
			fresh++
		}
	}
	if fresh != 1 {
		rt.Fatalf("%d references of the family are not consumed", fresh)
	}
}

// TestFamiliesFollowTheModel: whatever is done in whatever order, a family has one living end, or none.
func TestFamiliesFollowTheModel(t *testing.T) {
	i := grantstest.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		f := newFamily(t, i)
		rt.Repeat(map[string]func(*rapid.T){
			"":        func(rt *rapid.T) { f.check(t, rt) },
			"refresh": func(rt *rapid.T) { f.refresh(t, rt) },
			"wait": func(rt *rapid.T) {
				i.Clock.Move(time.Duration(rapid.IntRange(1, 12_000).Draw(rt, "ms")) * time.Millisecond)
			},
			"wait long": func(rt *rapid.T) {
				i.Clock.Move(time.Duration(rapid.IntRange(1, 30).Draw(rt, "hours")) * time.Hour)
			},
			"revoke the grant": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "really") > 0 {
					rt.Skip("seldom, so that families grow old")
				}
				if _, err := i.Revoker.Revoke(t.Context(), grantstest.Tenant, storage.KindGrant, f.grantID, "web"); err != nil {
					rt.Fatal(err)
				}
				f.alive = false
			},
		})
	})
}
