// Package gateway is the ordered walk of a request through phantomgate, and the one package a binding calls.
//
// A binding reads a Config, makes a Gateway, and for each request calls Authorize. The Outcome is either a Refusal,
// which the binding writes, or leave to go on: then the binding calls Apply, which makes the request fit for the API.
//
//	if g.ServeAgent(w, r) { // a browser's login, or its preflight
//		return
//	}
//	outcome := g.Authorize(r)
//	if refusal := outcome.Refusal(); refusal != nil {
//		refusal.Write(w)
//		return
//	}
//	outcome.Apply(r)
//	// forward r, and answer through outcome.Writer(w)
//
// Whatever is missing, malformed or unexpected refuses; nothing passes because a check could not be made.
package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/phantomgate/phantomgate/plugins/feed"
	"github.com/phantomgate/phantomgate/plugins/phantomtoken"
	"github.com/phantomgate/phantomgate/plugins/policy"
	"github.com/phantomgate/phantomgate/plugins/tokenhandler"
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
	// Getenv looks up secrets that the configuration names by environment variable; os.LookupEnv when nil.
	Getenv func(name string) (string, bool)
	// TokenHandler is one that several gateways share (NewTokenHandler); Close leaves it open. When nil, the gateway
	// makes its own if the configuration has one.
	TokenHandler *tokenhandler.Handler
	// Feed is one that several gateways of the same issuer and client share (NewFeed); Close leaves it open. When nil, the
	// gateway makes and starts its own, unless the configuration says that there is none.
	Feed *feed.Feed
}

// Gateway decides about requests. It is safe for concurrent use.
type Gateway struct {
	logger   *slog.Logger
	now      func() time.Time
	table    *policy.Table
	asks     []*phantomtoken.Ask // by Route.Index
	swapper  *phantomtoken.Swapper
	identity *identityTable

	ownFeed     *feed.Feed            // which Close closes; nil without one
	tokens      *tokenhandler.Handler // nil without one
	ownTokens   bool                  // Close closes them
	allowBearer bool                  // beside the token handler
	cookies     [][]string            // forwarded, by Route.Index

	// The refusals that answer the most requests; the others are made when they are needed.
	noToken, manyHeaders, hopByHop, invalidToken *policy.Refusal
}

// New makes a Gateway. It reports every fault of cfg it can find: those of Validate, and a secret that cannot be had.
// It does not wait for the issuer: one that is down at start is no fault. Close ends what the gateway holds.
func New(cfg Config, opts Options) (*Gateway, error) {
	opts = opts.withDefaults()
	faults := validate(cfg)
	secret, fault := cfg.Issuer.secret().read(opts.Getenv)
	if fault != nil {
		faults = append(faults, fault)
	}
	complete := cfg.withDefaults()
	var tokens tokenhandler.Config
	if cfg.TokenHandler != nil && opts.TokenHandler == nil {
		var more []*Fault
		tokens, more = complete.TokenHandler.complete(complete.Issuer, opts.Getenv)
		faults = append(faults, more...)
	}
	if err := joined(faults); err != nil {
		return nil, err
	}
	heard, own, err := heardFeed(complete, secret, opts)
	if err != nil {
		return nil, err
	}
	g, err := build(complete, secret, heard, opts)
	if err != nil {
		return nil, err // own has asked nobody, and holds nothing
	}
	g.ownFeed = own
	if cfg.TokenHandler != nil {
		if err := g.addTokenHandler(complete, tokens, opts); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	if own != nil {
		own.Start()
	}
	return g, nil
}

// addTokenHandler gives g the token handler that cfg, without faults, asks for.
func (g *Gateway) addTokenHandler(cfg Config, core tokenhandler.Config, opts Options) (err error) {
	g.allowBearer = cfg.TokenHandler.AllowBearer
	for _, route := range cfg.Routes {
		g.cookies = append(g.cookies, route.Cookies)
	}
	if g.tokens = opts.TokenHandler; g.tokens == nil {
		g.ownTokens = true
		if g.tokens, err = newTokenHandler(cfg, core, opts); err != nil {
			return err
		}
	}
	// The CSRF token is no API's business either.
	g.identity = newIdentityTable(slices.Concat(identityPatterns, cfg.IdentityHeaders, []string{g.tokens.CSRFHeader()}))
	return nil
}

// build makes a Gateway of a complete configuration without faults. heard is nil without a feed.
func build(cfg Config, secret string, heard *feed.State, opts Options) (*Gateway, error) {
	table, _ := policy.Compile(rules(cfg.Routes)) // cfg has no faults
	swapper, err := phantomtoken.New(phantomtoken.Config{
		Issuer: cfg.Issuer.Issuer, Tenant: cfg.Issuer.Tenant,
		Answer: phantomtoken.Answer(cfg.Issuer.Answer), Accept: cfg.Issuer.accept(),
		IntrospectionEndpoint: cfg.Issuer.asked(), JWKSURI: cfg.Issuer.JWKSURI,
		ClientID: cfg.Issuer.ClientID, ClientSecret: secret, ClientAuth: phantomtoken.ClientAuth(cfg.Issuer.ClientAuth),
		Timeout: time.Duration(cfg.Issuer.Timeout),
		MaxAge:  time.Duration(cfg.Cache.MaxAge), MaxBytes: cfg.Cache.MaxBytes,
		NegativeMaxAge: time.Duration(cfg.Cache.NegativeMaxAge), NegativeEntries: cfg.Cache.NegativeEntries,
		Feed: heard, MaxStaleness: time.Duration(cfg.Cache.MaxStaleness),
		Transport: opts.Transport, Logger: opts.Logger, Now: opts.Now,
	})
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		logger: opts.Logger, now: opts.Now, table: table, swapper: swapper,
		identity: newIdentityTable(slices.Concat(identityPatterns, cfg.IdentityHeaders)),
		noToken:  policy.NoToken(), invalidToken: policy.InvalidToken(),
		manyHeaders: policy.InvalidRequest("more than one Authorization header"),
		hopByHop:    policy.InvalidRequest("the Connection header names Authorization"),
	}
	for _, route := range table.Routes() {
		ask := swapper.Ask(route.Audience(), route.Asked())
		if own := cfg.Routes[route.Index()].MaxStaleness; own != 0 {
			ask = ask.Within(time.Duration(own))
		}
		g.asks = append(g.asks, ask)
	}
	return g, nil
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	return o
}

