package tokenhandler

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// Who may send a request that a cookie authorizes: origin, Sec-Fetch-Site and the CSRF header, by kind of request.
func TestOriginAndCSRF(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	none := header("Origin", "")
	noSite := header("Sec-Fetch-Site", "")
	site := func(value string) func(*http.Request) { return header("Sec-Fetch-Site", value) }
	noCSRF := header("x-shop-csrf", "")
	upgrade := func(r *http.Request) { r.Header.Set("Connection", "Upgrade"); r.Header.Set("Upgrade", "WebSocket") }
	type edits = []func(*http.Request)
	for _, c := range []struct {
		name    string
		method  string
		edits   edits
		allowed bool
	}{
		{"GET of the app", "GET", nil, true},
		{"GET of the app's other origin", "GET", edits{header("Origin", "https://app.example.com")}, true},
		{"GET needs no CSRF header", "GET", edits{noCSRF}, true},
		{"GET on the same origin", "GET", edits{none, site("same-origin")}, true},
		{"GET typed by the user", "GET", edits{none, site("none")}, true},
		{"GET of an old browser", "GET", edits{none, noSite}, true},
		{"HEAD as GET", "HEAD", edits{none, noSite}, true},
		{"GET of a foreign origin", "GET", edits{header("Origin", "https://evil.example"), noSite}, false},
		{"GET of null", "GET", edits{header("Origin", "null"), noSite}, false},
		{"GET of an empty origin", "GET", edits{func(r *http.Request) { r.Header["Origin"] = []string{""} }, noSite}, false},
		{"GET of the origin in capitals", "GET", edits{header("Origin", "https://WWW.example.com")}, false},
		{"GET of another port", "GET", edits{header("Origin", appOrigin+":8443")}, false},
		{"GET of another scheme", "GET", edits{header("Origin", "http://www.example.com")}, false},
		{"GET of an origin that begins so", "GET", edits{header("Origin", appOrigin+".evil.example")}, false},
		{"GET of two origins", "GET", edits{func(r *http.Request) { r.Header.Add("Origin", appOrigin) }}, false},
		{"GET of a neighbour's image", "GET", edits{none, site("same-site")}, false},
		{"GET of a foreign image", "GET", edits{none, site("cross-site")}, false},
		{"GET that contradicts itself", "GET", edits{site("cross-site")}, false},
		{"GET of a site to come", "GET", edits{none, site("other")}, false},
		{"WebSocket of the app", "GET", edits{upgrade, noCSRF}, true},
		{"WebSocket of a foreign origin", "GET", edits{upgrade, header("Origin", "https://evil.example"), noSite}, false},
		{"WebSocket of nobody", "GET", edits{upgrade, none, noSite}, false},
		{"WebSocket on the same origin, unnamed", "GET", edits{upgrade, none, site("same-origin")}, false},
		{"POST of the app", "POST", nil, true},
		{"POST without origin", "POST", edits{none, noSite}, false},
		{"POST without origin, same-origin", "POST", edits{none, site("same-origin")}, false},
		{"POST of a foreign origin", "POST", edits{header("Origin", "https://evil.example"), noSite}, false},
		{"POST without CSRF header", "POST", edits{noCSRF}, false},
		{"POST with an empty one", "POST", edits{func(r *http.Request) { r.Header["X-Shop-Csrf"] = []string{""} }}, false},
		{"POST with a wrong one", "POST", edits{header("x-shop-csrf", strings.Repeat("A", 43))}, false},
		{"POST with half of it", "POST", edits{func(r *http.Request) { r.Header.Set("x-shop-csrf", b.csrf[:20]) }}, false},
		{"POST with two", "POST", edits{func(r *http.Request) { r.Header.Add("x-shop-csrf", b.csrf) }}, false},
		{"POST with the cookie's text", "POST", edits{header("x-shop-csrf", b.cookies["__Host-shop-csrf"])}, false},
		{"PUT without CSRF header", "PUT", edits{noCSRF}, false},
		{"PATCH without CSRF header", "PATCH", edits{noCSRF}, false},
		{"DELETE without CSRF header", "DELETE", edits{noCSRF}, false},
		{"OPTIONS that is no preflight", "OPTIONS", edits{noCSRF}, false},
		{"a method nobody knows", "BREW", edits{noCSRF}, false},
		{"Basic does not help", "POST", edits{noCSRF, header("Authorization", "Basic eDp5")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			reference, refusal, h := b.api(c.method, c.edits...)
			if (refusal == nil) != c.allowed {
				t.Fatalf("refusal is %v; want allowed: %v", refusal, c.allowed)
			}
			if refusal != nil && (refusal.Status != http.StatusUnauthorized || refusal.Code != codeUnauthorized || reference != "") {
				t.Errorf("the refusal is %v, the reference %q", refusal, reference)
			}
			if !slices.Contains(h["Vary"], "Origin") {
				t.Errorf("the answer varies by %v", h["Vary"])
			}
			if foreign := h.Get("Access-Control-Allow-Origin"); foreign != "" && !slices.Contains(w.handler.cfg.Origins, foreign) {
				t.Errorf("%s may read the answer", foreign)
			}
		})
	}
}

