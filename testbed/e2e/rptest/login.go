package rptest

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/phantomgate/phantomgate/testbed/browser"
)

// Asking is an authorization request that an app has made, with what it keeps for the answer.
type Asking struct {
	App      App
	Params   url.Values
	Verifier string // PKCE
}

// Ask makes a request for these scopes; more parameters come in pairs, and "" takes one out.
func (a App) Ask(scope string, more ...string) Asking {
	verifier := oauth2.GenerateVerifier()
	params := Form("response_type", "code", "client_id", a.ID, "redirect_uri", a.RedirectURI, "scope", scope,
		"state", "state-of-"+a.ID, "code_challenge", oauth2.S256ChallengeFromVerifier(verifier), "code_challenge_method", "S256")
	return Asking{App: a, Params: With(params, more...), Verifier: verifier}
}

// Address is where the app sends the browser.
func (w *World) Address(a Asking) string { return w.URL + "/oauth/authorize?" + a.Params.Encode() }

// LogIn takes a person through whatever pages the issuer shows, and gives what came back to the app.
func (w *World) LogIn(t testing.TB, b *browser.Browser, login string, a Asking) url.Values {
	t.Helper()
	page, err := b.LogIn(t.Context(), w.Address(a), login, Password(login))
	if err != nil {
		t.Fatal(err)
	}
	return w.Answer(t, page, a)
}

// Open goes to the request's address and stays at the page that it leads to.
func (w *World) Open(t testing.TB, b *browser.Browser, a Asking) *browser.Page {
	t.Helper()
	page, err := b.Open(t.Context(), w.Address(a))
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// Submit fills in the page's form, in pairs, and sends it.
func Submit(t testing.TB, b *browser.Browser, page *browser.Page, pairs ...string) *browser.Page {
	t.Helper()
	values := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	next, err := b.Submit(t.Context(), page, values)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// Answer reads what the issuer told the app through the browser, and wants `iss` and the state in it.
func (w *World) Answer(t testing.TB, page *browser.Page, a Asking) url.Values {
	t.Helper()
	if !AtApp(page, a) {
		t.Fatalf("the browser is not back at %s but on %s, with status %d:\n%s", a.App.ID, page.URL.Path, page.Status, page.Body)
	}
	answer := page.URL.Query()
	if answer.Get("iss") != w.URL || answer.Get("state") != a.Params.Get("state") || page.URL.Fragment != "" {
		t.Errorf("the answer has iss %q and state %q", answer.Get("iss"), answer.Get("state"))
	}
	return answer
}

// AtApp tells whether the browser is back at the app.
func AtApp(page *browser.Page, a Asking) bool {
	back := *page.URL
	back.RawQuery, back.Fragment = "", ""
	redirect, _, _ := strings.Cut(a.Params.Get("redirect_uri"), "?")
	return back.String() == redirect
}

// Redemption is the token request for a code.
func (a Asking) Redemption(code string) url.Values {
	return Form("grant_type", "authorization_code", "code", code, "redirect_uri", a.Params.Get("redirect_uri"), "code_verifier", a.Verifier)
}

// Tokens is what an app holds after a login.
type Tokens struct{ Access, Refresh, ID string }

// TokensOf reads a successful answer of the token endpoint.
func TokensOf(t testing.TB, r Reply) Tokens {
	t.Helper()
	if r.Status != http.StatusOK || r.Text("token_type") != "Bearer" || !strings.HasPrefix(r.Text("access_token"), "pgat_") {
		t.Fatalf("no tokens: %d %s", r.Status, r.Body)
	}
	return Tokens{r.Text("access_token"), r.Text("refresh_token"), r.Text("id_token")}
}

// TokensFor is the whole walk: a person logs in, and the app redeems the code.
func (w *World) TokensFor(t testing.TB, b *browser.Browser, login string, a Asking) Tokens {
	t.Helper()
	answer := w.LogIn(t, b, login, a)
	if answer.Get("code") == "" {
		t.Fatalf("no code: %v", answer)
	}
	return TokensOf(t, w.Post(t, "/oauth/token", a.App, a.Redemption(answer.Get("code"))))
}

// Refresh presents a refresh reference.
func (w *World) Refresh(t testing.TB, app App, reference string) Reply {
	t.Helper()
	return w.Post(t, "/oauth/token", app, Form("grant_type", "refresh_token", "refresh_token", reference))
}

// Machine gives a token by client credentials.
func (w *World) Machine(t testing.TB, app App) string {
	t.Helper()
	return TokensOf(t, w.Post(t, "/oauth/token", app, Form("grant_type", "client_credentials"))).Access
}

// Userinfo asks userinfo by GET.
func (w *World) Userinfo(t testing.TB, access string) Reply {
	t.Helper()
	return w.Get(t, "/oauth/userinfo", "Authorization", "Bearer "+access)
}

// Active asks the issuer, as the gateway, whether a token is active.
func (w *World) Active(t testing.TB, access string) bool {
	t.Helper()
	reply := w.Post(t, "/oauth/introspect", Gateway(), Form("token", access))
	if reply.Status != http.StatusOK {
		t.Fatalf("introspection: %d %s", reply.Status, reply.Body)
	}
	return reply.Members["active"] == true
}
