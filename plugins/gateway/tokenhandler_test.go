package gateway

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// loginIssuer is a fakeIssuer at which alice can log in, as often as she likes. Its references differ.
type loginIssuer struct {
	*fakeIssuer

	mu        sync.Mutex
	nonce     string
	made      uint64
	expiresIn int
}

func (i *loginIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/oauth/token" {
		return i.fakeIssuer.RoundTrip(r)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "spa", "sub": "u_alice", "nonce": i.nonce, "sid": "s1",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	token.Header["kid"] = "1"
	signed, err := token.SignedString(i.key)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"access_token": newReference(i.made), "refresh_token": "canary-refresh", "id_token": signed,
		"token_type": "Bearer", "expires_in": i.expiresIn,
	})
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(body))), Request: r,
	}, err
}

const testOrigin = "https://www.example"

var testCookieKey = Secret(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))

func testTokenHandler() *TokenHandler {
	return &TokenHandler{
		CookiePrefix: "shop", CookieKeys: []CookieKey{{ID: "2026-11", Key: testCookieKey}}, Origins: []string{testOrigin},
		ClientID: "spa", ClientSecret: "canary-spa", RedirectURI: testOrigin + "/", PostLogoutRedirectURIs: []string{testOrigin + "/"},
		Scopes: []string{"openid", "eventcatalog.read"},
	}
}

func cookieGateway(tb testing.TB, change func(*Config)) (*Gateway, *loginIssuer, *time.Time) {
	tb.Helper()
	issuer := &loginIssuer{fakeIssuer: newFakeIssuer(tb, nil), expiresIn: 300}
	cfg := Config{
		Issuer:       Issuer{Issuer: "https://issuer.example", ClientID: "gateway", ClientSecret: "canary-gateway", NoFeed: true},
		TokenHandler: testTokenHandler(),
		Routes: []Route{
			{Path: "/api/eventcatalog/events", Audience: "eventcatalog", Scopes: Scopes{All: []string{"eventcatalog.read"}}, Cookies: []string{"theme"}},
			{Path: "/api/admin", Audience: "eventcatalog", Scopes: Scopes{All: []string{"eventcatalog.admin"}}},
			{Path: "/health", Open: true},
		},
	}
	if change != nil {
		change(&cfg)
	}
	now := time.Now()
	g, err := New(cfg, Options{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Transport: issuer, Now: func() time.Time { return now },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { g.Close() })
	return g, issuer, &now
}

// login logs alice in and returns her Cookie header and CSRF token.
func login(tb testing.TB, g *Gateway, issuer *loginIssuer) (cookies, csrf string) {
	tb.Helper()
	post := func(endpoint, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/oauth-agent/"+endpoint, strings.NewReader(body))
		r.Header = http.Header{"Origin": {testOrigin}, "Content-Type": {"application/json"}, "Cookie": {cookies}}
		w := httptest.NewRecorder()
		if !g.ServeAgent(w, r) || w.Code != http.StatusOK {
			tb.Fatalf("%s: %d %s", endpoint, w.Code, w.Body)
		}
		var pairs []string
		for _, c := range w.Result().Cookies() {
			if c.MaxAge >= 0 {
				pairs = append(pairs, c.Name+"="+c.Value)
			}
		}
		cookies = strings.Join(pairs, "; ")
		return w
	}
	var start, end map[string]any
	if err := json.Unmarshal(post("login/start", "").Body.Bytes(), &start); err != nil {
		tb.Fatal(err)
	}
	request, err := url.Parse(start["authorizationRequestUrl"].(string))
	if err != nil {
		tb.Fatal(err)
	}
	issuer.nonce = request.Query().Get("nonce")
	page := testOrigin + "/?code=c&iss=https%3A%2F%2Fissuer.example&state=" + request.Query().Get("state")
	if err := json.Unmarshal(post("login/end", `{"pageUrl":"`+page+`"}`).Body.Bytes(), &end); err != nil {
		tb.Fatal(err)
	}
	return cookies, end["csrf"].(string)
}

// fromApp is a request as the app's page sends it.
func fromApp(method, path, cookies, csrf string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Origin", testOrigin)
	r.Header.Set("Cookie", cookies+"; theme=dark; other=1")
	r.Header.Set("X-Shop-Csrf", csrf)
	return r
}

func TestCookieBecomesPhantomToken(t *testing.T) {
	g, issuer, _ := cookieGateway(t, nil)
	cookies, csrf := login(t, g, issuer)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		r := fromApp(method, "/api/eventcatalog/events", cookies, csrf)
		before := r.Header.Clone()
		outcome := g.Authorize(r)
		if outcome.Refusal() != nil {
			t.Fatal(outcome.Refusal())
		}
		if !equalHeaders(r.Header, before) {
			t.Error("Authorize changed the request")
		}
		outcome.Apply(r)
		if got := r.Header.Values(authorization); len(got) != 1 || got[0] != "Bearer "+issuer.token {
			t.Errorf("the API gets %q", got)
		}
		if got := r.Header.Values("Cookie"); len(got) != 1 || got[0] != "theme=dark" || r.Header["X-Shop-Csrf"] != nil {
			t.Errorf("the API gets cookies %q and headers %v", got, r.Header)
		}
		w := httptest.NewRecorder()
		outcome.Writer(w).WriteHeader(http.StatusOK)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != testOrigin {
			t.Errorf("the app may not read the answer: %v", w.Header())
		}
	}
	if n := issuer.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times; want 1, both requests come by one reference", n)
	}
}

