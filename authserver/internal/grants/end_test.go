package grants_test

import (
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// A family that is not meant to outlive its login ends with it, but never before one access token does.
func TestWhenAGrantEnds(t *testing.T) {
	const hour = time.Hour
	for _, test := range []struct {
		name    string
		refresh string
		scopes  []string
		session time.Duration // what is left of the session
		want    time.Duration
	}{
		{"offline access outlives the session", config.RefreshOffline, []string{oauth.ScopeOfflineAccess}, hour, 30 * 24 * hour},
		{"without it, a refreshed grant ends with the session", config.RefreshAlways, nil, 8 * hour, 8 * hour},
		{"even when the policy allows more", config.RefreshAlways, nil, hour, hour},
		{"but lasts for one access token", config.RefreshAlways, nil, time.Second, 16 * time.Minute},
		{"one that is never refreshed lasts as long", config.RefreshOffline, nil, 8 * hour, 16 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := grantstest.New(t)
			a := i.Authorization(t, "mobile", append([]string{"eventcatalog.read"}, test.scopes...)...)
			a.Client.Policy.Refresh = test.refresh
			a.Session.ExpiresAt = i.Clock.Now().Add(test.session)
			code, err := i.Grants.Begin(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			found, err := i.Store.FindCode(t.Context(), grantstest.Tenant, tokens.Hash(code))
			if err != nil {
				t.Fatal(err)
			}
			if got := found.Grant.ExpiresAt.Sub(i.Clock.Now()); got != test.want {
				t.Errorf("the grant lasts %s, want %s", got, test.want)
			}
		})
	}
}
