package token_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

const outlived = "an exchanged token outlives what it descends from"

// exchangeReaches are the reaches that end what the basket exchanges for a subject token: the token's own, and the asker's.
func exchangeReaches(t *testing.T, i *grantstest.Issuer, subject string) map[storage.Kind][]string {
	t.Helper()
	parent, err := i.Store.FindAccessByJTI(t.Context(), grantstest.Tenant, jti(t, i, subject))
	if err != nil {
		t.Fatal(err)
	}
	return map[storage.Kind][]string{
		storage.KindToken: {parent.JTI}, storage.KindGrant: {parent.GrantID}, storage.KindSession: {parent.Grant.SessionID},
		storage.KindUser: {grantstest.Alice}, storage.KindTenant: {grantstest.Tenant}, storage.KindEverything: {""},
		storage.KindClient:     {"web", "shoppingbasket"},
		storage.KindUserClient: {storage.UserClientID(grantstest.Alice, "web"), storage.UserClientID(grantstest.Alice, "shoppingbasket")},
	}
}

// TestExchangedTokenDiesWithItsParent asks, for every reach of the parent and of the asker, every way to use an exchanged
// token: by its jti, and to exchange it further.
func TestExchangedTokenDiesWithItsParent(t *testing.T) {
	for _, kind := range []storage.Kind{storage.KindToken, storage.KindGrant, storage.KindSession, storage.KindUser,
		storage.KindUserClient, storage.KindClient, storage.KindTenant, storage.KindEverything} {
		for n := range 2 {
			i := grantstest.New(t)
			subject, _ := received(t, i)
			targets := exchangeReaches(t, i, subject)[kind]
			if n >= len(targets) {
				continue
			}
			t.Run(string(kind)+" "+targets[n], func(t *testing.T) {
				first, _ := exchanged(t, i, exchange(i, "shoppingbasket", subject, "discount"))
				second, _ := exchanged(t, i, exchange(i, "discount", first, "vouchers"))
				if _, err := i.Revoker.Revoke(t.Context(), grantstest.Tenant, kind, targets[n], "operator"); err != nil {
					t.Fatal(err)
				}
				for _, signed := range []string{first, second} {
					if _, err := i.Bearer.FindByJTI(t.Context(), grantstest.Tenant, jti(t, i, signed)); err == nil {
						t.Error(outlived)
					}
				}
				if w := exchange(i, "discount", first, "vouchers"); w.Code == http.StatusOK {
					t.Error(outlived)
				} else {
					refused(t, w, 400, oauth.InvalidRequest)
				}
				// The asker, which still has its secret, is not locked out for ever: a living token is exchanged again.
				again, _ := received(t, i)
				exchanged(t, i, exchange(i, "shoppingbasket", again, "discount"))
			})
		}
	}
}

// TestControlExchanged builds the store that does not ask after what a token was exchanged for, and sees the test fail.
func TestControlExchanged(t *testing.T) {
	grantstest.SeesFault(t, "fault_exchange", "^TestExchangedTokenDiesWithItsParent$", outlived)
}

// TestRevocationDuringExchange: the reach of the asker, alone or for this user, moves on while the asker's secret is being
// checked. What comes out must be dead at birth.
func TestRevocationDuringExchange(t *testing.T) {
	for _, reach := range []struct {
		kind   storage.Kind
		target string
	}{{storage.KindClient, "shoppingbasket"}, {storage.KindUserClient, storage.UserClientID(grantstest.Alice, "shoppingbasket")}} {
		t.Run(string(reach.kind), func(t *testing.T) {
			i := grantstest.New(t)
			subject, _ := received(t, i)
			i.Clients.During = func() {
				i.Clients.During = nil
				if _, err := i.Revoker.Revoke(t.Context(), grantstest.Tenant, reach.kind, reach.target, "operator"); err != nil {
					t.Error(err)
				}
			}
			signed, _ := exchanged(t, i, exchange(i, "shoppingbasket", subject, "discount"))
			if _, err := i.Bearer.FindByJTI(t.Context(), grantstest.Tenant, jti(t, i, signed)); err == nil {
				t.Error(overtaken)
			}
			signed, _ = exchanged(t, i, exchange(i, "shoppingbasket", subject, "discount"))
			if _, err := i.Bearer.FindByJTI(t.Context(), grantstest.Tenant, jti(t, i, signed)); err != nil {
				t.Errorf("a later exchange is dead too: %v", err)
			}
		})
	}
}

// TestControlRevocationDuringExchange turns the order round and sees the test fail.
func TestControlRevocationDuringExchange(t *testing.T) {
	grantstest.SeesFault(t, "fault_order", "^TestRevocationDuringExchange$", overtaken)
}

// TestRaceOfRevocationAndExchange: whoever comes first, what was exchanged is dead once the revocation was answered.
func TestRaceOfRevocationAndExchange(t *testing.T) {
	i := grantstest.New(t)
	for round := range 50 {
		subject, _ := received(t, i)
		kinds := []storage.Kind{storage.KindToken, storage.KindGrant, storage.KindUser, storage.KindClient}
		kind := kinds[round%len(kinds)]
		targets := exchangeReaches(t, i, subject)[kind]
		target := targets[len(targets)-1] // of the clients the asker
		revoked := make(chan error, 1)
		answers := race(func() *httptest.ResponseRecorder {
			select {
			case revoked <- nil:
				_, err := i.Revoker.Revoke(t.Context(), grantstest.Tenant, kind, target, "operator")
				if err != nil {
					t.Error(err)
				}
				return nil
			default:
				return exchange(i, "shoppingbasket", subject, "discount")
			}
		})
		for _, w := range answers {
			if w == nil || w.Code != http.StatusOK {
				continue
			}
			a := answered(t, w)
			found, err := i.Bearer.FindByJTI(t.Context(), grantstest.Tenant, jti(t, i, a.AccessToken))
			// An exchange that began once the asker's revocation was over is born under its new generation, and lives.
			if err == nil && kind != storage.KindClient {
				t.Fatalf("round %d: %s: %s %s is alive", round, outlived, kind, found.JTI)
			}
		}
	}
}
