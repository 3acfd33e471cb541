package oidc

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// zitadelApp is a web application made of zitadel/oidc's own handlers: /login begins, /callback ends, and what it got is
// kept for the test.
type zitadelApp struct {
	party  rp.RelyingParty
	url    string
	nonce  string
	tokens *oidc.Tokens[*oidc.IDTokenClaims]
	info   *oidc.UserInfo
}

func newZitadelApp(t *testing.T, w *rptest.World, client rptest.App, options ...rp.Option) *zitadelApp {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	app := &zitadelApp{url: server.URL, nonce: rand.Text()}
	cookies := httphelper.NewCookieHandler([]byte(rand.Text() + rand.Text())[:32], []byte(rand.Text() + rand.Text())[:32])
	var err error
	app.party, err = rp.NewRelyingPartyOIDC(t.Context(), w.URL, client.ID, client.Secret, app.url+"/callback",
		[]string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeOfflineAccess, "catalogue.read"},
		append([]rp.Option{rp.WithPKCEFromDiscovery(cookies), rp.WithSigningAlgsFromDiscovery(), rp.WithHTTPClient(w.HTTP),
			rp.WithVerifierOpts(rp.WithNonce(func(context.Context) string { return app.nonce }))}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/login", rp.AuthURLHandler(rand.Text, app.party, rp.WithURLParam("nonce", app.nonce)))
	mux.Handle("/callback", rp.CodeExchangeHandler(rp.UserinfoCallback(
		func(rw http.ResponseWriter, _ *http.Request, tokens *oidc.Tokens[*oidc.IDTokenClaims], _ string, _ rp.RelyingParty, info *oidc.UserInfo) {
			app.tokens, app.info = tokens, info
			rw.WriteHeader(http.StatusOK)
		}), app.party))
	return app
}

func (a *zitadelApp) logIn(t *testing.T, person *browser.Browser) {
	t.Helper()
	page, err := person.LogIn(t.Context(), a.url+"/login", "alice", rptest.Password("alice"))
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != http.StatusOK || a.tokens == nil {
		t.Fatalf("the login ended on %s with %d:\n%s", page.URL.Path, page.Status, page.Body)
	}
}

func TestZitadelRPWalksTheWholeWay(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	for name, c := range map[string]struct {
		client  rptest.App
		options []rp.Option
	}{
		"secret in the header": {rptest.Web(), []rp.Option{rp.WithAuthStyle(oauth2.AuthStyleInHeader)}},
		"secret in the form":   {rptest.Web(), []rp.Option{rp.WithAuthStyle(oauth2.AuthStyleInParams)}},
		"its defaults":         {rptest.Web(), nil},
		"public":               {rptest.Native(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			app := newZitadelApp(t, w, c.client, c.options...)
			if !app.party.IsPKCE() {
				t.Error("the library did not find PKCE in discovery")
			}
			person, err := browser.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			app.logIn(t, person)
			if app.tokens.IDTokenClaims.Nonce != app.nonce || app.info.Name != "Alice Arendt" || app.info.Subject != app.tokens.IDTokenClaims.Subject {
				t.Errorf("nonce %q, userinfo %+v", app.tokens.IDTokenClaims.Nonce, app.info)
			}
			app.nonce = "" // what a refreshed ID token has (Core, 12.2)
			refreshed, err := rp.RefreshTokens[*oidc.IDTokenClaims](t.Context(), app.party, app.tokens.RefreshToken, "", "")
			if err != nil {
				t.Fatal(err)
			}
			if refreshed.RefreshToken == app.tokens.RefreshToken || refreshed.IDTokenClaims.Subject != app.info.Subject {
				t.Error("the refresh did not rotate, or is another user's")
			}
			if err := rp.RevokeToken(t.Context(), app.party, refreshed.RefreshToken, "refresh_token"); err != nil {
				t.Fatal(err)
			}
			if w.Active(t, refreshed.AccessToken) || w.Active(t, app.tokens.AccessToken) {
				t.Error("an access token survives the revocation of its family")
			}
		})
	}
}

// TestZitadelRPGuardsItsState shows that the library's own protection works with our answers: a callback that another
// browser began is refused by it.
func TestZitadelRPGuardsItsState(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	app := newZitadelApp(t, w, rptest.Web())
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	begun, err := client.Get(app.url + "/login")
	if err != nil {
		t.Fatal(err)
	}
	if err := begun.Body.Close(); err != nil {
		t.Fatal(err)
	}
	attacker, err := browser.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := attacker.LogIn(t.Context(), begun.Header.Get("Location"), "bob", rptest.Password("bob"))
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != http.StatusUnauthorized || app.tokens != nil {
		t.Errorf("a login that another browser began: %d", page.Status)
	}
}

func TestZitadelRPLogsOut(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	app := newZitadelApp(t, w, rptest.Web())
	person, err := browser.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	app.logIn(t, person)

	// EndSession posts from the app's own server, where no browser and no cookie is. That may end nobody's login (whoever
	// gets hold of an ID token could); it is answered with the page that a browser would see.
	location, err := rp.EndSession(t.Context(), app.party, app.tokens.IDToken, "http://127.0.0.1/goodbye", "bye", "", nil)
	if err != nil || location != nil {
		t.Errorf("EndSession without a browser: %v, %v", location, err)
	}
	app.tokens = nil
	app.logIn(t, person) // the person is still signed in: were there a sign-in page, LogIn would fill it in

	// The app that sends the browser there, as the standard says, signs the person out.
	stop, goodbye := listen(t)
	defer stop()
	page, err := person.Open(t.Context(), app.party.GetEndSessionEndpoint()+"?"+rptest.Form(
		"id_token_hint", app.tokens.IDToken, "post_logout_redirect_uri", goodbye, "state", "bye").Encode())
	if err != nil {
		t.Fatal(err)
	}
	if page.URL.String() != goodbye+"?state=bye" {
		t.Errorf("after the logout the browser is at %s", page.URL)
	}
	if page := w.Open(t, person, rptest.Web().Ask("openid")); page.Form == nil || !page.Form.Fields["password"] {
		t.Error("after the logout the person is still signed in")
	}
	if !w.Active(t, app.tokens.AccessToken) {
		t.Error("a grant with offline_access ended with the login")
	}
}

// listen serves an empty page at a loopback address of its own.
func listen(t *testing.T) (stop func(), address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.Serve(l) }() // ends with stop
	return func() { _ = server.Close() }, "http://" + l.Addr().String() + "/goodbye"
}

func TestZitadelRSIntrospects(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	gateway := rptest.Gateway()
	server, err := rs.NewResourceServerClientCredentials(t.Context(), w.URL, gateway.ID, gateway.Secret, rs.WithClient(w.HTTP))
	if err != nil {
		t.Fatal(err)
	}
	tokens := w.TokensFor(t, w.Browser(t), "alice", rptest.Web().Ask("openid catalogue.read"))
	found := introspected(t, t.Context(), server, tokens.Access)
	if !found.Active || found.ClientID != "web" || strings.Join(found.Scope, " ") != "catalogue.read" ||
		len(found.Audience) != 1 || found.Audience[0] != "catalogue" || found.Issuer != w.URL {
		t.Errorf("%+v", found)
	}
	w.Post(t, "/oauth/revoke", rptest.Web(), rptest.Form("token", tokens.Access))
	if introspected(t, t.Context(), server, tokens.Access).Active {
		t.Error("a revoked token is active")
	}
}

func introspected(t *testing.T, ctx context.Context, server rs.ResourceServer, token string) *oidc.IntrospectionResponse {
	t.Helper()
	found, err := rs.Introspect[*oidc.IntrospectionResponse](ctx, server, token)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
