// Package gateway is the ordered walk of a request through phantomgate, and the one package a binding calls.
//
// A binding reads a Config, makes a Gateway, and for each request calls Authorize. The Outcome is either a Refusal,
// which the binding writes, or leave to go on: then the binding calls Apply, which makes the request fit for the API.
//
//	outcome := g.Authorize(r)
//	if refusal := outcome.Refusal(); refusal != nil {
//		refusal.Write(w)
//		return
//	}
//	outcome.Apply(r)
//	// forward r
//
// Whatever is missing, malformed or unexpected refuses; nothing passes because a check could not be made.
package gateway

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/phantomgate/phantomgate/plugins/policy"
)

const authorization = "Authorization"

// Options are what a gateway needs of its host. Every one has a default.
type Options struct {
	// Logger takes what an operator must know; no token and no secret is ever logged. slog.Default() when nil.
	Logger *slog.Logger
	// Transport carries requests to the issuer. The default is a transport of the gateway's own, without a proxy.
	Transport http.RoundTripper
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Getenv looks up clientSecretEnv; os.LookupEnv when nil.
	Getenv func(name string) (string, bool)
}

// Gateway decides about requests. It is safe for concurrent use.
type Gateway struct {
	logger   *slog.Logger
	now      func() time.Time
	table    *policy.Table
	identity *identityTable
}

// New makes a Gateway. It reports every fault of cfg it can find, as Validate does, and does not ask the issuer: an
// issuer that is down at start is no fault. Close ends what the gateway holds.
func New(cfg Config, opts Options) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	table, _ := policy.Compile(rules(cfg.Routes)) // validated above
	g := &Gateway{
		logger: opts.Logger, now: opts.Now, table: table,
		identity: newIdentityTable(slices.Concat(identityPatterns, cfg.IdentityHeaders)),
	}
	if g.logger == nil {
		g.logger = slog.Default()
	}
	if g.now == nil {
		g.now = time.Now
	}
	return g, nil
}

// Close ends what the gateway holds: connections to the issuer, and requests to it that are under way. Requests that
// come later are refused.
func (g *Gateway) Close() error { return nil }

// Authorize decides about r by its path and method. It does not change r.
func (g *Gateway) Authorize(r *http.Request) Outcome {
	route, refusal := g.table.Match(r)
	return g.judge(r, route, refusal)
}

// AuthorizeOperation decides about r, which the caller has matched to an OpenAPI operation by itself. It does not
// change r.
func (g *Gateway) AuthorizeOperation(r *http.Request, operationID string) Outcome {
	route, refusal := g.table.Operation(operationID, r.Method)
	return g.judge(r, route, refusal)
}

func (g *Gateway) judge(r *http.Request, route *policy.Route, refusal *policy.Refusal) Outcome {
	switch {
	case refusal != nil:
		return Outcome{refusal: refusal, identity: g.identity}
	case route.Open():
		return Outcome{allowed: true, identity: g.identity}
	}
	return Outcome{refusal: policy.Unavailable(0), identity: g.identity}
}

// Outcome is the decision about one request. The zero Outcome refuses.
type Outcome struct {
	refusal  *policy.Refusal
	identity *identityTable
	header   []string // the new Authorization header; nil on an open route
	allowed  bool

	// Cached tells whether the decision came without asking the issuer.
	Cached bool
}

// Refusal returns what to answer instead of forwarding, or nil when the request may go on.
func (o Outcome) Refusal() *policy.Refusal {
	if o.refusal == nil && !o.allowed {
		return policy.ServerError()
	}
	return o.refusal
}

// Apply makes r fit for the API: it removes every identity header that came from outside and sets Authorization to the
// phantom token, or removes it on an open route and after a refusal. Call it before anything else adds headers for
// the API. The header map of r is changed in place.
func (o Outcome) Apply(r *http.Request) {
	if o.identity == nil {
		o.identity = newIdentityTable(identityPatterns) // the zero Outcome: keep to the promise all the same
	}
	o.identity.remove(r.Header)
	if len(r.Trailer) > 0 {
		o.identity.remove(r.Trailer)
		delete(r.Trailer, authorization)
	}
	if !o.allowed || o.header == nil {
		delete(r.Header, authorization)
		return
	}
	r.Header[authorization] = o.header
}
