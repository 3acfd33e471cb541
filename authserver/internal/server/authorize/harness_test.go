package authorize_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/audiences"
	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/clients"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/server/authorize"
	"github.com/phantomgate/phantomgate/authserver/internal/server/logout"
	"github.com/phantomgate/phantomgate/authserver/internal/sessions"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/storage/sqlite"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
	"github.com/phantomgate/phantomgate/authserver/internal/web/login"
)

const issuer = "http://localhost:8090"

const testConfig = `
demo: true
issuer: ` + issuer + `
listen: localhost:8090
admin: {listen: "localhost:8091"}
storage: {sqlite: "issuer.db"}
data_key: {demo: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
policies:
  default: {}
  strict: {session: 10m}
audiences:
  - name: eventcatalog
    title: Event catalogue
    scopes: [{name: eventcatalog.read, title: See events}, {name: eventcatalog.write, title: Change events}]
    claims: [region]
  - name: shoppingbasket
    title: Shopping basket
    scopes: [{name: shoppingbasket.read, title: See your basket}]
clients:
  - id: partner
    name: Partner Tickets
    secret: {demo: partner-demo-secret}
    grant_types: [authorization_code]
    redirect_uris: ["https://app.example/cb", "https://app.example/cb?kept=a%20b"]
    post_logout_redirect_uris: ["https://app.example/bye"]
    scopes: [openid, profile, offline_access, eventcatalog.read, eventcatalog.write, shoppingbasket.read]
  - id: mobile
    public: true
    grant_types: [authorization_code, refresh_token]
    redirect_uris: ["http://127.0.0.1/callback"]
    scopes: [openid, eventcatalog.read]
  - id: spa
    name: Demo shop
    secret: {demo: spa-demo-secret}
    grant_types: [authorization_code]
    redirect_uris: ["https://spa.example/"]
    scopes: [openid, eventcatalog.read]
    consent: skip
    policy: strict
  - id: batch
    secret: {demo: batch-demo-secret}
    grant_types: [client_credentials]
    scopes: [eventcatalog.read]
users:
  - {login: alice, password: {demo: alice-demo}, claims: {region: eu}}
  - {login: bob, password: {demo: bob-demo}, claims: {region: us}}
`

// rig is a whole issuer but for its token endpoint, over TLS, since the cookies ask for it.
type rig struct {
	t       testing.TB
	server  *httptest.Server
	store   *sqlite.Store
	users   *users.Directory
	clients *clients.Registry
	grants  *grants.Service
	revoker revoker
	tickets sessions.Tickets
	keys    testKeys
	logs    *grantstest.Log

	mu           sync.Mutex
	clock        time.Time
	during       func() // if set, happens while a password is checked
	afterSession func() // if set, happens after a session was looked at
}

func (g *rig) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.clock
}

func (g *rig) pass(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock = g.clock.Add(d)
}

// overtaken lets something happen in the middle of a login.
type overtaken struct {
	*users.Directory
	rig *rig
}

func (o overtaken) CheckPassword(ctx context.Context, tenant, login, password, remoteAddr string) (users.User, error) {
	user, err := o.Directory.CheckPassword(ctx, tenant, login, password, remoteAddr)
	if o.rig.during != nil {
		o.rig.during()
	}
	return user, err
}

// watched lets something happen right after a session was looked at.
type watched struct {
	*sessions.Keeper
	rig *rig
}

func (w watched) Find(ctx context.Context, r *http.Request, tenant string) (storage.Session, error) {
	session, err := w.Keeper.Find(ctx, r, tenant)
	if w.rig.afterSession != nil {
		w.rig.afterSession()
	}
	return session, err
}

