package oidc

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

func responses() []module {
	return []module{
		{"oidcc-server", func(t *testing.T, p *provider) {
			a := rptest.Web().Ask("openid", "nonce", "n1")
			reply := p.Post(t, "/oauth/token", a.App, a.Redemption(p.LogIn(t, p.Browser(t), "alice", a).Get("code")))
			tokens := rptest.TokensOf(t, reply)
			if id := p.verify(t, a.App, tokens); id.Nonce != "n1" || p.Userinfo(t, tokens.Access).Text("sub") != id.Subject {
				t.Errorf("nonce %q, sub %q", id.Nonce, id.Subject)
			}
			if reply.Header.Get("Cache-Control") != "no-store" || reply.Header.Get("Pragma") != "no-cache" || reply.Header.Get("Content-Type") != "application/json" {
				t.Errorf("header %v", reply.Header)
			}
			if reply.Members["expires_in"] != float64(900) || reply.Text("scope") != "openid" || tokens.Refresh != "" {
				t.Errorf("answer %v", reply.Members)
			}
		}},
		{"oidcc-response-type-missing", func(t *testing.T, p *provider) {
			if got := p.told(t, p.Browser(t), rptest.Web().Ask("openid", "response_type", "")); got != "invalid_request" {
				t.Errorf("error %q", got)
			}
		}},
		{"oidcc-idtoken-signature", func(t *testing.T, p *provider) {
			tokens, _ := p.logIn(t, p.Browser(t), rptest.Web().Ask("openid"))
			head := header(t, tokens.ID)
			if head["alg"] != "ES256" || head["kid"] == nil || !slices.Contains(p.kids(t), head["kid"]) {
				t.Errorf("header %v, published %v", head, p.kids(t))
			}
			for member := range head {
				if member == "jku" || member == "jwk" || member == "x5u" || member == "x5c" {
					t.Errorf("the header tells by %s where to take the key from", member)
				}
			}
		}},
		{"oidcc-idtoken-unsigned", func(t *testing.T, p *provider) { // is not offered, so it is never taken either
			algorithms, _ := p.Get(t, "/.well-known/openid-configuration").Members["id_token_signing_alg_values_supported"].([]any)
			if len(algorithms) != 1 || algorithms[0] != "ES256" {
				t.Errorf("algorithms %v", algorithms)
			}
			b := p.Browser(t)
			tokens, _ := p.logIn(t, b, rptest.Web().Ask("openid"))
			unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + strings.Split(tokens.ID, ".")[1] + "."
			if got := p.told(t, b, rptest.Web().Ask("openid", "prompt", "none", "id_token_hint", unsigned)); got != "invalid_request" {
				t.Errorf("an unsigned hint: %q", got)
			}
		}},
		{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", func(t *testing.T, p *provider) {
			_, id := p.logIn(t, p.Browser(t), rptest.Web().Ask("openid"))
			if _, there := id.members["nonce"]; there {
				t.Error("the ID token has a nonce that nobody sent")
			}
		}},
	}
}

// header reads a JWT's header.
func header(t *testing.T, token string) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var head map[string]any
	if err := json.Unmarshal(text, &head); err != nil {
		t.Fatal(err)
	}
	return head
}

// kids are the ids of the published keys, none of which may have a private half.
func (p *provider) kids(t *testing.T) []any {
	t.Helper()
	reply := p.Get(t, "/oauth/jwks")
	keys, _ := reply.Members["keys"].([]any)
	var kids []any
	for _, each := range keys {
		key, _ := each.(map[string]any)
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, there := key[private]; there {
				t.Fatalf("the JWKS publishes %s", private)
			}
		}
		if key["use"] != "sig" {
			t.Errorf("use %v", key["use"])
		}
		kids = append(kids, key["kid"])
	}
	return kids
}

func userinfos() []module {
	return []module{
		{"oidcc-userinfo-get", userinfoModule(func(t *testing.T, p *provider, access string) rptest.Reply { return p.Userinfo(t, access) })},
		{"oidcc-userinfo-post-header", userinfoModule(func(t *testing.T, p *provider, access string) rptest.Reply {
			return p.Do(t, p.Request(t, http.MethodPost, "/oauth/userinfo", "", "Authorization", "Bearer "+access))
		})},
		{"oidcc-userinfo-post-body", userinfoModule(func(t *testing.T, p *provider, access string) rptest.Reply {
			return p.Post(t, "/oauth/userinfo", rptest.App{}, rptest.Form("access_token", access))
		})},
	}
}

