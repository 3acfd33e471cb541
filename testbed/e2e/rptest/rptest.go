// Package rptest plays a relying party, its users and an operator against a whole issuer over real HTTP, for the tests
// below e2e. It knows the wire and nothing of the issuer's inside.
package rptest

import (
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
	"github.com/phantomgate/phantomgate/testbed/browser"
)

// config has secrets with every character that a client could forget to encode.
const config = `
policies:
  patient: {access_token: 20m, session: 12h}
  app: {refresh: always}
audiences:
  - name: catalogue
    title: Catalogue
    scopes: [{name: catalogue.read, title: See}, {name: catalogue.write, title: Change}]
    claims: [region]
  - {name: basket, title: Basket, scopes: [{name: basket.read, title: See}]}
  - {name: discount, title: Discount, scopes: [{name: discount.fullaccess, title: Work out}]}
  - {name: admin, title: Operators, scopes: [{name: admin, title: Operate}]}
clients:
  - id: web
    name: The web shop
    secret: {demo: "web+secret/=%:& é"}
    grant_types: [authorization_code, refresh_token]
    redirect_uris: ["https://app.example/callback", "https://app.example/callback?kept=1", "http://127.0.0.1/callback"]
    post_logout_redirect_uris: ["https://app.example/goodbye", "http://127.0.0.1/goodbye"]
    scopes: [openid, profile, email, offline_access, catalogue.read, catalogue.write, basket.read]
  - id: other
    name: Another shop
    secret: {demo: other-secret}
    grant_types: [authorization_code, refresh_token]
    redirect_uris: ["https://other.example/callback"]
    post_logout_redirect_uris: ["https://other.example/goodbye"]
    scopes: [openid, profile, email, offline_access, catalogue.read, basket.read]
    policy: patient
  - id: front
    name: The shop's own front
    secret: {demo: front-secret}
    grant_types: [authorization_code, refresh_token]
    redirect_uris: ["https://front.example/callback"]
    scopes: [openid, profile, offline_access, catalogue.read]
    consent: skip
  - id: spa
    name: The shop in the browser
    secret: {demo: spa-secret}
    grant_types: [authorization_code, refresh_token]
    redirect_uris: ["https://app.example/callback"]
    post_logout_redirect_uris: ["https://app.example/goodbye"]
    scopes: [openid, catalogue.read]
    policy: app
    consent: skip
  - id: native
    name: The app
    public: true
    grant_types: [authorization_code, refresh_token]
    redirect_uris: ["http://127.0.0.1/callback", "http://[::1]/callback", "com.example.app:/callback"]
    scopes: [openid, profile, offline_access, catalogue.read]
  - id: kiosk
    name: The shop's own app
    public: true
    grant_types: [authorization_code]
    redirect_uris: ["http://127.0.0.1/callback"]
    scopes: [openid, catalogue.read]
    consent: skip
  - {id: job, name: Job, secret: {demo: job-secret}, grant_types: [client_credentials], scopes: [catalogue.read, catalogue.write]}
  - {id: gateway, name: Gateway, secret: {demo: gateway-secret}, introspects: [catalogue, basket]}
  - {id: basket-gateway, name: Gateway, secret: {demo: basket-gateway-secret}, introspects: [basket]}
  - id: basket-api
    name: The basket's service
    secret: {demo: basket-api-secret}
    grant_types: ["urn:ietf:params:oauth:grant-type:token-exchange"]
    exchange: [{from: basket, audience: discount, scopes: [discount.fullaccess]}]
  - {id: operator, name: Operator, secret: {demo: operator-secret}, grant_types: [client_credentials], scopes: [admin]}
users:
  - {login: alice, password: {demo: alice-password}, claims: {name: Alice Arendt, email: alice@example.com, email_verified: true, region: eu}}
  - {login: bob, password: {demo: bob-password}, claims: {name: Bob Bennett, region: us}}
`

// The apps of the config. Their redirect URIs lead to the rest of the web, which World answers for.
func Web() App {
	return App{ID: "web", Secret: "web+secret/=%:& é", RedirectURI: "https://app.example/callback"}
}

func Other() App {
	return App{ID: "other", Secret: "other-secret", RedirectURI: "https://other.example/callback"}
}

// SPA is a browser app behind a token handler: its refresh references live and end with the login.
func SPA() App {
	return App{ID: "spa", Secret: "spa-secret", RedirectURI: "https://app.example/callback"}
}

func Front() App {
	return App{ID: "front", Secret: "front-secret", RedirectURI: "https://front.example/callback"}
}
func Native() App  { return App{ID: "native", RedirectURI: "http://127.0.0.1:49152/callback"} }
func Kiosk() App   { return App{ID: "kiosk", RedirectURI: "http://127.0.0.1:49152/callback"} }
func Job() App     { return App{ID: "job", Secret: "job-secret"} }
func Gateway() App { return App{ID: "gateway", Secret: "gateway-secret"} }
func BasketGateway() App {
	return App{ID: "basket-gateway", Secret: "basket-gateway-secret"}
}
func BasketAPI() App {
	return App{ID: "basket-api", Secret: "basket-api-secret"}
}
func Operator() App { return App{ID: "operator", Secret: "operator-secret"} }

// App is a registered client.
type App struct {
	ID, Secret, RedirectURI string
}

// World is an issuer with everybody who deals with it.
type World struct {
	*authservertest.Issuer
	Clock *Clock       // nil: the machine's
	Rest  *Rest        // where redirects to apps lead
	HTTP  *http.Client // follows no redirect, keeps no cookie
}

// Options of New. The zero Options are fine.
type Options struct {
	Clock  *Clock // an issuer that lives by it
	Logger *slog.Logger
}

// New starts a world that ends with the test.
func New(t testing.TB, o Options) *World {
	t.Helper()
	issuer := authservertest.Options{Config: config, Logger: o.Logger}
	if o.Clock != nil {
		issuer.Now = o.Clock.Now
	}
	transport := &http.Transport{}
	w := &World{Issuer: authservertest.New(t, issuer), Clock: o.Clock}
	t.Cleanup(transport.CloseIdleConnections) // runs before the issuer ends
	w.Rest = &Rest{issuer: w.URL, network: transport}
	w.HTTP = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return w
}

// Browser is a person's browser without cookies.
func (w *World) Browser(t testing.TB) *browser.Browser {
	t.Helper()
	b, err := browser.New(w.Rest)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Clock is a clock that a test moves by hand.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock makes a clock that stands at the present, on a whole second.
func NewClock() *Clock { return &Clock{now: time.Now().Truncate(time.Second)} }

// Now is the time it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves it on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Password is what the config says.
func Password(login string) string { return login + "-password" }
