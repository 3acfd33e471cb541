package attack

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// TestPKCECannotBeLeftOut asks without PKCE, or with less of it (RFC 9700, 2.1.1 and 4.8).
func TestPKCECannotBeLeftOut(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	w.LogIn(t, b, "alice", rptest.Web().Ask("openid"))
	verifier := oauth2.GenerateVerifier()
	for name, more := range map[string][]string{
		"none at all":             {"code_challenge", "", "code_challenge_method", ""},
		"plain":                   {"code_challenge", verifier, "code_challenge_method", "plain"},
		"plain, by leaving out":   {"code_challenge", verifier, "code_challenge_method", ""},
		"another case":            {"code_challenge_method", "s256"},
		"an unknown method":       {"code_challenge_method", "S512"},
		"only the method":         {"code_challenge", ""},
		"too short":               {"code_challenge", "abc"},
		"padded":                  {"code_challenge", oauth2.S256ChallengeFromVerifier(verifier) + "="},
		"not base64url":           {"code_challenge", strings.Repeat("+", 43)},
		"no method, and nonce":    {"code_challenge", "", "code_challenge_method", "", "nonce", "n"},
		"a verifier in its place": {"code_challenge", "", "code_verifier", verifier},
	} {
		a := rptest.Web().Ask("openid", more...)
		if answer := w.Answer(t, w.Open(t, b, a), a); answer.Get("error") != "invalid_request" || answer.Get("code") != "" {
			t.Errorf("%s: %v", name, answer)
		}
	}
}

// TestAStolenCode is a code in the wrong hands, with everything that its thief may know. None of it redeems the code, and
// none of it takes the code away from whom it belongs to.
func TestAStolenCode(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	a := rptest.Web().Ask("openid")
	code := w.LogIn(t, b, "alice", a).Get("code")
	good := a.Redemption(code)
	attacker := rptest.Web().Ask("openid") // a request of the attacker's own, at the same app
	for name, c := range map[string]struct {
		app  rptest.App
		form url.Values
		code string
	}{
		"no verifier":                  {rptest.Web(), rptest.With(good, "code_verifier", ""), "invalid_request"},
		"the attacker's verifier":      {rptest.Web(), rptest.With(good, "code_verifier", attacker.Verifier), "invalid_grant"},
		"the challenge as verifier":    {rptest.Web(), rptest.With(good, "code_verifier", a.Params.Get("code_challenge")), "invalid_grant"},
		"a verifier in other case":     {rptest.Web(), rptest.With(good, "code_verifier", swapCase(a.Verifier)), "invalid_grant"},
		"a longer verifier":            {rptest.Web(), rptest.With(good, "code_verifier", a.Verifier+"x"), "invalid_grant"},
		"a verifier without end":       {rptest.Web(), rptest.With(good, "code_verifier", strings.Repeat("x", 4096)), "invalid_grant"},
		"another client":               {rptest.Other(), good, "invalid_grant"},
		"another client, its own URI":  {rptest.Other(), rptest.With(good, "redirect_uri", "https://other.example/callback"), "invalid_grant"},
		"a public client":              {rptest.Native(), good, "invalid_grant"},
		"another redirect URI of ours": {rptest.Web(), rptest.With(good, "redirect_uri", "https://app.example/callback?kept=1"), "invalid_grant"},
		"no redirect URI":              {rptest.Web(), rptest.With(good, "redirect_uri", ""), "invalid_request"},
		"as a refresh token":           {rptest.Web(), rptest.Form("grant_type", "refresh_token", "refresh_token", code), "invalid_grant"},
		"in lower case":                {rptest.Web(), rptest.With(good, "code", strings.ToLower(code)), "invalid_grant"},
		"with a space":                 {rptest.Web(), rptest.With(good, "code", code+" "), "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			w.Post(t, "/oauth/token", c.app, c.form).Refused(t, http.StatusBadRequest, c.code)
		})
	}
	w.Post(t, "/oauth/token", rptest.App{}, rptest.With(good, "client_id", "web")).Refused(t, http.StatusUnauthorized, "invalid_client")
	w.Post(t, "/oauth/token", rptest.App{ID: "web", Secret: "wrong"}, good).Refused(t, http.StatusUnauthorized, "invalid_client")
	w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", code)) // a code is no token
	tokens := rptest.TokensOf(t, w.Post(t, "/oauth/token", rptest.Web(), good))
	if !w.Active(t, rptest.TokensOf(t, w.Post(t, "/oauth/token", rptest.Job(), rptest.Form("grant_type", "client_credentials"))).Access) {
		t.Error("the control: an active token")
	}
	// Another client that shows the redeemed code must not be able to end the login by that.
	w.Post(t, "/oauth/token", rptest.Other(), good).Refused(t, http.StatusBadRequest, "invalid_grant")
	if w.Userinfo(t, tokens.Access).Status != http.StatusOK {
		t.Error("another client ended a login with a code that it saw")
	}
}

