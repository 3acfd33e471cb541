package attack

import (
	"net/http"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

const exchangeType = "urn:ietf:params:oauth:grant-type:token-exchange"

// exchangeOf is the basket's request for a discount's token.
func exchangeOf(subject string, more ...string) (form map[string][]string) {
	return rptest.With(rptest.Form("grant_type", exchangeType, "subject_token", subject, "audience", "discount",
		"subject_token_type", "urn:ietf:params:oauth:token-type:access_token"), more...)
}

// TestExchangeTakesOnlyItsOwnCallers shows the exchange everything that is not a living phantom token for the asker.
func TestExchangeTakesOnlyItsOwnCallers(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	tokens := w.TokensFor(t, w.Browser(t), "alice", rptest.Web().Ask("openid offline_access catalogue.read basket.read"))
	minted := func(accept string, more ...string) string {
		return w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.With(rptest.Form("token", tokens.Access), more...), "Accept", accept).Body
	}
	good := minted("application/jwt", "audience", "basket")
	answer := w.Post(t, "/oauth/token", rptest.BasketAPI(), exchangeOf(good))
	if answer.Status != http.StatusOK {
		t.Fatalf("the control: %d %s", answer.Status, answer.Body)
	}
	exchanged := answer.Text("access_token")
	if claims := rptest.Claims(t, exchanged); claims["aud"] != "discount" || claims["scope"] != "discount.fullaccess" || claims["sub"] != rptest.Claims(t, good)["sub"] {
		t.Errorf("%v", claims)
	}

	bad := forgeries(t, w, good, "at+jwt")
	bad["the reference"], bad["the refresh token"], bad["the ID token"] = tokens.Access, tokens.Refresh, tokens.ID
	bad["an answer about the token"] = minted("application/token-introspection+jwt", "audience", "basket")
	bad["another audience's"] = minted("application/jwt", "audience", "catalogue")
	bad["one for two audiences"] = minted("application/jwt")
	bad["what it gave itself"] = exchanged
	for name, subject := range bad {
		if got := w.Post(t, "/oauth/token", rptest.BasketAPI(), exchangeOf(subject)); got.Status != http.StatusBadRequest || got.Text("error") != "invalid_request" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	for name, c := range map[string]struct {
		app  rptest.App
		more []string
		code string
	}{
		"another audience":     {rptest.BasketAPI(), []string{"audience", "catalogue"}, "invalid_target"},
		"the operators'":       {rptest.BasketAPI(), []string{"audience", "admin"}, "invalid_target"},
		"another scope":        {rptest.BasketAPI(), []string{"scope", "admin"}, "invalid_scope"},
		"a refresh token":      {rptest.BasketAPI(), []string{"requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"},
		"an actor of its own":  {rptest.BasketAPI(), []string{"actor_token", good, "actor_token_type", "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"},
		"another client":       {rptest.Web(), nil, "unauthorized_client"},
		"a machine":            {rptest.Job(), nil, "unauthorized_client"},
		"a gateway":            {rptest.Gateway(), nil, "unauthorized_client"},
		"a public client":      {rptest.Native(), nil, "unauthorized_client"},
		"an ID token, by name": {rptest.BasketAPI(), []string{"subject_token_type", "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"},
	} {
		if got := w.Post(t, "/oauth/token", c.app, exchangeOf(good, c.more...)); got.Status != http.StatusBadRequest || got.Text("error") != c.code {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	// It works nowhere as a reference, and dies with what it descends from.
	w.Userinfo(t, exchanged).Refused(t, http.StatusUnauthorized, "invalid_token")
	w.Revoke(t, map[string]any{"token": tokens.Access})
	w.Post(t, "/oauth/token", rptest.BasketAPI(), exchangeOf(good)).Refused(t, http.StatusBadRequest, "invalid_request")
}
