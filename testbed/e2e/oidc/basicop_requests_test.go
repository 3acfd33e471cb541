package oidc

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

func secondsOf(n int) time.Duration { return time.Duration(n) * time.Second }

// succeeds is a module whose parameters change nothing.
func succeeds(name, scope string, more ...string) module {
	return module{name, func(t *testing.T, p *provider) {
		p.logIn(t, p.Browser(t), rptest.Web().Ask(scope, more...))
	}}
}

func scopes() []module {
	return []module{
		{"oidcc-scope-profile", claimsModule("openid profile", "name", "Alice Arendt", "preferred_username", "alice")},
		{"oidcc-scope-email", claimsModule("openid email", "email", "alice@example.com", "email_verified", true)},
		{"oidcc-scope-address", notOffered("address")},
		{"oidcc-scope-phone", notOffered("phone")},
		{"oidcc-scope-all", claimsModule("openid profile email offline_access catalogue.read catalogue.write basket.read",
			"name", "Alice Arendt", "preferred_username", "alice", "email", "alice@example.com", "email_verified", true)},
		succeeds("oidcc-ensure-other-scope-order-succeeds", "email openid"),
		{"oidcc-claims-essential", func(t *testing.T, p *provider) { // a request that may be left aside (Core 5.5), as discovery says
			tokens, id := p.logIn(t, p.Browser(t), rptest.Web().Ask("openid", "claims", `{"userinfo":{"name":{"essential":true}},"id_token":{"acr":{"essential":true}}}`))
			if reply := p.Userinfo(t, tokens.Access); reply.Members["name"] != nil || id.ACR == "" {
				t.Errorf("userinfo %v, acr %q", reply.Members, id.ACR)
			}
			if supported := p.Get(t, "/.well-known/openid-configuration").Members["claims_parameter_supported"]; supported != false {
				t.Errorf("claims_parameter_supported is %v", supported)
			}
		}},
	}
}

// claimsModule wants these claims, in pairs, from userinfo beside sub, and none of them in the ID token.
func claimsModule(scope string, pairs ...any) func(t *testing.T, p *provider) {
	return func(t *testing.T, p *provider) {
		tokens, id := p.logIn(t, p.Browser(t), rptest.Web().Ask(scope))
		reply := p.Userinfo(t, tokens.Access)
		for i := 0; i+1 < len(pairs); i += 2 {
			name, _ := pairs[i].(string)
			if reply.Members[name] != pairs[i+1] {
				t.Errorf("%s is %v, want %v", name, reply.Members[name], pairs[i+1])
			}
			if id.members[name] != nil {
				t.Errorf("the ID token tells %s", name)
			}
		}
		if len(reply.Members) != 1+len(pairs)/2 || reply.Text("sub") != id.Subject {
			t.Errorf("userinfo says %v", reply.Members)
		}
	}
}

// notOffered is for a scope that discovery does not name. It is refused by name, not granted in silence.
func notOffered(scope string) func(t *testing.T, p *provider) {
	return func(t *testing.T, p *provider) {
		if strings.Contains(p.Get(t, "/.well-known/openid-configuration").Body, `"`+scope+`"`) {
			t.Errorf("discovery names %s", scope)
		}
		if got := p.told(t, p.Browser(t), rptest.Web().Ask("openid "+scope)); got != "invalid_scope" {
			t.Errorf("error %q", got)
		}
	}
}

func requests() []module {
	return []module{
		succeeds("oidcc-display-page", "openid", "display", "page"),
		succeeds("oidcc-display-popup", "openid", "display", "popup"),
		succeeds("oidcc-ensure-request-with-unknown-parameter-succeeds", "openid", "extra", "foobar"),
		succeeds("oidcc-ui-locales", "openid", "ui_locales", "se nb"),
		succeeds("oidcc-claims-locales", "openid", "claims_locales", "se"),
		{"oidcc-ensure-request-with-acr-values-succeeds", func(t *testing.T, p *provider) {
			_, id := p.logIn(t, p.Browser(t), rptest.Web().Ask("openid", "acr_values", "1 2"))
			if id.ACR != "urn:phantomgate:acr:password" || len(id.AMR) != 1 || id.AMR[0] != "pwd" {
				t.Errorf("the ID token says acr %q, amr %v of a login by password", id.ACR, id.AMR)
			}
		}},
		{"oidcc-login-hint", func(t *testing.T, p *provider) {
			a := rptest.Web().Ask("openid", "login_hint", `bob"><b>`)
			b := p.Browser(t)
			page := p.Open(t, b, a)
			if !asksPassword(page) || !strings.Contains(page.Body, `name="login" value="bob&#34;&gt;&lt;b&gt;"`) {
				t.Errorf("the hint is not in the page as it is:\n%s", page.Body)
			}
			// It is a hint: whoever signs in, does.
			back := consents(t, b, rptest.Submit(t, b, page, "login", "alice", "password", rptest.Password("alice")))
			if p.Answer(t, back, a).Get("code") == "" {
				t.Error("another user than the hinted one could not sign in")
			}
		}},
		{"oidcc-ensure-registered-redirect-uri", func(t *testing.T, p *provider) {
			before := len(p.Rest.Visits())
			page := p.Open(t, p.Browser(t), rptest.Web().Ask("openid", "redirect_uri", "https://app.example/elsewhere"))
			if page.Status != http.StatusBadRequest || !strings.HasPrefix(page.URL.String(), p.URL) || len(p.Rest.Visits()) != before {
				t.Errorf("status %d at %s", page.Status, page.URL)
			}
		}},
		{"oidcc-ensure-post-request-succeeds", func(t *testing.T, p *provider) {
			a, b := rptest.Web().Ask("openid"), p.Browser(t)
			page := consents(t, b, rptest.Submit(t, b, rptest.Submit(t, b, post(t, p, a)), "login", "alice", "password", rptest.Password("alice")))
			if p.Answer(t, page, a).Get("code") == "" {
				t.Error("no code")
			}
		}},
	}
}

