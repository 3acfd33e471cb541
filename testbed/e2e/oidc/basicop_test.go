package oidc

import (
	"slices"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// provider is the issuer under test, with a clock that stands still unless a module moves it.
type provider struct {
	*rptest.World
	keys *oidc.RemoteKeySet
}

// module is one of the suite's, as an assertion. Where the suite waits, ours moves the clock.
type module struct {
	name string
	test func(t *testing.T, p *provider)
}

// TestBasicOP runs the modules of the OpenID Foundation's plan oidcc-basic-certification-test-plan, all 38 of them, by
// the names that the suite has for them. A feature that the suite lets a provider leave out, and that ours leaves out, is
// asserted to be refused as the standard says.
func TestBasicOP(t *testing.T) {
	w := rptest.New(t, rptest.Options{Clock: rptest.NewClock()})
	p := &provider{w, oidc.NewRemoteKeySet(oidc.ClientContext(t.Context(), w.HTTP), w.URL+"/oauth/jwks")}
	modules := slices.Concat(responses(), userinfos(), scopes(), requests(), prompts(), unsupported(), codes())
	if len(modules) != 38 {
		t.Fatalf("there are %d modules in the plan, not %d", 38, len(modules))
	}
	seen := map[string]bool{}
	for _, m := range modules {
		if seen[m.name] {
			t.Errorf("%s is there twice", m.name)
		}
		seen[m.name] = true
		t.Run(m.name, func(t *testing.T) { m.test(t, p) })
	}
}

// idToken is what a relying party reads.
type idToken struct {
	*oidc.IDToken
	AuthTime int64    `json:"auth_time"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	Azp      string   `json:"azp"`
	members  map[string]any
}

// verify checks an ID token by the rules of Core 3.1.3.7, at the clock's time.
func (p *provider) verify(t *testing.T, app rptest.App, tokens rptest.Tokens) idToken {
	t.Helper()
	verifier := oidc.NewVerifier(p.URL, p.keys, &oidc.Config{ClientID: app.ID, SupportedSigningAlgs: []string{oidc.ES256}, Now: p.Clock.Now})
	checked, err := verifier.Verify(t.Context(), tokens.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := checked.VerifyAccessToken(tokens.Access); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	id := idToken{IDToken: checked}
	if err := checked.Claims(&id.members); err != nil {
		t.Fatal(err)
	}
	if err := checked.Claims(&id); err != nil {
		t.Fatal(err)
	}
	if id.Subject == "" || len(id.Subject) > 255 || len(id.Audience) != 1 || id.Azp != "" || !id.IssuedAt.Equal(p.Clock.Now()) {
		t.Errorf("sub %q, aud %v, azp %q, iat %v", id.Subject, id.Audience, id.Azp, id.IssuedAt)
	}
	return id
}

// logIn is a whole login of alice at an app, in this browser, with a verified ID token.
func (p *provider) logIn(t *testing.T, b *browser.Browser, a rptest.Asking) (rptest.Tokens, idToken) {
	t.Helper()
	tokens := p.TokensFor(t, b, "alice", a)
	return tokens, p.verify(t, a.App, tokens)
}

// silent goes through without a page, or the test ends.
func (p *provider) silent(t *testing.T, b *browser.Browser, a rptest.Asking) idToken {
	t.Helper()
	code := p.Answer(t, p.Open(t, b, a), a).Get("code")
	return p.verify(t, a.App, rptest.TokensOf(t, p.Post(t, "/oauth/token", a.App, a.Redemption(code))))
}

// told opens a request that is answered with an error by redirect, and gives its code.
func (p *provider) told(t *testing.T, b *browser.Browser, a rptest.Asking) string {
	t.Helper()
	answer := p.Answer(t, p.Open(t, b, a), a)
	if answer.Get("code") != "" {
		t.Error("an error came with a code")
	}
	return answer.Get("error")
}

// asksPassword tells whether a page is the sign-in page.
func asksPassword(page *browser.Page) bool { return page.Form != nil && page.Form.Fields["password"] }