func userinfoModule(ask func(t *testing.T, p *provider, access string) rptest.Reply) func(t *testing.T, p *provider) {
	return func(t *testing.T, p *provider) {
		tokens, id := p.logIn(t, p.Browser(t), rptest.Web().Ask("openid"))
		reply := ask(t, p, tokens.Access)
		if reply.Status != http.StatusOK || reply.Text("sub") != id.Subject || len(reply.Members) != 1 || reply.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %s", reply.Status, reply.Body)
		}
		other := "x" // than the last letter is, which may be this one
		if strings.HasSuffix(tokens.Access, other) {
			other = "y"
		}
		refused := ask(t, p, tokens.Access[:53]+other)
		refused.Refused(t, http.StatusUnauthorized, "invalid_token")
		if challenge := refused.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `Bearer error="invalid_token"`) {
			t.Errorf("challenge %q", challenge)
		}
	}
}

func codes() []module {
	return []module{
		{"oidcc-codereuse", func(t *testing.T, p *provider) { reuse(t, p, 0) }},
		{"oidcc-codereuse-30seconds", func(t *testing.T, p *provider) { reuse(t, p, 30) }},
		{"oidcc-server-client-secret-post", func(t *testing.T, p *provider) {
			a := rptest.Web().Ask("openid")
			form := rptest.With(a.Redemption(p.LogIn(t, p.Browser(t), "alice", a).Get("code")), "client_id", a.App.ID, "client_secret", a.App.Secret)
			p.verify(t, a.App, rptest.TokensOf(t, p.Post(t, "/oauth/token", rptest.App{}, form)))
		}},
		{"oidcc-refresh-token", refreshModule},
		{"oidcc-ensure-request-with-valid-pkce-succeeds", func(t *testing.T, p *provider) {
			for _, app := range []rptest.App{rptest.Web(), rptest.Native()} {
				p.logIn(t, p.Browser(t), app.Ask("openid")) // Ask sends a challenge, the redemption its verifier
			}
		}},
	}
}

func refreshModule(t *testing.T, p *provider) {
	a := rptest.Web().Ask("openid offline_access catalogue.read", "nonce", "n2", "prompt", "consent")
	tokens, id := p.logIn(t, p.Browser(t), a)
	p.Clock.Advance(secondsOf(60))
	reply := p.Refresh(t, a.App, tokens.Refresh)
	fresh := rptest.TokensOf(t, reply)
	again := p.verify(t, a.App, fresh)
	if fresh.Access == tokens.Access || fresh.Refresh == tokens.Refresh || fresh.Refresh == "" {
		t.Error("the references are not new")
	}
	if again.Subject != id.Subject || again.AuthTime != id.AuthTime || again.members["nonce"] != nil || again.members["sid"] != id.members["sid"] {
		t.Errorf("the refreshed ID token: %v, the first: %v", again.members, id.members)
	}
	if reply.Header.Get("Cache-Control") != "no-store" || reply.Text("scope") != "openid offline_access catalogue.read" {
		t.Errorf("%v %v", reply.Header, reply.Members)
	}
	p.Refresh(t, rptest.Other(), fresh.Refresh).Refused(t, http.StatusBadRequest, "invalid_grant")
	if !p.Active(t, fresh.Access) {
		t.Error("another client's attempt ended the family")
	}
}

// reuse redeems a code a second time so many seconds later: it is refused, and ends what the first gave.
func reuse(t *testing.T, p *provider, seconds int) {
	t.Helper()
	a := rptest.Web().Ask("openid offline_access catalogue.read", "prompt", "consent")
	code := p.LogIn(t, p.Browser(t), "alice", a).Get("code")
	tokens := rptest.TokensOf(t, p.Post(t, "/oauth/token", a.App, a.Redemption(code)))
	if !p.Active(t, tokens.Access) || p.Userinfo(t, tokens.Access).Status != http.StatusOK {
		t.Fatal("the first redemption gave nothing that works")
	}
	p.Clock.Advance(secondsOf(seconds))
	p.Post(t, "/oauth/token", a.App, a.Redemption(code)).Refused(t, http.StatusBadRequest, "invalid_grant")
	if p.Active(t, tokens.Access) || p.Userinfo(t, tokens.Access).Status != http.StatusUnauthorized {
		t.Error("the access token of a code used twice lives on")
	}
	p.Refresh(t, a.App, tokens.Refresh).Refused(t, http.StatusBadRequest, "invalid_grant")
}

// consents is what LogIn does with a consent page; a module that looks at the page itself answers it by this.
func consents(t *testing.T, b *browser.Browser, page *browser.Page) *browser.Page {
	t.Helper()
	if page.Form == nil || !page.Form.Fields["decision"] {
		return page
	}
	return rptest.Submit(t, b, page, "decision", "allow")
}
