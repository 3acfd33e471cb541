package attack

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// TestRedirectURIGames sends codes to where they do not belong: every spelling that is not the registered one, letter by
// letter, gets a page of ours and nothing at the other end (RFC 9700, 4.1).
func TestRedirectURIGames(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	w.LogIn(t, b, "alice", rptest.Web().Ask("openid")) // signed in and allowed: a good request would be answered at once
	before := len(w.Rest.Visits())
	for _, uri := range []string{
		"https://evil.example/callback", "https://app.example/callback/", "https://app.example/callback/../evil", "https://app.example/callback?x=1",
		"https://app.example/callback#", "https://app.example/callback#x", "https://app.example/callback%00", "https://app.example/callback%2f..%2fevil",
		"https://app.example/Callback", "https://APP.example/callback", "HTTPS://app.example/callback", "https://app.example:443/callback",
		"https://app.example./callback", "https://app.example@evil.example/callback", "https://evil.example\\@app.example/callback",
		"https://app.example.evil.example/callback", "https://app.example%2eevil.example/callback", "https://user@app.example/callback",
		"http://app.example/callback", "//app.example/callback", "/callback", "callback", "javascript:alert(1)", "data:text/html,x",
		" https://app.example/callback", "https://app.example/callback ", "https://app.example/callback\r\nSet-Cookie: a=b", "https://app.example/call\tback",
		"https://app.example/callback?kept=1&more=1", "https://app.example/callback?kept=2", "https://app.example/callback?",
		"https://app.example/callback https://evil.example/", "https://other.example/callback",
		"http://127.0.0.1:80@evil.example/callback", "http://127.0.0.1.evil.example/callback", "http://127.0.0.1:1.evil.example/callback",
		"http://127.0.0.1:/callback", "http://127.0.0.1:0x50/callback", "http://127.0.0.1:08080/callback", "http://127.1/callback", "http://2130706433/callback",
		"http://localhost/callback", "http://localhost:8080/callback", "http://[::1]/callback", "http://[::ffff:127.0.0.1]/callback", "http://127.0.0.2/callback",
		"https://127.0.0.1/callback", "http://127.0.0.1:8080/callback2", "http://127.0.0.1:8080/callback/../x", "http://127.0.0.1:8080//callback", "http://127.0.0.1:8080/callback?x",
		"http://127.0.0.1:8080\\@evil.example/callback", "http://127.0.0.1:8080#@evil.example/callback",
	} {
		page := w.Open(t, b, rptest.Web().Ask("openid", "redirect_uri", uri))
		if page.Status != http.StatusBadRequest || !strings.HasPrefix(page.URL.String(), w.URL+"/oauth/authorize") {
			t.Errorf("%q: %d at %s", uri, page.Status, page.URL)
		}
		if strings.Contains(page.Body, "evil") {
			t.Errorf("%q: the page shows it", uri)
		}
	}
	if n := len(w.Rest.Visits()) - before; n != 0 {
		t.Errorf("the browser was sent elsewhere %d times", n)
	}
	// The control: what is registered is answered.
	for _, uri := range []string{"https://app.example/callback", "https://app.example/callback?kept=1", "http://127.0.0.1:8080/callback", "http://127.0.0.1/callback"} {
		a := rptest.Web().Ask("openid", "redirect_uri", uri)
		if w.Answer(t, w.Open(t, b, a), a).Get("code") == "" {
			t.Errorf("%q: no code", uri)
		}
	}
}