func swapCase(s string) string {
	if upper := strings.ToUpper(s); upper != s {
		return upper
	}
	return strings.ToLower(s)
}

// TestEveryAnswerNamesTheIssuer is against mix-up (RFC 9207): answers with a code and answers with an error alike.
func TestEveryAnswerNamesTheIssuer(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	w.LogIn(t, b, "alice", rptest.Web().Ask("openid")) // LogIn and Answer look for iss
	for _, more := range [][]string{{"scope", "none-such"}, {"response_type", "token"}, {"response_type", "code id_token"}, {"response_mode", "form_post"},
		{"prompt", "none", "scope", "openid catalogue.write"}, {"claims", "{", "scope", "openid"}, {"code_challenge", "x"}} {
		a := rptest.Web().Ask("openid", more...)
		page := w.Open(t, b, a)
		if page.URL.Host == "app.example" {
			w.Answer(t, page, a)
		}
	}
	if w.Get(t, "/.well-known/openid-configuration").Members["authorization_response_iss_parameter_supported"] != true {
		t.Error("discovery does not say that answers name the issuer")
	}
}

// TestNoImplicitAndNoPasswords wants the grants that RFC 9700, 2.1.2 and 2.4 forbid to be unknown here.
func TestNoImplicitAndNoPasswords(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	w.LogIn(t, b, "alice", rptest.Web().Ask("openid"))
	for _, kind := range []string{"token", "id_token", "id_token token", "code token", "code id_token", "none", "CODE", "code code"} {
		a := rptest.Web().Ask("openid", "response_type", kind)
		if got := w.Answer(t, w.Open(t, b, a), a); got.Get("error") != "unsupported_response_type" || got.Get("access_token") != "" || got.Get("id_token") != "" {
			t.Errorf("response_type %q: %v", kind, got)
		}
	}
	for _, kind := range []string{"password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:device_code", "Authorization_Code", "client_credentials "} {
		form := rptest.Form("grant_type", kind, "username", "alice", "password", rptest.Password("alice"))
		w.Post(t, "/oauth/token", rptest.Web(), form).Refused(t, http.StatusBadRequest, "unsupported_grant_type")
	}
	w.Post(t, "/oauth/token", rptest.Web(), rptest.Form("grant_type", "client_credentials")).Refused(t, http.StatusBadRequest, "unauthorized_client")
	w.Post(t, "/oauth/token", rptest.Job(), rptest.Form("grant_type", "refresh_token", "refresh_token", "x")).Refused(t, http.StatusBadRequest, "unauthorized_client")
}

// TestScopesDoNotGrow asks for more than was granted at every step.
func TestScopesDoNotGrow(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	a := rptest.Web().Ask("openid offline_access catalogue.read")
	code := w.LogIn(t, b, "alice", a).Get("code")
	reply := w.Post(t, "/oauth/token", a.App, rptest.With(a.Redemption(code), "scope", "openid catalogue.read catalogue.write admin"))
	tokens := rptest.TokensOf(t, reply)
	if reply.Text("scope") != "openid offline_access catalogue.read" {
		t.Errorf("a code gave the scope %q", reply.Text("scope"))
	}
	for _, scope := range []string{"catalogue.write", "openid catalogue.write", "admin", "basket.read", "profile"} {
		w.Post(t, "/oauth/token", a.App, rptest.Form("grant_type", "refresh_token", "refresh_token", tokens.Refresh, "scope", scope)).
			Refused(t, http.StatusBadRequest, "invalid_scope")
	}
	for _, scope := range []string{"admin", "openid", "offline_access", "basket.read"} {
		w.Post(t, "/oauth/token", rptest.Job(), rptest.Form("grant_type", "client_credentials", "scope", scope)).Refused(t, http.StatusBadRequest, "invalid_scope")
	}
	// Fewer scopes at a refresh do not cost the family the rest (RFC 6749, 6).
	narrow := w.Post(t, "/oauth/token", a.App, rptest.Form("grant_type", "refresh_token", "refresh_token", tokens.Refresh, "scope", "catalogue.read"))
	if narrow.Text("scope") != "catalogue.read" || narrow.Text("id_token") != "" {
		t.Errorf("%v", narrow.Text("scope"))
	}
	if wide := w.Refresh(t, a.App, narrow.Text("refresh_token")); wide.Text("scope") != "openid offline_access catalogue.read" {
		t.Errorf("after a narrow refresh: %q", wide.Text("scope"))
	}
}
