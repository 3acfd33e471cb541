package token_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// TestWire pins requests and answers to the letter: clients of many makes read them.
func TestWire(t *testing.T) {
	i := grantstest.New(t)
	const path = "/oauth/token"
	t.Run("code", func(t *testing.T) {
		tr := i.Transcript()
		code := i.Code(t, "web", "openid", "offline_access", "eventcatalog.read", "shoppingbasket.read")
		form := []string{"grant_type", "authorization_code", "code", code, "redirect_uri", grantstest.RedirectURI, "code_verifier", grantstest.Verifier}
		tr.Send("a code for all", "", path, "web", form...)
		tr.Send("the code again", "", path, "web", form...)
		tr.Send("a public client", "", path, "mobile", "grant_type", "authorization_code", "code", i.Code(t, "mobile", "eventcatalog.read"),
			"redirect_uri", grantstest.RedirectURI, "code_verifier", grantstest.Verifier, "resource", "eventcatalog")
		tr.Compare(t, "testdata/code.golden")
	})
	t.Run("refresh", func(t *testing.T) {
		tr := i.Transcript()
		a := answered(t, redeem(i, "web", i.Code(t, "web", "openid", "offline_access", "eventcatalog.read")))
		form := []string{"grant_type", "refresh_token", "refresh_token", a.RefreshToken}
		tr.Send("a refresh", "", path, "web", form...)
		tr.Send("again within the grace", "", path, "web", form...)
		i.Clock.Move(10 * time.Second)
		tr.Send("again after it", "", path, "web", form...)
		tr.Compare(t, "testdata/refresh.golden")
	})
	t.Run("exchange", func(t *testing.T) {
		tr := i.Transcript()
		subject, a := received(t, i)
		form := func(subject, audience string, more ...string) []string {
			return append([]string{"grant_type", oauth.GrantTokenExchange, "subject_token", subject, "subject_token_type", oauth.TokenTypeAccessToken, "audience", audience}, more...)
		}
		var first grants.Answer
		w := tr.Send("what the basket received, for the discount", "", path, "shoppingbasket", form(subject, "discount")...)
		if err := json.Unmarshal(w.Body.Bytes(), &first); err != nil {
			t.Fatal(err)
		}
		tr.Send("one scope, as a jwt", "", path, "shoppingbasket", form(subject, "discount", "scope", "discount.read", "requested_token_type", oauth.TokenTypeJWT)...)
		tr.Send("further", "", path, "discount", form(first.AccessToken, "vouchers")...)
		tr.Send("by whom it is not for", "", path, "discount", form(subject, "vouchers")...)
		tr.Send("the reference", "", path, "shoppingbasket", form(a.AccessToken, "discount")...)
		tr.Send("an audience without a rule", "", path, "shoppingbasket", form(subject, "vouchers")...)
		tr.Send("a resource", "", path, "shoppingbasket", form(subject, "discount", "resource", "https://discount.example.com")...)
		tr.Send("a scope without a rule", "", path, "shoppingbasket", form(subject, "discount", "scope", "shoppingbasket.read")...)
		tr.Send("an actor token", "", path, "shoppingbasket", form(subject, "discount", "actor_token", "x", "actor_token_type", oauth.TokenTypeJWT)...)
		tr.Compare(t, "testdata/exchange.golden")
	})
	t.Run("client credentials", func(t *testing.T) {
		tr := i.Transcript()
		tr.Send("all scopes", "", path, "batch", "grant_type", "client_credentials")
		tr.Send("one scope", "", path, "batch", "grant_type", "client_credentials", "scope", "eventcatalog.read")
		tr.Send("a wrong client", "", path, "nobody", "grant_type", "client_credentials")
		tr.Send("a grant type we do not have", "", path, "batch", "grant_type", "password")
		tr.Send("a scope it has not", "", path, "batch", "grant_type", "client_credentials", "scope", "eventcatalog.write")
		tr.Compare(t, "testdata/client-credentials.golden")
	})
}
