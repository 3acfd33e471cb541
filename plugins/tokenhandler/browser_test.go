package tokenhandler

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/policy"
)

const (
	appOrigin = "https://www.example.com"
	appPage   = appOrigin + "/app"
	agentPath = "/oauth-agent"
)

// walk is one token handler between a browser and an issuer.
type walk struct {
	t       testing.TB
	issuer  *fakeIssuer
	handler *Handler
	clock   *clock
	log     *logBuffer
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *logBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func testConfig(issuer string) Config {
	return Config{
		Path: agentPath, CookiePrefix: "shop", Tenant: "default",
		CookieKeys: []Key{testKey("2026-01", 1)}, Origins: []string{appOrigin, "https://app.example.com"},
		Issuer: issuer, AuthorizationEndpoint: issuer + "/oauth/authorize", EndSessionEndpoint: issuer + "/oauth/logout",
		TokenEndpoint: issuer + "/oauth/token", RevocationEndpoint: issuer + "/oauth/revoke", UserInfoEndpoint: issuer + "/oauth/userinfo",
		ClientID: testClient, ClientSecret: testSecret, RedirectURI: appPage,
		PostLogoutRedirectURIs: []string{appPage, appOrigin + "/bye"},
		Scopes:                 []string{"openid", "eventcatalog.read"}, ExtraParams: []string{"prompt", "acr_values"},
		SessionMaxAge: 8 * time.Hour, LoginMaxAge: 10 * time.Minute, RefreshMargin: 30 * time.Second, Timeout: 10 * time.Second,
	}
}

func testKey(id string, fill byte) Key { return Key{ID: id, Secret: bytes.Repeat([]byte{fill}, 32)} }

func newWalk(t testing.TB, changes ...func(*Config)) *walk {
	t.Helper()
	w := &walk{t: t, clock: &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}, log: &logBuffer{}}
	w.issuer = newFakeIssuer(t, w.clock.Now)
	w.handler = w.replica(changes...)
	t.Cleanup(func() {
		log := w.log.String()
		for _, canary := range w.issuer.canaries() {
			if strings.Contains(log, canary) {
				t.Errorf("a secret stands in the log:\n%s", log)
			}
		}
	})
	return w
}

// replica starts another handler before the same issuer.
func (w *walk) replica(changes ...func(*Config)) *Handler {
	w.t.Helper()
	cfg := testConfig(w.issuer.URL)
	for _, change := range changes {
		change(&cfg)
	}
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h, err := New(cfg, Options{Keys: issuerKeys{w.issuer}, Logger: logger, Now: w.clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { h.Close() })
	return h
}

// browser is a browser with the app open: it keeps cookies as browsers do, and sends what they send.
type browser struct {
	*walk
	cookies map[string]string
	csrf    string
}

func (w *walk) browser() *browser { return &browser{walk: w, cookies: map[string]string{}} }

// loggedIn returns a browser in which alice is logged in.
func (w *walk) loggedIn() *browser {
	w.t.Helper()
	b := w.browser()
	b.login()
	return b
}

func (b *browser) login() {
	b.t.Helper()
	a := b.post("/login/end", `{"pageUrl":`+quoted(b.issuer.authorize(b.start()))+`}`)
	a.is(http.StatusOK)
	b.csrf, _ = a.json()["csrf"].(string)
	if a.json()["handled"] != true || a.json()["isLoggedIn"] != true || b.csrf == "" {
		b.t.Fatalf("login/end answered %s", a.body)
	}
}

// start starts a login and returns the authorization request.
func (b *browser) start() string {
	b.t.Helper()
	a := b.post("/login/start", "")
	a.is(http.StatusOK)
	return a.json()["authorizationRequestUrl"].(string)
}

func (b *browser) another() *browser {
	return &browser{walk: b.walk, cookies: maps.Clone(b.cookies), csrf: b.csrf}
}

func quoted(s string) string { text, _ := json.Marshal(s); return string(text) }

// request builds a request as the app's page sends it; edits change it.
func (b *browser) request(method, path, body string, edits ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Origin", appOrigin)
	r.Header.Set("Sec-Fetch-Site", "same-site")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if b.csrf != "" {
		r.Header.Set("x-shop-csrf", b.csrf)
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
		pairs = append(pairs, name+"="+b.cookies[name])
	}
	if len(pairs) > 0 {
		r.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	for _, edit := range edits {
		edit(r)
	}
	return r
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

func (b *browser) post(endpoint, body string, edits ...func(*http.Request)) *answer {
	b.t.Helper()
	return b.agent(b.request(http.MethodPost, agentPath+endpoint, body, edits...))
}

func (b *browser) get(endpoint string, edits ...func(*http.Request)) *answer {
	b.t.Helper()
	return b.agent(b.request(http.MethodGet, agentPath+endpoint, "", edits...))
}

func (b *browser) agent(r *http.Request) *answer {
	b.t.Helper()
	w := httptest.NewRecorder()
	if !b.handler.ServeAgent(w, r) {
		b.t.Fatalf("the agent does not answer for %s %s", r.Method, r.URL.Path)
	}
	body, _ := io.ReadAll(w.Result().Body)
	b.keep(w.Result().Header)
	return &answer{b.t, w.Code, w.Result().Header, body}
}

// api sends a request to an API.
func (b *browser) api(method string, edits ...func(*http.Request)) (string, *policy.Refusal, http.Header) {
	s, refusal := b.handler.Open(b.request(method, "/api/orders", "", edits...), b.clock.Now())
	h := http.Header{}
	s.Response.Apply(h)
	b.keep(h)
	return s.Reference, refusal, h
}

// keep stores cookies as a browser does, and holds them against the rules of "__Host-" names.
func (b *browser) keep(h http.Header) {
	b.t.Helper()
	for _, line := range h["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			b.t.Fatalf("Set-Cookie: %v", err)
		}
		if !strings.HasPrefix(c.Name, "__Host-shop-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" ||
			c.SameSite != http.SameSiteStrictMode || len(line) > 4096 {
			b.t.Fatalf("a browser would not take %.120s…", line)
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
}

// answer is one answer of the agent.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

func (a *answer) json() map[string]any { a.t.Helper(); return decode(a.t, a.body) }

func (a *answer) is(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("answered %d %s; want %d", a.status, a.body, status)
	}
	return a
}

// fails checks for an error in the agent's form.
func (a *answer) fails(status int, code string) *answer {
	a.t.Helper()
	a.is(status)
	if got := a.json(); got["code"] != code || got["message"] == "" || len(got) != 2 {
		a.t.Fatalf("answered %s; want code %s and a message", a.body, code)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
		a.t.Errorf("the error's headers are %v", a.header)
	}
	return a
}

// clears checks that every cookie ends, each chunk included.
func (a *answer) clears() *answer {
	a.t.Helper()
	if lines := a.header["Set-Cookie"]; !allEnded(lines) {
		a.t.Errorf("the cookies do not all end: %q", lines)
	}
	return a
}

func allEnded(lines []string) bool {
	names := newNames("shop")
	for p := range names.full {
		for _, name := range names.full[p] {
			if !slices.Contains(lines, name+"=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0") {
				return false
			}
		}
	}
	return len(lines) == int(purposes)*maxChunks
}

// readable checks that the app's page may read the answer.
func (a *answer) readable() *answer {
	a.t.Helper()
	if a.header.Get("Access-Control-Allow-Origin") != appOrigin || a.header.Get("Access-Control-Allow-Credentials") != "true" ||
		!slices.Contains(a.header["Vary"], "Origin") {
		a.t.Errorf("the app cannot read it: %v", a.header)
	}
	return a
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
