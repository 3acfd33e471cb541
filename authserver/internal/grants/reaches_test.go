package grants_test

import (
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// held is all that one client holds of one session of Alice's.
type held struct {
	*grantstest.Issuer
	client config.Client
	code   string        // not redeemed yet; of a grant of its own
	first  grants.Answer // its refresh reference is consumed, and within the grace
	second grants.Answer
	reach  map[storage.Kind][]string // what ends it
}

func holding(t *testing.T, clientID string, scopes ...string) held {
	t.Helper()
	i := grantstest.New(t)
	a := i.Authorization(t, clientID, scopes...)
	h := held{Issuer: i, client: a.Client}
	begin := func() string {
		code, err := i.Grants.Begin(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	redeemed := begin()
	h.code = begin()
	var err error
	if h.first, err = h.redeem(t, redeemed); err != nil {
		t.Fatal(err)
	}
	if h.second, err = h.refresh(t, h.first.RefreshToken); err != nil {
		t.Fatal(err)
	}
	h.reach = map[storage.Kind][]string{
		storage.KindSession: {a.Session.ID}, storage.KindUser: {grantstest.Alice}, storage.KindClient: {clientID},
		storage.KindUserClient: {storage.UserClientID(grantstest.Alice, clientID)}, storage.KindTenant: {grantstest.Tenant}, storage.KindEverything: {""},
	}
	for _, code := range []string{redeemed, h.code} {
		found, err := i.Store.FindCode(t.Context(), grantstest.Tenant, tokens.Hash(code))
		if err != nil {
			t.Fatal(err)
		}
		h.reach[storage.KindGrant] = append(h.reach[storage.KindGrant], found.Grant.ID)
	}
	access, err := i.Store.FindAccess(t.Context(), grantstest.Tenant, tokens.Hash(h.second.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	h.reach[storage.KindToken] = []string{access.JTI}
	return h
}

func (h held) redeem(t *testing.T, code string) (grants.Answer, error) {
	return h.Grants.RedeemCode(t.Context(), grantstest.Tenant, h.client, grants.CodeRequest{
		Code: code, RedirectURI: grantstest.RedirectURI, Verifier: grantstest.Verifier,
	})
}

func (h held) refresh(t *testing.T, reference string) (grants.Answer, error) {
	return h.Grants.Refresh(t.Context(), grantstest.Tenant, h.client, grants.RefreshRequest{Reference: reference})
}

// paths are all the ways to make use of what is held. Each tells whether it worked.
var paths = map[string]func(t *testing.T, h held) bool{
	"introspection": func(_ *testing.T, h held) bool {
		return h.PostAccept("application/jwt", "/oauth/introspect", "gateway", "token", h.second.AccessToken).Code == 200
	},
	"userinfo": func(t *testing.T, h held) bool {
		_, err := h.Bearer.Check(t.Context(), grantstest.Tenant, h.second.AccessToken, oauth.ScopeOpenID)
		return err == nil
	},
	"refresh": func(t *testing.T, h held) bool {
		_, err := h.refresh(t, h.second.RefreshToken)
		return err == nil
	},
	"refresh within the grace": func(t *testing.T, h held) bool {
		_, err := h.refresh(t, h.first.RefreshToken)
		return err == nil
	},
	"code": func(t *testing.T, h held) bool {
		_, err := h.redeem(t, h.code)
		return err == nil
	},
}

// accessOnly are the paths that the reach of one token ends.
var accessOnly = []string{"introspection", "userinfo"}

const survived = "a revocation did not end what it reaches"

// TestEveryReachEndsEveryPath: no way to use what was granted forgets to look at one of the reaches.
func TestEveryReachEndsEveryPath(t *testing.T) {
	kinds := []storage.Kind{storage.KindToken, storage.KindGrant, storage.KindSession, storage.KindUser,
		storage.KindUserClient, storage.KindClient, storage.KindTenant, storage.KindEverything}
	for _, kind := range kinds {
		for path, works := range paths {
			t.Run(string(kind)+" "+path, func(t *testing.T) {
				h := holding(t, "web", "openid", "offline_access", "eventcatalog.read")
				ends := kind != storage.KindToken || path == accessOnly[0] || path == accessOnly[1]
				for _, target := range h.reach[kind] {
					if _, err := h.Revoker.Revoke(t.Context(), grantstest.Tenant, kind, target, "operator"); err != nil {
						t.Fatal(err)
					}
				}
				if alive := works(t, h); alive && ends {
					t.Error(survived)
				} else if !alive && !ends {
					t.Error("the revocation of one token ended more than the token")
				}
			})
		}
	}
}

// TestOtherReachesEndNothing: what belongs to somebody else is not touched.
func TestOtherReachesEndNothing(t *testing.T) {
	others := map[storage.Kind]string{
		storage.KindUser: "u_bob", storage.KindClient: "other", storage.KindUserClient: storage.UserClientID(grantstest.Alice, "other"),
	}
	for path, works := range paths {
		t.Run(path, func(t *testing.T) {
			h := holding(t, "web", "openid", "offline_access", "eventcatalog.read")
			for kind, target := range others {
				if _, err := h.Revoker.Revoke(t.Context(), grantstest.Tenant, kind, target, "operator"); err != nil {
					t.Fatal(err)
				}
			}
			if !works(t, h) {
				t.Error("a foreign revocation ended it")
			}
		})
	}
}

// TestControlReaches runs the store in which nothing is ever outlived, and sees the test fail.
func TestControlReaches(t *testing.T) {
	grantstest.SeesFault(t, "fault_births", "^TestEveryReachEndsEveryPath$", survived)
}

// TestLogout ends what the session has given, but for what was to outlive it (offline_access).
func TestLogout(t *testing.T) {
	for name, tc := range map[string]struct {
		client string
		scopes []string
		alive  bool
	}{
		"with offline_access":    {"web", []string{"openid", "offline_access", "eventcatalog.read"}, true},
		"without offline_access": {"eager", []string{"openid", "eventcatalog.read"}, false},
	} {
		for path, works := range paths {
			t.Run(name+" "+path, func(t *testing.T) {
				h := holding(t, tc.client, tc.scopes...)
				session := h.reach[storage.KindSession][0]
				if err := h.Store.EndSession(t.Context(), grantstest.Tenant, session, "issuer", h.Clock.Now()); err != nil {
					t.Fatal(err)
				}
				if got := works(t, h); got != tc.alive {
					t.Errorf("after the logout it is alive: %v", got)
				}
			})
		}
	}
}

// TestLogoutDuringAuthorization: the session ends between the click on Allow and the grant.
func TestLogoutDuringAuthorization(t *testing.T) {
	i := grantstest.New(t)
	a := i.Authorization(t, "web", "openid")
	if err := i.Store.EndSession(t.Context(), grantstest.Tenant, a.Session.ID, "issuer", i.Clock.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Grants.Begin(t.Context(), a); !oauth.IsCode(err, oauth.LoginRequired) {
		t.Errorf("Begin: %v, want login_required", err)
	}
}