// The agent's endpoints ask what they are documented to ask.
func TestAgentEndpointsAreGuarded(t *testing.T) {
	w := newWalk(t)
	type edits = []func(*http.Request)
	foreign := edits{header("Origin", "https://evil.example"), header("Sec-Fetch-Site", "")}
	nobody := edits{header("Origin", ""), header("Sec-Fetch-Site", "")}
	for _, c := range []struct {
		endpoint string
		edits    edits
	}{
		{"/login/start", foreign}, {"/login/start", nobody}, {"/login/end", foreign}, {"/login/end", nobody},
		{"/refresh", foreign}, {"/refresh", nobody}, {"/refresh", edits{header("x-shop-csrf", "")}}, {"/refresh", edits{header("x-shop-csrf", "x")}},
		{"/logout", foreign}, {"/logout", nobody}, {"/logout", edits{header("x-shop-csrf", "")}}, {"/logout", edits{header("x-shop-csrf", "x")}},
	} {
		b := w.loggedIn()
		before := len(b.cookies)
		a := b.post(c.endpoint, "", c.edits...).fails(http.StatusUnauthorized, "unauthorized_request")
		if len(b.cookies) != before || len(a.header["Set-Cookie"]) > 0 {
			t.Errorf("%s: the refusal changed cookies", c.endpoint)
		}
	}
	b := w.loggedIn()
	for _, endpoint := range []string{"/session", "/userInfo", "/claims"} {
		b.get(endpoint, foreign...).fails(http.StatusUnauthorized, "unauthorized_request")
		b.get(endpoint, nobody...).is(http.StatusOK)
		b.get(endpoint).is(http.StatusOK).readable()
	}
	out := w.browser()
	for _, endpoint := range []string{"/userInfo", "/claims"} {
		out.get(endpoint).fails(http.StatusUnauthorized, "unauthorized_request").readable()
	}
	out.post("/refresh", "").fails(http.StatusUnauthorized, "unauthorized_request").readable()
	if got := out.get("/session").is(http.StatusOK).json(); got["isLoggedIn"] != false || len(got) != 1 {
		t.Errorf("session without a session: %v", got)
	}
}

func TestAgentPathsAndMethods(t *testing.T) {
	b := newWalk(t).browser()
	for _, path := range []string{"", "/", "/nothing", "/login", "/login/start/", "/login%2fstart", "/session/../claims"} {
		b.agent(b.request(http.MethodGet, agentPath+path, "")).fails(http.StatusNotFound, "invalid_request").readable()
	}
	if a := b.get("/login/start").fails(http.StatusMethodNotAllowed, "invalid_request"); a.header.Get("Allow") != "POST" {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}
	b.post("/session", "").fails(http.StatusMethodNotAllowed, "invalid_request").readable()
	for _, path := range []string{"/", "/oauth-agents", "/api" + agentPath + "/session", "/OAuth-Agent/session"} {
		if b.handler.ServeAgent(httptest.NewRecorder(), b.request(http.MethodGet, path, "")) {
			t.Errorf("the agent answers for %s", path)
		}
	}
}

func TestPreflight(t *testing.T) {
	b := newWalk(t, func(c *Config) { c.AllowHeaders = []string{"X-Trace"}; c.ExposeHeaders = []string{"Link"} }).browser()
	asks := header("Access-Control-Request-Method", "POST")
	for _, path := range []string{"/api/orders", "/nowhere", agentPath + "/logout"} {
		a := b.agent(b.request(http.MethodOptions, path, "", asks)).is(http.StatusNoContent).readable()
		if h := a.header; h.Get("Access-Control-Allow-Headers") != "accept, accept-language, content-type, x-shop-csrf, X-Trace" ||
			!strings.Contains(h.Get("Access-Control-Allow-Methods"), "DELETE") || h.Get("Access-Control-Max-Age") == "" {
			t.Errorf("%s: %v", path, h)
		}
		a = b.agent(b.request(http.MethodOptions, path, "", asks, header("Origin", "https://evil.example"))).
			fails(http.StatusUnauthorized, "unauthorized_request")
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: a foreign origin is told %s", path, name)
			}
		}
	}
	for _, edits := range [][]func(*http.Request){{}, {asks, header("Origin", "")}} {
		if b.handler.ServeAgent(httptest.NewRecorder(), b.request(http.MethodOptions, "/api/orders", "", edits...)) {
			t.Error("an OPTIONS that is no preflight was answered as one")
		}
	}
}

// An API that knows CORS itself does not get in the way, and its cookies stay.
func TestWriter(t *testing.T) {
	b := newWalk(t).loggedIn()
	b.clock.advance(280 * time.Second) // into the margin: the answer carries new cookies
	s, refusal := b.handler.Open(b.request(http.MethodGet, "/api/orders", ""), b.clock.Now())
	if refusal != nil {
		t.Fatal(refusal)
	}
	rec := httptest.NewRecorder()
	w := s.Response.Writer(rec)
	w.Header().Add("Access-Control-Allow-Origin", "*")
	w.Header().Add("Set-Cookie", "api=1")
	w.Header().Add("Vary", "Accept")
	w.Header().Set("Cache-Control", "public, max-age=600")
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		t.Errorf("the writer cannot be flushed: %v", err)
	}
	h := rec.Result().Header
	if got := h["Access-Control-Allow-Origin"]; !slices.Equal(got, []string{appOrigin}) {
		t.Errorf("Access-Control-Allow-Origin is %v", got)
	}
	if got := h.Get("Cache-Control"); got != "no-store" {
		t.Errorf("an answer with a session in it may be kept: %q", got)
	}
	if got := h["Set-Cookie"]; len(got) != 3 || got[2] != "api=1" {
		t.Errorf("Set-Cookie is %v", got)
	}
}

func FuzzCSRF(f *testing.F) {
	w := newWalk(f)
	b := w.loggedIn()
	for _, seed := range []string{"", b.csrf, b.csrf + " ", b.csrf[1:], b.csrf + "," + b.csrf, "\x00", b.cookies["__Host-shop-csrf"]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) {
		r := b.request(http.MethodPost, "/api/orders", "")
		r.Header["X-Shop-Csrf"] = []string{said}
		if _, refusal := w.handler.Open(r, w.clock.Now()); (refusal == nil) != (said == b.csrf) {
			t.Fatalf("%q: %v", said, refusal)
		}
	})
}
