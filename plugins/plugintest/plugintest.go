// Package plugintest is the one suite that every gateway binding must pass.
//
// A binding says how to start its gateway (Binding); Run starts it before an
// Upstream and a scriptable Issuer and tries every case over HTTP, so that
// what is judged is the gateway as clients and APIs meet it and not the
// code's inside. The package's own tests run the suite against a small
// net/http reverse proxy, the model for other bindings, and then against
// gateways with one fault each: a case that no fault can make fail is not
// allowed to stay.
//
// It is for tests only and needs nothing but the standard library and the
// JWT library of the core.
package plugintest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Binding starts one kind of gateway.
type Binding interface {
	// Name names the binding in the test's output.
	Name() string
	// Start runs a gateway with config (gateway.Config as JSON) before
	// upstreamURL until the test ends. It returns an error if, and only if,
	// the gateway refuses the config. Whatever else goes wrong is t.Fatal's.
	Start(t testing.TB, config []byte, upstreamURL string) (Gateway, error)
}

// Gateway is a running gateway.
type Gateway struct {
	// URL is where clients reach it, without a slash at the end.
	URL string
	// Log returns all the gateway has logged, at its most talkative level.
	Log func() string
}

// Case is one behaviour every binding must show.
type Case struct {
	// Name is category/behaviour.
	Name string
	// Config changes the suite's configuration before the gateway starts.
	Config func(c *Config)
	// Prepare, if set, runs before the gateway starts.
	Prepare func(w *Walk)
	// Check tries the behaviour. It reports to w.T only.
	Check func(w *Walk)
}

// Cases returns every case, grouped by category.
func Cases() []Case {
	var all []Case
	for _, group := range [][]Case{
		tokenCases(), narrowingCases(), policyCases(), stepUpCases(), headerCases(), pathCases(),
		issuerCases(), jwtCases(), keyCases(), cacheCases(), missCases(), streamCases(), configCases(),
		cookieCases(), agentCases(), foreignCases(), foreignConfigCases(), feedCases(), feedFaultCases(), signalCases(),
	} {
		all = append(all, group...)
	}
	return all
}

// Run tries every case on b, each on a fresh issuer, upstream and gateway.
func Run(t *testing.T, b Binding) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.run(t, b, 0) })
	}
}

// Walk is one gateway between its issuer and its upstream, as a case sees it.
type Walk struct {
	T        testing.TB
	Issuer   *Issuer
	Upstream *Upstream
	Gateway  Gateway

	binding Binding
	config  *Config
	hurry   time.Duration // how long to wait for what may never come; 0: patience
}

func (c Case) run(t testing.TB, b Binding, hurry time.Duration) {
	w := &Walk{T: t, Issuer: NewIssuer(t), Upstream: NewUpstream(t), binding: b, hurry: hurry}
	w.config = NewConfig(w.Issuer.URL)
	if c.Config != nil {
		c.Config(w.config)
	}
	if c.Prepare != nil {
		c.Prepare(w)
	}
	w.start()
	c.Check(w)
	w.checkLog()
}

// start starts the gateway, or starts it again: then a new one takes the old
// one's place.
func (w *Walk) start() {
	w.T.Helper()
	var err error
	if w.Gateway, err = w.binding.Start(w.T, w.config.JSON(w.T), w.Upstream.URL); err != nil {
		w.T.Fatalf("the gateway refused the suite's config: %v", err)
	}
}

// checkLog looks for the issuer's canaries in the gateway's log: every
// reference, every JWT and the gateway's own secret.
func (w *Walk) checkLog() {
	w.T.Helper()
	log := w.Gateway.Log()
	for what, canaries := range w.Issuer.secrets() {
		for _, canary := range canaries {
			if strings.Contains(log, canary) {
				w.T.Errorf("the gateway's log holds a %s", what)
			}
		}
	}
}

// Config is gateway.Config as plain JSON members: the suite speaks the schema
// and not the core's types, since it tests what an operator writes.
type Config struct {
	Issuer          map[string]any   `json:"issuer"`
	Cache           map[string]any   `json:"cache"`
	IdentityHeaders []string         `json:"identityHeaders"`
	TokenHandler    map[string]any   `json:"tokenHandler,omitempty"`
	Routes          []map[string]any `json:"routes"`
}

// JSON encodes the config.
func (c *Config) JSON(t testing.TB) []byte {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The suite's routes, so that cases read like requests.
const (
	Events   = "/api/eventcatalog/events"    // GET eventcatalog.read, POST eventcatalog.write
	AnyOf    = "/api/eventcatalog/any"       // eventcatalog.write or eventcatalog.admin
	Strong   = "/api/eventcatalog/strong"    // eventcatalog.read with acr "strong"
	Fresh    = "/api/eventcatalog/fresh"     // eventcatalog.read, login of the last 5 minutes
	Tree     = "/api/eventcatalog/tree"      // /tree/*: eventcatalog.read
	AdminOf  = "/api/eventcatalog/tree/root" // eventcatalog.admin, more specific than Tree
	Basket   = "/api/shoppingbasket/basket"  // GET shoppingbasket.read
	Health   = "/health"                     // open
	gatewayS = "canary-gateway-secret-&+%"   // needs the form-encoding of RFC 6749, 2.3.1
)

// NewConfig returns the suite's configuration for the issuer at issuerURL.
func NewConfig(issuerURL string) *Config {
	route := func(audience, path, method string, scopes ...string) map[string]any {
		return map[string]any{"path": path, "methods": []string{method}, "audience": audience,
			"scopes": map[string]any{"all": scopes}}
	}
	strong := route("eventcatalog", Strong, "GET", "eventcatalog.read")
	strong["acr"] = []string{"strong"}
	fresh := route("eventcatalog", Fresh, "GET", "eventcatalog.read")
	fresh["maxAge"] = "5m"
	return &Config{
		Issuer: map[string]any{"issuer": issuerURL, "clientId": "gateway", "clientSecret": gatewayS, "timeout": "10s", "noFeed": true}, // the feed has cases of its own
		Cache:  map[string]any{"maxAge": "1s"},
		// X-My-User stands for whatever header an operator's API trusts.
		IdentityHeaders: []string{"X-My-User"},
		Routes: []map[string]any{
			route("eventcatalog", Events, "GET", "eventcatalog.read"),
			route("eventcatalog", Events, "POST", "eventcatalog.write"),
			{"path": AnyOf, "methods": []string{"GET"}, "audience": "eventcatalog",
				"scopes": map[string]any{"any": []string{"eventcatalog.write", "eventcatalog.admin"}}},
			strong, fresh,
			route("eventcatalog", Tree+"/*", "GET", "eventcatalog.read"),
			route("eventcatalog", AdminOf, "GET", "eventcatalog.admin"),
			route("shoppingbasket", Basket, "GET", "shoppingbasket.read"),
			{"path": Health, "methods": []string{"GET"}, "open": true},
		},
	}
}