func equalHeaders(a, b http.Header) bool {
	for name := range b {
		if !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return len(a) == len(b)
}

// What a request is authorized by, and what the app learns of a refusal.
func TestCredentials(t *testing.T) {
	bearer := "Bearer " + newReference(99)
	for name, c := range map[string]struct {
		allowBearer   bool
		authorization []string
		cookies       bool
		status        int // 0: passes
	}{
		"cookies":                          {false, nil, true, 0},
		"nothing":                          {false, nil, false, 401},
		"bearer":                           {false, []string{bearer}, false, 401},
		"cookies and a bearer":             {false, []string{"Bearer garbage"}, true, 0},
		"bearer, allowed":                  {true, []string{bearer}, false, 0},
		"cookies, bearer allowed":          {true, nil, true, 0},
		"nothing, bearer allowed":          {true, nil, false, 401},
		"garbage beside cookies, allowed":  {true, []string{"Bearer garbage"}, true, 401},
		"Basic beside cookies, allowed":    {true, []string{"Basic eDp5"}, true, 0},
		"Basic alone, allowed":             {true, []string{"Basic eDp5"}, false, 401},
		"two bearers, allowed":             {true, []string{bearer, bearer}, true, 400},
		"an empty bearer beside cookies":   {true, []string{"Bearer "}, true, 0},
		"an empty bearer, nothing besides": {true, []string{"Bearer "}, false, 401},
	} {
		t.Run(name, func(t *testing.T) {
			g, issuer, _ := cookieGateway(t, func(cfg *Config) { cfg.TokenHandler.AllowBearer = c.allowBearer })
			cookies, csrf := "x=1", ""
			if c.cookies {
				cookies, csrf = login(t, g, issuer)
			}
			r := fromApp(http.MethodPost, "/api/eventcatalog/events", cookies, csrf)
			if c.authorization != nil {
				r.Header[authorization] = c.authorization
			}
			refusal := g.Authorize(r).Refusal()
			if c.status == 0 {
				if refusal != nil {
					t.Fatal(refusal)
				}
				return
			}
			if refusal == nil || refusal.Status != c.status {
				t.Fatalf("refusal is %v; want %d", refusal, c.status)
			}
			w := httptest.NewRecorder()
			refusal.Write(w)
			if w.Header().Get("Access-Control-Allow-Origin") != testOrigin || w.Header().Get("Vary") != "Origin" {
				t.Errorf("the app cannot read the refusal: %v", w.Header())
			}
		})
	}
}

// Origin and CSRF header are not skipped by a header that proves nothing.
func TestNothingSkipsTheCookieChecks(t *testing.T) {
	g, issuer, _ := cookieGateway(t, func(cfg *Config) { cfg.TokenHandler.AllowBearer = true })
	cookies, csrf := login(t, g, issuer)
	for _, value := range []string{"", "Basic eDp5", "Bearer", "Bearer ", "bearer", "Negotiate x"} {
		foreign := fromApp(http.MethodGet, "/api/eventcatalog/events", cookies, csrf)
		foreign.Header.Set("Origin", "https://evil.example")
		forged := fromApp(http.MethodPost, "/api/eventcatalog/events", cookies, "wrong")
		for _, r := range []*http.Request{foreign, forged} {
			r.Header.Set(authorization, value)
			if refusal := g.Authorize(r).Refusal(); refusal == nil || refusal.Status != http.StatusUnauthorized {
				t.Errorf("Authorization %q: %v", value, refusal)
			}
		}
	}
}

// Every refusal of the gateway can be read by the app, also those that have nothing to do with cookies.
func TestRefusalsToTheApp(t *testing.T) {
	g, issuer, _ := cookieGateway(t, nil)
	cookies, csrf := login(t, g, issuer)
	for path, status := range map[string]int{"/nowhere": 404, "/api//x": 400, "/api/admin": 502} { // the fake's JWT has no admin scope asked for
		refusal := g.Authorize(fromApp(http.MethodGet, path, cookies, csrf)).Refusal()
		if refusal == nil || refusal.Status != status || refusal.Header.Get("Access-Control-Allow-Origin") != testOrigin {
			t.Errorf("%s: %v", path, refusal)
		}
	}
	shared := g.table.Routes()[1].Insufficient()
	if shared.Header != nil {
		t.Error("a refusal that many requests share was changed")
	}
}

func TestOpenRouteOfTheApp(t *testing.T) {
	g, issuer, _ := cookieGateway(t, nil)
	cookies, csrf := login(t, g, issuer)
	r := fromApp(http.MethodGet, "/health", cookies, csrf)
	outcome := g.Authorize(r)
	outcome.Apply(r)
	if outcome.Refusal() != nil || r.Header["Cookie"] != nil || r.Header[authorization] != nil || r.Header["X-Shop-Csrf"] != nil {
		t.Errorf("%v, %v", outcome.Refusal(), r.Header)
	}
}

// A token that is about to end is renewed first, and the answer carries the new cookies, be it a refusal.
func TestRenewedOnTheWay(t *testing.T) {
	g, issuer, now := cookieGateway(t, nil)
	cookies, csrf := login(t, g, issuer)
	*now = now.Add(280 * time.Second)
	outcome := g.Authorize(fromApp(http.MethodPost, "/api/eventcatalog/events", cookies, csrf))
	w := httptest.NewRecorder()
	outcome.Writer(w).WriteHeader(http.StatusOK)
	if outcome.Refusal() != nil || len(w.Header()["Set-Cookie"]) != 2 {
		t.Errorf("%v, %v", outcome.Refusal(), w.Header())
	}
	if refusal := g.Authorize(fromApp(http.MethodGet, "/api/admin", cookies, csrf)).Refusal(); refusal == nil || len(refusal.Header["Set-Cookie"]) != 2 {
		t.Errorf("the refusal is %v", refusal)
	}
}

func TestSharedTokenHandler(t *testing.T) {
	issuer := &loginIssuer{fakeIssuer: newFakeIssuer(t, nil), expiresIn: 300}
	cfg := Config{Issuer: Issuer{Issuer: "https://issuer.example", ClientID: "gateway", ClientSecret: "x", NoFeed: true}, TokenHandler: testTokenHandler()}
	opts := Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Transport: issuer}
	shared, err := NewTokenHandler(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	opts.TokenHandler = shared
	cfg.Routes = []Route{{Path: "/a", Audience: "eventcatalog", Scopes: Scopes{All: []string{"eventcatalog.read"}}}}
	one, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	cookies, csrf := login(t, one, issuer)
	one.Close()
	two, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if refusal := two.Authorize(fromApp(http.MethodPost, "/a", cookies, csrf)).Refusal(); refusal != nil {
		t.Error(refusal)
	}
	if _, err := NewTokenHandler(Config{Issuer: cfg.Issuer}, opts); err == nil {
		t.Error("a token handler was made of nothing")
	}
	cfg.TokenHandler.Origins = nil
	if _, err := NewTokenHandler(cfg, opts); err == nil || !strings.Contains(err.Error(), "tokenHandler.origins") {
		t.Errorf("a faulty token handler: %v", err)
	}
}

func TestTokenHandlerFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(testCookieKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		fields []string
	}{
		"none":        {func(*Config) {}, nil},
		"from a file": {func(c *Config) { c.TokenHandler.CookieKeys = []CookieKey{{ID: "1", KeyFile: file}} }, nil},
		"empty": {func(c *Config) { c.TokenHandler = &TokenHandler{}; c.Routes[0].Cookies = nil }, []string{
			"tokenHandler.cookiePrefix", "tokenHandler.origins", "tokenHandler.cookieKeys", "tokenHandler.redirectUri",
			"tokenHandler.postLogoutRedirectUris", "tokenHandler.clientId", "tokenHandler.scopes", "tokenHandler.clientSecret",
		}},
		"two ways to a key": {func(c *Config) { c.TokenHandler.CookieKeys[0].KeyEnv = "X" }, []string{"tokenHandler.cookieKeys[0].key"}},
		"no key":            {func(c *Config) { c.TokenHandler.CookieKeys[0].Key = "" }, []string{"tokenHandler.cookieKeys[0].key"}},
		"no base64":         {func(c *Config) { c.TokenHandler.CookieKeys[0].Key = "canary%" }, []string{"tokenHandler.cookieKeys[0].key"}},
		"a short key":       {func(c *Config) { c.TokenHandler.CookieKeys[0].Key = "Y2FuYXJ5" }, []string{"tokenHandler.cookieKeys[0].key"}},
		"a key twice": {func(c *Config) {
			c.TokenHandler.CookieKeys = append(c.TokenHandler.CookieKeys, CookieKey{ID: "2", Key: testCookieKey})
		}, []string{"tokenHandler.cookieKeys[1].key"}},
		"no key file": {func(c *Config) { c.TokenHandler.CookieKeys = []CookieKey{{ID: "1", KeyFile: file + "x"}} }, []string{"tokenHandler.cookieKeys[0].keyFile"}},
		"no such environment": {func(c *Config) { c.TokenHandler.ClientSecret, c.TokenHandler.ClientSecretEnv = "", "NO_SUCH_SECRET" },
			[]string{"tokenHandler.clientSecretEnv"}},
		"an endpoint":                {func(c *Config) { c.TokenHandler.TokenEndpoint = "nowhere" }, []string{"tokenHandler.tokenEndpoint"}},
		"the issuer's faults, once":  {func(c *Config) { c.Issuer.Issuer, c.Issuer.Timeout = "", Duration(time.Hour) }, []string{"issuer.issuer", "issuer.timeout"}},
		"our own cookie to an API":   {func(c *Config) { c.Routes[0].Cookies = []string{"a", "__Host-shop-at"} }, []string{"routes[0].cookies[1]"}},
		"cookies without a handler":  {func(c *Config) { c.TokenHandler = nil }, []string{"routes[0].cookies[0]"}},
		"a time that is none":        {func(c *Config) { c.TokenHandler.SessionMaxAge = Duration(365 * 24 * time.Hour) }, []string{"tokenHandler.sessionMaxAge"}},
		"the agent over an API path": {func(c *Config) { c.TokenHandler.Path = "/api/eventcatalog/events" }, []string{"routes[0].path"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{
				Issuer:       Issuer{Issuer: "https://issuer.example", ClientID: "gateway", ClientSecret: "x", NoFeed: true},
				TokenHandler: testTokenHandler(),
				Routes: []Route{{
					Path: "/api/eventcatalog/events", Audience: "eventcatalog", Scopes: Scopes{All: []string{"eventcatalog.read"}}, Cookies: []string{"theme"},
				}},
			}
			c.change(&cfg)
			g, err := New(cfg, Options{})
			if err == nil {
				g.Close()
			} else if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), string(testCookieKey)) {
				t.Errorf("a fault tells a secret: %v", err)
			}
			if got := fieldsOf(err); !slices.Equal(got, c.fields) {
				t.Errorf("faults at %q; want %q\n%v", got, c.fields, err)
			}
		})
	}
}

func fieldsOf(err error) (fields []string) {
	if err == nil {
		return nil
	}
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		fields = append(fields, e.(*Fault).Field)
	}
	return fields
}

func TestParseTokenHandler(t *testing.T) {
	_, err := Parse([]byte(`{"issuer":{"issuer":"https://i.example","clientId":"g","clientSecret":"x"},
		"tokenHandler":{"cookiePrefix":"Shop","cookieKeys":[{"id":"1","keyfile":"x"}],"origin":"*","sessionMaxAge":"soon","allowBearer":"yes"},
		"routes":[{"path":"/h","open":true,"cookies":"theme"}]}`))
	for _, field := range []string{
		"tokenHandler.cookiePrefix:", "tokenHandler.cookieKeys[0].keyfile:", "tokenHandler.origin:", "tokenHandler.origins:",
		"tokenHandler.sessionMaxAge:", "tokenHandler.allowBearer:", "routes[0].cookies:", "tokenHandler.clientId:",
	} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("no fault at %s in\n%v", field, err)
		}
	}
}
