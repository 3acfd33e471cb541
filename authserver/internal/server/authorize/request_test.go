package authorize_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestFaults: an error goes to the client by redirect, with state and iss, and never with a code.
func TestFaults(t *testing.T) {
	g := newRig(t)
	for name, c := range map[string]struct {
		changes []string
		want    string
	}{
		"no response_type":                {[]string{"response_type", "-"}, "invalid_request"},
		"implicit":                        {[]string{"response_type", "token"}, "unsupported_response_type"},
		"hybrid":                          {[]string{"response_type", "code id_token"}, "unsupported_response_type"},
		"fragment":                        {[]string{"response_mode", "fragment"}, "invalid_request"},
		"form_post":                       {[]string{"response_mode", "form_post"}, "invalid_request"},
		"request object":                  {[]string{"request", "e30.e30."}, "request_not_supported"},
		"request_uri":                     {[]string{"request_uri", "https://app.example/r"}, "request_uri_not_supported"},
		"registration":                    {[]string{"registration", "{}"}, "registration_not_supported"},
		"resource":                        {[]string{"resource", "https://api.example"}, "invalid_target"},
		"audience":                        {[]string{"audience", "eventcatalog"}, "invalid_target"},
		"no PKCE":                         {[]string{"code_challenge", "-", "code_challenge_method", "-"}, "invalid_request"},
		"no PKCE, but a method":           {[]string{"code_challenge", "-"}, "invalid_request"},
		"plain PKCE":                      {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"PKCE without a method":           {[]string{"code_challenge_method", "-"}, "invalid_request"},
		"a challenge too short":           {[]string{"code_challenge", "abc"}, "invalid_request"},
		"a challenge of no base64url":     {[]string{"code_challenge", strings.Repeat("+", 43)}, "invalid_request"},
		"no scope":                        {[]string{"scope", "-"}, "invalid_scope"},
		"an empty scope":                  {[]string{"scope", " "}, "invalid_scope"},
		"an unknown scope":                {[]string{"scope", "openid nonsense"}, "invalid_scope"},
		"a scope that is not registered":  {[]string{"scope", "openid email"}, "invalid_scope"},
		"a scope of no such characters":   {[]string{"scope", "openid \"x\""}, "invalid_scope"},
		"prompt unknown":                  {[]string{"prompt", "later"}, "invalid_request"},
		"prompt none with another":        {[]string{"prompt", "none login"}, "invalid_request"},
		"prompt none, nobody is there":    {[]string{"prompt", "none"}, "login_required"},
		"max_age negative":                {[]string{"max_age", "-1"}, "invalid_request"},
		"max_age no number":               {[]string{"max_age", "soon"}, "invalid_request"},
		"max_age beyond every clock":      {[]string{"max_age", "99999999999"}, "invalid_request"},
		"id_token_hint of somebody else":  {[]string{"id_token_hint", "a.b.c"}, "invalid_request"},
		"id_token_hint that is no JWT":    {[]string{"id_token_hint", "nonsense"}, "invalid_request"},
		"a scope that is another's audit": {[]string{"scope", "admin"}, "invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			b := g.browser()
			for _, got := range []answer{
				b.get("/oauth/authorize", good(c.changes...)),
				b.post("/oauth/authorize", good(c.changes...), "Sec-Fetch-Site", "cross-site"),
			} {
				back := got.redirected(t, partnerBack)
				if back.Get("error") != c.want || back.Get("state") != "st&te" || back.Get("iss") != issuer || back.Has("code") {
					t.Errorf("answers %v, not %s", back, c.want)
				}
			}
		})
	}
}

// TestNoRedirect: as long as it is not certain whose redirect URI it is, a person sees a page and nobody is redirected.
func TestNoRedirect(t *testing.T) {
	g := newRig(t)
	for name, query := range map[string]string{
		"no client":                    good("client_id", "-").Encode(),
		"unknown client":               good("client_id", "nobody").Encode(),
		"two clients":                  good().Encode() + "&client_id=partner",
		"no redirect_uri":              good("redirect_uri", "-").Encode(),
		"empty redirect_uri":           good("redirect_uri", "").Encode(),
		"two redirect_uris":            good().Encode() + "&redirect_uri=https%3A%2F%2Fapp.example%2Fcb",
		"another host":                 good("redirect_uri", "https://evil.example/cb").Encode(),
		"longer path":                  good("redirect_uri", partnerBack+"/../x").Encode(),
		"other letters":                good("redirect_uri", "https://APP.example/cb").Encode(),
		"more query":                   good("redirect_uri", partnerBack+"?x=1").Encode(),
		"a fragment":                   good("redirect_uri", partnerBack+"#x").Encode(),
		"user info":                    good("redirect_uri", "https://app.example@evil.example/cb").Encode(),
		"a client of no code":          good("client_id", "batch").Encode(),
		"not form-encoded":             good().Encode() + "&x=%zz",
		"a semicolon":                  good().Encode() + ";x=1",
		"far too long":                 good("state", strings.Repeat("x", 20_000)).Encode(),
		"loopback of https only app":   good("redirect_uri", "http://127.0.0.1:1234/cb").Encode(),
		"localhost is no loopback IP":  good("client_id", "mobile", "redirect_uri", "http://localhost:1234/callback").Encode(),
		"loopback, but another path":   good("client_id", "mobile", "redirect_uri", "http://127.0.0.1:1234/other").Encode(),
		"loopback, port with nonsense": good("client_id", "mobile", "redirect_uri", "http://127.0.0.1:1@evil.example/callback").Encode(),
	} {
		t.Run(name, func(t *testing.T) {
			b := g.browser()
			r, err := http.NewRequest(http.MethodGet, g.server.URL+"/oauth/authorize?"+query, nil)
			check(t, err)
			got := b.do(r)
			if got.StatusCode != 400 || got.Header.Get("Location") != "" || got.heading() == "" {
				t.Errorf("answers %d to %q", got.StatusCode, got.Header.Get("Location"))
			}
			if strings.Contains(got.body, "evil.example") {
				t.Error("the page repeats what a stranger sent")
			}
		})
	}
}

func TestDoubledParameters(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	for _, name := range []string{"scope", "state", "nonce", "response_type", "code_challenge", "prompt"} {
		query := good("prompt", "login").Encode() + "&" + url.Values{name: {"second"}}.Encode()
		r, err := http.NewRequest(http.MethodGet, g.server.URL+"/oauth/authorize?"+query, nil)
		check(t, err)
		back := b.do(r).redirected(t, partnerBack)
		if back.Get("error") != "invalid_request" || name == "state" && back.Has("state") {
			t.Errorf("%s twice: %v", name, back)
		}
	}
}

// TestPost: the same request in the body of a POST, which another site sends, shows the same page.
func TestPost(t *testing.T) {
	b := newRig(t).browser()
	page := b.post("/oauth/authorize", good(), "Sec-Fetch-Site", "cross-site", "Origin", "https://app.example")
	if page.StatusCode != 200 || page.heading() != "Sign in" {
		t.Errorf("%d %q", page.StatusCode, page.heading())
	}
	if got := b.post("/oauth/authorize", good(), "Content-Type", "application/json"); got.StatusCode != 400 {
		t.Errorf("JSON is answered %d", got.StatusCode)
	}
}