func newRig(t testing.TB) *rig {
	t.Helper()
	ctx := context.Background()
	g := &rig{t: t, clock: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), logs: &grantstest.Log{}, keys: newTestKeys()}
	log := slog.New(slog.NewTextHandler(g.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg, err := config.Parse("test.yaml", []byte(testConfig), t.TempDir(), func(string) (string, bool) { return "", false })
	check(t, err)
	g.store, err = sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(t.TempDir(), "issuer.db"), Logger: log})
	check(t, err)
	t.Cleanup(func() { _ = g.store.Close() })
	dataKey, err := seal.NewKey(bytes.Repeat([]byte{7}, seal.KeySize))
	check(t, err)
	catalogue, err := audiences.New(cfg.Audiences)
	check(t, err)
	g.clients, err = clients.New(cfg)
	check(t, err)
	g.users, err = users.Open(ctx, cfg, g.store, users.Options{Logger: log, Now: g.now})
	check(t, err)
	g.revoker = revoker{g}
	g.grants, err = grants.New(grants.Options{Issuer: issuer, Store: g.store, DataKey: dataKey, Users: g.users,
		Audiences: catalogue, Signer: g.keys, Verifier: g.keys, Bearer: bearer.Finder{Store: g.store, Clients: g.clients, Users: g.users, Now: g.now}, Revoker: g.revoker, Now: g.now, Logger: log})
	check(t, err)
	keeper, err := sessions.New(sessions.Keeper{Store: g.store, Now: g.now})
	check(t, err)
	pages, err := login.New(issuer, log)
	check(t, err)
	g.tickets = sessions.Tickets{Key: dataKey, Now: g.now}
	authorizing, err := authorize.New(authorize.Deps{Issuer: issuer, Tenant: oauth.DefaultTenant, Store: g.store, Clients: g.clients,
		Users: overtaken{g.users, g}, Catalogue: catalogue, Sessions: watched{keeper, g}, Tickets: g.tickets, Grants: g.grants, Keys: g.keys,
		Pages: pages, Log: log, Now: g.now})
	check(t, err)
	leaving, err := logout.New(logout.Deps{Issuer: issuer, Tenant: oauth.DefaultTenant, Clients: g.clients, Users: g.users,
		Sessions: keeper, Tickets: g.tickets, Keys: g.keys, Pages: pages, Log: log})
	check(t, err)
	mux := http.NewServeMux()
	authorizing.Mount(mux)
	leaving.Mount(mux)
	g.server = httptest.NewTLSServer(mux)
	t.Cleanup(g.server.Close)
	return g
}

// browser is what a person has: cookies, and redirects that are looked at before they are followed.
type browser struct {
	rig    *rig
	client *http.Client
}

func (g *rig) browser() *browser {
	jar, err := cookiejar.New(nil)
	check(g.t, err)
	client := *g.server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{g, &client}
}

// answer is what the browser was answered, read to its end.
type answer struct {
	*http.Response
	body string
}

func (b *browser) do(r *http.Request) answer {
	b.rig.t.Helper()
	resp, err := b.client.Do(r)
	check(b.rig.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(b.rig.t, err)
	return answer{resp, string(body)}
}

func (b *browser) get(path string, params url.Values) answer {
	b.rig.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.rig.server.URL+path+"?"+params.Encode(), nil)
	check(b.rig.t, err)
	return b.do(r)
}

