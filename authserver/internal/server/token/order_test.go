package token_test

import (
	"net/http"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

const overtaken = "a revocation that landed while the client was being authenticated does not end what it was given"

// TestRevocationDuringAuthentication: somebody revokes the client because its secret has leaked, at the very moment in
// which the thief's secret is being checked. What the thief is given must be dead at birth.
func TestRevocationDuringAuthentication(t *testing.T) {
	for _, reach := range []struct {
		kind   storage.Kind
		target string
	}{{storage.KindClient, "batch"}, {storage.KindTenant, grantstest.Tenant}, {storage.KindEverything, ""}} {
		t.Run(string(reach.kind), func(t *testing.T) {
			i := grantstest.New(t)
			i.Clients.During = func() {
				i.Clients.During = nil
				if _, err := i.Revoker.Revoke(t.Context(), grantstest.Tenant, reach.kind, reach.target, "operator"); err != nil {
					t.Error(err)
				}
			}
			w := i.Post("/oauth/token", "batch", "grant_type", "client_credentials")
			if w.Code == http.StatusOK && active(t, i, answered(t, w).AccessToken) {
				t.Error(overtaken)
			}
			if a := answered(t, i.Post("/oauth/token", "batch", "grant_type", "client_credentials")); !active(t, i, a.AccessToken) {
				t.Error("the client, which is still registered, gets nothing alive any more")
			}
		})
	}
}

// TestControlRevocationDuringAuthentication builds the endpoint with the order turned round and sees the test fail.
func TestControlRevocationDuringAuthentication(t *testing.T) {
	grantstest.SeesFault(t, "fault_order", "^TestRevocationDuringAuthentication$", overtaken)
}