// TestNoRedirectBeforeTheTargetIsKnown wants a page of ours for whatever is wrong with the client or the redirect URI
// themselves, be the rest of the request as wrong as it likes: an error by redirect would make us an open redirector.
func TestNoRedirectBeforeTheTargetIsKnown(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	good := rptest.Web().Ask("openid").Params.Encode()
	for name, query := range map[string]string{
		"nothing":                 "",
		"no client":               rptest.With(rptest.Web().Ask("openid").Params, "client_id", "").Encode(),
		"unknown client":          rptest.With(rptest.Web().Ask("openid").Params, "client_id", "evil").Encode(),
		"a machine client":        rptest.With(rptest.Web().Ask("openid").Params, "client_id", "job").Encode(),
		"another client's":        rptest.With(rptest.Web().Ask("openid").Params, "client_id", "other").Encode(),
		"no redirect URI":         rptest.With(rptest.Web().Ask("openid").Params, "redirect_uri", "").Encode(),
		"two clients":             good + "&client_id=other",
		"two redirect URIs":       good + "&redirect_uri=https%3A%2F%2Fevil.example%2F",
		"the same twice":          good + "&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback",
		"broken encoding":         good + "&%zz",
		"a semicolon":             good + ";redirect_uri=https://evil.example/",
		"a client in other case":  rptest.With(rptest.Web().Ask("openid").Params, "client_id", "WEB").Encode(),
		"a client and a space":    rptest.With(rptest.Web().Ask("openid").Params, "client_id", "web ").Encode(),
		"a user's sub as client":  rptest.With(rptest.Web().Ask("openid").Params, "client_id", "u_alice").Encode(),
		"a client that is a path": rptest.With(rptest.Web().Ask("openid").Params, "client_id", "../web").Encode(),
	} {
		reply := w.Get(t, "/oauth/authorize?"+query)
		if reply.Status != http.StatusBadRequest || reply.Header.Get("Location") != "" || !strings.Contains(reply.Body, "<h1>") {
			t.Errorf("%s: %d to %q", name, reply.Status, reply.Header.Get("Location"))
		}
		if len(reply.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("%s: sets a cookie", name)
		}
	}
}

// TestLogoutIsNoOpenRedirector asks logout to send the browser on to where nobody is registered.
func TestLogoutIsNoOpenRedirector(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	tokens := w.TokensFor(t, b, "alice", rptest.Web().Ask("openid catalogue.read"))
	for name, params := range map[string]url.Values{
		"no client":         rptest.Form("post_logout_redirect_uri", "https://app.example/goodbye"),
		"unregistered":      rptest.Form("client_id", "web", "post_logout_redirect_uri", "https://evil.example/"),
		"a redirect URI":    rptest.Form("client_id", "web", "post_logout_redirect_uri", "https://app.example/callback"),
		"another client's":  rptest.Form("client_id", "other", "post_logout_redirect_uri", "https://app.example/goodbye"),
		"by a hint as well": rptest.Form("id_token_hint", tokens.ID, "post_logout_redirect_uri", "https://evil.example/"),
		"contradicting":     rptest.Form("client_id", "other", "id_token_hint", tokens.ID, "post_logout_redirect_uri", "https://other.example/goodbye"),
		"a forged hint":     rptest.Form("id_token_hint", forge(t, tokens.ID, "aud", "other"), "post_logout_redirect_uri", "https://other.example/goodbye"),
		"a newline":         rptest.Form("client_id", "web", "post_logout_redirect_uri", "https://app.example/goodbye\r\nX: y"),
	} {
		page, err := b.Open(t.Context(), w.URL+"/oauth/logout?"+params.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(page.URL.String(), w.URL) || page.Status != http.StatusBadRequest {
			t.Errorf("%s: %d at %s", name, page.Status, page.URL)
		}
	}
	if !w.Active(t, tokens.Access) {
		t.Error("a request that was refused signed somebody out")
	}
}

// TestHeaderInjection puts line ends into everything that comes back in a header.
func TestHeaderInjection(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	const split = "x\r\nSet-Cookie: planted=1\r\n\r\n<script>alert(1)</script>"
	for name, query := range map[string]string{
		"state":          rptest.Web().Ask("openid", "prompt", "none", "state", split).Params.Encode(),
		"scope":          rptest.Web().Ask(split).Params.Encode(),
		"prompt":         rptest.Web().Ask("openid", "prompt", split).Params.Encode(),
		"parameter name": rptest.Web().Ask("openid").Params.Encode() + "&" + url.QueryEscape(split) + "=1&" + url.QueryEscape(split) + "=2",
	} {
		reply := w.Get(t, "/oauth/authorize?"+query)
		location, err := url.Parse(reply.Header.Get("Location"))
		if reply.Status != http.StatusSeeOther || err != nil || location.Query().Get("error") == "" || len(reply.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("%s: %d %q", name, reply.Status, reply.Header)
		}
		if name == "state" && location.Query().Get("state") != split {
			t.Errorf("the state came back as %q", location.Query().Get("state"))
		}
	}
	for name, header := range map[string][]string{
		"bearer": {"Authorization", "Bearer x\", evil=\"1"},
		"basic":  {"Authorization", "Basic \"evil\""},
	} {
		reply := w.Get(t, "/oauth/userinfo", header...)
		if strings.Contains(reply.Header.Get("WWW-Authenticate"), "evil") {
			t.Errorf("%s: the challenge repeats what came in: %q", name, reply.Header.Get("WWW-Authenticate"))
		}
	}
}