// Close ends what the gateway holds: connections to the issuer, requests to it that are under way, and its stream of the
// revocation feed, which may take two seconds. Afterwards whatever is not cached is refused; and what is cached, too, with a
// feed of its own.
func (g *Gateway) Close() error {
	err := g.swapper.Close()
	if g.ownFeed != nil {
		err = errors.Join(err, g.ownFeed.Close())
	}
	if g.ownTokens && g.tokens != nil {
		err = errors.Join(err, g.tokens.Close())
	}
	return err
}

// ServeAgent answers r when that is the token handler's to do: a preflight, or a request to the OAuth agent. It tells
// whether it did; when not, the request is one for Authorize. Without a token handler it never does.
func (g *Gateway) ServeAgent(w http.ResponseWriter, r *http.Request) (answered bool) {
	return g.tokens != nil && g.tokens.ServeAgent(w, r)
}

// Authorize decides about r by its path and method. It does not change r. A panic on the way refuses.
//
// When the answer is cached it makes, together with Outcome.Apply, 1 allocation, by a bearer token as by cookies that came
// before, if the token is one of those that are ready to be served again (see phantomtoken.Config.MaxBytes): the slice of the
// header. Otherwise there are 3, with BigCache's copies of the key and the entry, and once in four times a fourth, which makes
// it ready.
func (g *Gateway) Authorize(r *http.Request) (outcome Outcome) {
	defer g.refusePanics(&outcome)
	route, refusal := g.table.Match(r)
	return g.walk(r, route, refusal)
}

// AuthorizeOperation decides about r, which the caller has matched to an OpenAPI operation by itself. A path that is not in
// normal form is refused all the same. It does not change r.
func (g *Gateway) AuthorizeOperation(r *http.Request, operationID string) (outcome Outcome) {
	defer g.refusePanics(&outcome)
	route, refusal := g.table.Operation(operationID, r)
	return g.walk(r, route, refusal)
}

// refusePanics is deferred: a request on which our own code fails must not pass.
func (g *Gateway) refusePanics(outcome *Outcome) {
	if p := recover(); p != nil {
		g.logger.Error("panic while authorizing a request", "panic", p, "stack", string(debug.Stack()))
		*outcome = Outcome{refusal: policy.ServerError(), identity: g.identity}
	}
}

// walk takes r through the steps: credential (bearer token, or cookies by the token handler), phantom token, policy.
func (g *Gateway) walk(r *http.Request, route *policy.Route, refusal *policy.Refusal) Outcome {
	outcome := Outcome{identity: g.identity, tokens: g.tokens}
	switch {
	case refusal != nil, route.Open():
		outcome.refusal, outcome.allowed = refusal, refusal == nil
		if g.tokens != nil {
			outcome.response = g.tokens.ResponseTo(r)
		}
	default:
		g.swap(r, route, &outcome)
	}
	if g.tokens != nil && route != nil {
		outcome.cookies = g.cookies[route.Index()]
	}
	return outcome
}