// post is an app's page whose form posts the authorization request.
func post(t *testing.T, p *provider, a rptest.Asking) *browser.Page {
	t.Helper()
	at, err := url.Parse("https://app.example/")
	if err != nil {
		t.Fatal(err)
	}
	return &browser.Page{URL: at, Form: &browser.Form{Action: p.URL + "/oauth/authorize", Method: "post", Hidden: a.Params}}
}

func prompts() []module {
	return []module{
		{"oidcc-prompt-login", func(t *testing.T, p *provider) {
			b := p.Browser(t)
			_, first := p.logIn(t, b, rptest.Web().Ask("openid"))
			p.Clock.Advance(time.Second)
			if page := p.Open(t, b, rptest.Web().Ask("openid", "prompt", "login")); !asksPassword(page) {
				t.Fatalf("no new login was asked for: %d at %s", page.Status, page.URL.Path)
			}
			_, second := p.logIn(t, b, rptest.Web().Ask("openid", "prompt", "login"))
			if second.AuthTime <= first.AuthTime || second.Subject != first.Subject {
				t.Errorf("auth_time %d, then %d", first.AuthTime, second.AuthTime)
			}
		}},
		{"oidcc-prompt-none-not-logged-in", func(t *testing.T, p *provider) {
			if got := p.told(t, p.Browser(t), rptest.Web().Ask("openid", "prompt", "none")); got != "login_required" {
				t.Errorf("error %q", got)
			}
		}},
		{"oidcc-prompt-none-logged-in", func(t *testing.T, p *provider) {
			b := p.Browser(t)
			_, first := p.logIn(t, b, rptest.Web().Ask("openid"))
			second := p.silent(t, b, rptest.Web().Ask("openid", "prompt", "none", "nonce", "n3"))
			if second.Subject != first.Subject || second.AuthTime != first.AuthTime || second.Nonce != "n3" {
				t.Errorf("the silent login: %v, the first: %v", second.members, first.members)
			}
		}},
		{"oidcc-max-age-1", func(t *testing.T, p *provider) {
			b := p.Browser(t)
			_, first := p.logIn(t, b, rptest.Web().Ask("openid"))
			p.Clock.Advance(2 * time.Second)
			if got := p.told(t, b, rptest.Web().Ask("openid", "max_age", "1", "prompt", "none")); got != "login_required" {
				t.Errorf("a login of two seconds ago is taken for one of the last second: %q", got)
			}
			_, second := p.logIn(t, b, rptest.Web().Ask("openid", "max_age", "1"))
			if second.AuthTime <= first.AuthTime {
				t.Errorf("auth_time %d, then %d", first.AuthTime, second.AuthTime)
			}
		}},
		{"oidcc-max-age-10000", func(t *testing.T, p *provider) {
			b := p.Browser(t)
			_, first := p.logIn(t, b, rptest.Web().Ask("openid"))
			p.Clock.Advance(time.Second)
			second := p.silent(t, b, rptest.Web().Ask("openid", "max_age", "10000"))
			if second.AuthTime != first.AuthTime || first.AuthTime == 0 {
				t.Errorf("auth_time %d, then %d", first.AuthTime, second.AuthTime)
			}
		}},
		{"oidcc-id-token-hint", func(t *testing.T, p *provider) {
			b := p.Browser(t)
			tokens, first := p.logIn(t, b, rptest.Web().Ask("openid"))
			if got := p.silent(t, b, rptest.Web().Ask("openid", "prompt", "none", "id_token_hint", tokens.ID)); got.Subject != first.Subject {
				t.Errorf("sub %q, hinted %q", got.Subject, first.Subject)
			}
			bob := p.Browser(t)
			p.TokensFor(t, bob, "bob", rptest.Web().Ask("openid"))
			if got := p.told(t, bob, rptest.Web().Ask("openid", "prompt", "none", "id_token_hint", tokens.ID)); got != "login_required" {
				t.Errorf("bob for alice's hint: %q", got)
			}
		}},
	}
}

func unsupported() []module {
	const object = "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2FwcC5leGFtcGxlL2NhbGxiYWNrIn0."
	return []module{
		{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", func(t *testing.T, p *provider) {
			if got := p.told(t, p.Browser(t), rptest.Web().Ask("openid", "request_uri", "https://app.example/request.jwt")); got != "request_uri_not_supported" {
				t.Errorf("error %q", got)
			}
		}},
		{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", func(t *testing.T, p *provider) {
			if got := p.told(t, p.Browser(t), rptest.Web().Ask("openid", "request", object)); got != "request_not_supported" {
				t.Errorf("error %q", got)
			}
		}},
		{"oidcc-ensure-request-object-with-redirect-uri", func(t *testing.T, p *provider) { // what it says about redirect_uri counts for nothing
			page := p.Open(t, p.Browser(t), rptest.Web().Ask("openid", "request", object, "redirect_uri", "https://evil.example/callback"))
			if page.Status != http.StatusBadRequest || !strings.HasPrefix(page.URL.String(), p.URL) {
				t.Errorf("status %d at %s", page.Status, page.URL)
			}
		}},
	}
}