// post sends a form as a page of ours does.
func (b *browser) post(path string, form url.Values, headers ...string) answer {
	b.rig.t.Helper()
	r, err := http.NewRequest(http.MethodPost, b.rig.server.URL+path, bytes.NewBufferString(form.Encode()))
	check(b.rig.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return b.do(r)
}

// signIn fills in the sign-in page.
func (b *browser) signIn(page answer, name string) answer {
	b.rig.t.Helper()
	return b.post("/oauth/login", url.Values{"ticket": {page.ticket(b.rig.t)}, "login": {name}, "password": {name + "-demo"}})
}

// decide answers the consent page.
func (b *browser) decide(page answer, decision string) answer {
	b.rig.t.Helper()
	return b.post("/oauth/consent", url.Values{"ticket": {page.ticket(b.rig.t)}, "decision": {decision}})
}

func (a answer) ticket(t testing.TB) string {
	t.Helper()
	found := regexp.MustCompile(`name="ticket" value="([^"]+)"`).FindStringSubmatch(a.body)
	if found == nil {
		t.Fatalf("no ticket in a %d answer:\n%s", a.StatusCode, a.body)
	}
	return html.UnescapeString(found[1])
}

// redirected gives the parameters of a redirect to the client, and fails if there is none.
func (a answer) redirected(t testing.TB, to string) url.Values {
	t.Helper()
	location, err := url.Parse(a.Header.Get("Location"))
	check(t, err)
	params := location.Query()
	location.RawQuery = ""
	if a.StatusCode != http.StatusSeeOther || location.String() != to {
		t.Fatalf("answered %d to %q, not a 303 to %q\n%s", a.StatusCode, location, to, a.body)
	}
	return params
}

func (a answer) heading() string {
	found := regexp.MustCompile(`(?s)<h1>(.*?)</h1>`).FindStringSubmatch(a.body)
	if found == nil {
		return ""
	}
	return html.UnescapeString(regexp.MustCompile(`<[^>]+>`).ReplaceAllString(found[1], ""))
}

const (
	verifier    = "a-verifier-of-at-least-forty-three-characters-0123"
	partnerBack = "https://app.example/cb"
)

// good is a request that nothing is wrong with, with changes: name and value; the value "-" takes the parameter out.
func good(changes ...string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	params := url.Values{"client_id": {"partner"}, "redirect_uri": {partnerBack}, "response_type": {"code"},
		"scope": {"openid eventcatalog.read"}, "state": {"st&te"}, "nonce": {"n0nce"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "-" {
			params.Del(changes[i])
		} else {
			params.Set(changes[i], changes[i+1])
		}
	}
	return params
}

// redeem exchanges a code at the room behind the token endpoint.
func (g *rig) redeem(clientID, code, redirectURI string) (grants.Answer, error) {
	client, _ := g.clients.Find(oauth.DefaultTenant, clientID)
	return g.grants.RedeemCode(context.Background(), oauth.DefaultTenant, client,
		grants.CodeRequest{Code: code, RedirectURI: redirectURI, Verifier: verifier})
}

func (g *rig) subject(login string) string {
	user, ok := g.users.FindLogin(oauth.DefaultTenant, login)
	if !ok {
		g.t.Fatalf("no user %s", login)
	}
	return user.Subject
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testKeys signs and verifies with one key, and as the real ones do, does not look at times.
type testKeys struct{ secret []byte }

func newTestKeys() testKeys { return testKeys{[]byte(rand.Text())} }

func (k testKeys) Sign(typ string, claims jwt.Claims) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	token.Header["typ"] = typ
	return token.SignedString(k.secret)
}

func (k testKeys) Verify(token, typ string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	parsed, err := jwt.NewParser(jwt.WithoutClaimsValidation()).ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return k.secret, nil })
	if err != nil || parsed.Header["typ"] != typ {
		return nil, jwt.ErrTokenUnverifiable
	}
	return claims, nil
}

func (k testKeys) idToken(t testing.TB, clientID, subject, sid string) string {
	t.Helper()
	token, err := k.Sign(oauth.TypeIDToken, jwt.MapClaims{"iss": issuer, "aud": clientID, "sub": subject, "sid": sid, "exp": 1})
	check(t, err)
	return token
}

func (g *rig) access(reference string) storage.LiveAccess {
	g.t.Helper()
	live, err := g.store.FindAccess(context.Background(), oauth.DefaultTenant, tokens.Hash(reference))
	check(g.t, err)
	return live
}

// revoker is the room of revocations, as little of it as is needed here.
type revoker struct{ rig *rig }

func (r revoker) Revoke(ctx context.Context, tenant string, kind storage.Kind, target, by string) (storage.Revocation, error) {
	return r.rig.store.Revoke(ctx, storage.Revocation{Tenant: tenant, ID: rand.Text(), Kind: kind, Target: target, By: by, At: r.rig.now()})
}