// swap decides about a request to a route that asks for a token.
func (g *Gateway) swap(r *http.Request, route *policy.Route, outcome *Outcome) {
	if hopByHop(r.Header) {
		outcome.refusal = g.hopByHop
		return
	}
	now := g.now()
	brought, refusal := g.credential(r, route, now)
	outcome.response = brought.Response
	if refusal != nil {
		outcome.refusal = refusal
		return
	}
	if brought.Asked {
		now = g.now()
	}
	var token phantomtoken.Token
	var err error
	if ask := g.asks[route.Index()]; brought.Hash != [sha256.Size]byte{} {
		token, outcome.Cached, err = g.swapper.SwapHashed(r.Context(), brought.Reference, brought.Hash, ask, now)
	} else {
		token, outcome.Cached, err = g.swapper.Swap(r.Context(), brought.Reference, ask, now)
	}
	if err != nil {
		outcome.refusal = g.refusalOf(err, route)
		return
	}
	if !outcome.Cached {
		now = g.now() // asking took its time
	}
	if refusal := route.Judge(token.Facts, now); refusal != nil {
		outcome.refusal = refusal
		return
	}
	outcome.allowed, outcome.header = true, token.Header
}

// credential returns what r brings: a bearer token, put as a session of nothing but its reference, or cookies. With a
// token handler a bearer token counts only where that is allowed, and then before any cookie: a foreign page cannot send
// one. Any other Authorization header changes nothing.
func (g *Gateway) credential(r *http.Request, route *policy.Route, now time.Time) (s tokenhandler.Session, _ *policy.Refusal) {
	reference, err := phantomtoken.Bearer(r.Header)
	// Bearer returns that error as it is, and this is asked on every request.
	if g.tokens != nil && (!g.allowBearer || err == phantomtoken.ErrNoToken) {
		return g.tokens.Open(r, now)
	}
	if g.tokens != nil {
		s.Response = g.tokens.ResponseTo(r)
	}
	if err != nil {
		return s, g.refusalOf(err, route)
	}
	s.Reference = reference
	return s, nil
}

// refusalOf translates what package phantomtoken found into what the client is told. An error nobody thought of is
// ours.
func (g *Gateway) refusalOf(err error, route *policy.Route) *policy.Refusal {
	var unavailable *phantomtoken.UnavailableError
	switch {
	case errors.Is(err, phantomtoken.ErrNoToken):
		return g.noToken
	case errors.Is(err, phantomtoken.ErrManyHeaders):
		return g.manyHeaders
	case errors.Is(err, phantomtoken.ErrInactive):
		return g.invalidToken
	case errors.Is(err, phantomtoken.ErrInsufficient):
		return route.Insufficient()
	case errors.Is(err, phantomtoken.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return policy.IssuerTimeout()
	case errors.As(err, &unavailable):
		return policy.Unavailable(unavailable.RetryAfter)
	case errors.Is(err, context.Canceled):
		return policy.Unavailable(0)
	case errors.Is(err, phantomtoken.ErrIssuer):
		return policy.IssuerError()
	}
	return policy.ServerError()
}

// Outcome is the decision about one request. The zero Outcome refuses.
type Outcome struct {
	refusal  *policy.Refusal
	identity *identityTable
	header   []string // the new Authorization header; nil on an open route
	allowed  bool

	tokens   *tokenhandler.Handler // nil without one
	cookies  []string              // those that the route forwards
	response tokenhandler.Response

	// Cached tells whether the decision came without asking the issuer.
	Cached bool
}

// Refusal returns what to answer instead of forwarding, or nil when the request may go on.
func (o Outcome) Refusal() *policy.Refusal {
	if o.refusal == nil && !o.allowed {
		return policy.ServerError()
	}
	if o.refusal == nil || o.tokens == nil {
		return o.refusal
	}
	refusal := *o.refusal // which may be shared
	refusal.Header = http.Header{}
	o.response.Apply(refusal.Header)
	return &refusal
}

// Writer returns the writer for the API's answer: it adds what the token handler has to say to the browser. Without a
// token handler it is w itself.
func (o Outcome) Writer(w http.ResponseWriter) http.ResponseWriter {
	if o.tokens == nil {
		return w
	}
	return o.response.Writer(w)
}

// Apply makes r fit for the API: it removes every identity header that came from outside and sets Authorization to the
// phantom token, or removes it on an open route and after a refusal. With a token handler it also removes the cookies,
// but those that the route lists. An Upgrade stays only when it is to WebSocket, and no trailer stays. Call it
// before anything else adds headers for the API. The header map of r is changed in place.
func (o Outcome) Apply(r *http.Request) {
	if o.identity == nil {
		o.identity = newIdentityTable(identityPatterns) // the zero Outcome: keep to the promise all the same
	}
	o.identity.remove(r.Header)
	dropUpgrade(r.Header)
	endHop(r.Header)
	// What is taken out of the trailers comes back when the body has been read, so none are forwarded, as RFC 9110
	// section 6.5.1 allows.
	r.Trailer = nil
	if o.tokens != nil {
		o.tokens.StripCookies(r.Header, o.cookies)
	}
	if !o.allowed || o.header == nil {
		delete(r.Header, authorization)
		return
	}
	r.Header[authorization] = o.header
}
