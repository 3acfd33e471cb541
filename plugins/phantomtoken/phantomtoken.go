// Package phantomtoken turns a reference, the opaque string a client holds, into a phantom token: a JWT for one
// route's audience and scopes.
//
// A Swapper answers from its cache, or else asks the issuer, once for all that wait for the same answer: its own by
// introspection (RFC 7662, application/jwt), a foreign one in the way that one has (see Answer). What the issuer says is
// verified before anybody gets it and before it is cached. The
// cache holds facts beside each token, so that a policy judges a hit as it judges a miss, without parsing anything.
//
// With the issuer's revocation feed (package feed) a hit is no older than the last revocation that was heard of, and when
// the feed is silent for too long, nothing is a hit: the issuer is asked each time. An answer is only shared with somebody
// who came after the question was sent if the feed vouches for it.
//
// The package decides whether a token is what was asked for, not whether that is enough for a route: see package
// policy.
package phantomtoken

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/phantomgate/phantomgate/plugins/feed"
	"github.com/phantomgate/phantomgate/plugins/policy"
)

// Config is what a Swapper needs to know. All of it is required, except where a default is named.
type Config struct {
	// Issuer is the issuer's name as in `iss`; Tenant the one whose tokens are taken.
	Issuer, Tenant string
	// Answer is how the issuer answers; AnswerPhantom when empty. Every other one is a foreign issuer's.
	Answer Answer
	// Accept is what passes of a foreign issuer only.
	Accept Accept
	// IntrospectionEndpoint and JWKSURI are where the issuer is asked. With AnswerTokenExchange the first one is the
	// token endpoint.
	IntrospectionEndpoint, JWKSURI string
	// ClientID and ClientSecret authenticate this gateway to the issuer.
	ClientID, ClientSecret string
	// ClientAuth is how; ClientAuthBasic when empty.
	ClientAuth ClientAuth
	// Timeout bounds one introspection together with the verification of its answer.
	Timeout time.Duration

	// MaxAge is the longest life of a cached token.
	MaxAge time.Duration
	// MaxBytes bounds the cached tokens, rounded down to whole MiB, at least one. On top come the index, and some of those
	// served lately, ready to be served again: a quarter of MaxBytes at most, and 16 MiB at most.
	MaxBytes int64
	// NegativeMaxAge is how long a "no" is remembered, NegativeEntries how many are.
	NegativeMaxAge  time.Duration
	NegativeEntries int

	// Feed knows what was revoked; nil when the issuer has no feed. It is of the issuer's kind, our own or a foreign one.
	Feed *feed.State
	// MaxStaleness is how long the feed may be silent before nothing is served from the cache. An Ask may have its own.
	MaxStaleness time.Duration

	// MaxInFlight bounds the introspections under way at once; 256 when 0.
	MaxInFlight int
	// Transport carries requests to the issuer. The default is a transport of the Swapper's own, without a proxy.
	Transport http.RoundTripper
	// Logger takes failures of the issuer. No token and no secret is logged.
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Token is a verified phantom token.
type Token struct {
	// Header is the Authorization header that carries it, ready to be put in a request. It must not be changed.
	Header []string
	// Facts are what policy judges.
	Facts policy.Facts
}

// The reasons for which there is no token. Each may come wrapped; errors.Is and errors.As find them.
var (
	// ErrInactive: garbage, unknown, expired or revoked.
	ErrInactive = errors.New("the reference is not active")
	// ErrInsufficient: alive, and without anything for this audience and these scopes.
	ErrInsufficient = errors.New("the token has nothing for this audience and these scopes")
	// ErrIssuer: the issuer's answer cannot be used.
	ErrIssuer = errors.New("the issuer's answer is not usable")
	// ErrTimeout: the issuer did not answer in time.
	ErrTimeout = errors.New("the issuer did not answer in time")
)

// UnavailableError says that the token cannot be checked now.
type UnavailableError struct {
	// RetryAfter is when to try again.
	RetryAfter time.Duration
	reason     string
}

func (e *UnavailableError) Error() string { return "the token cannot be checked now: " + e.reason }

// Ask is what one route asks the issuer for. Routes that ask for the same share what is cached.
type Ask struct {
	audience string
	scopes   []string // sorted
	id       [16]byte // stands for issuer, tenant, audience and scopes in every cache key
	form     string   // the constant part of the request to the issuer; begins with "&" unless empty

	maxStaleness time.Duration
}

// Within returns a as asked for by a route on which the feed may be silent for that long. What is cached is shared with a.
func (a *Ask) Within(maxStaleness time.Duration) *Ask {
	other := *a
	other.maxStaleness = maxStaleness
	return &other
}

// Swapper swaps references for phantom tokens. It is safe for concurrent use.
type Swapper struct {
	issuer, tenant string
	references     references

	store    *store
	negative *negativeStore
	flights  *flights[key, landed]
	feed     *feed.State // nil without one
	breaker  *breaker
	source   *introspection
	verifier *verifier

	maxAge, maxStaleness time.Duration

	logger *slog.Logger
	quiet  quiet
	now    func() time.Time
	jitter func() float64
	after  func(time.Duration) <-chan time.Time
}

const (
	defaultMaxInFlight = 256
	// mostAsks is how often a question is asked whose answers are out of date when they come.
	mostAsks = 3
)

// New makes a Swapper. It does not ask the issuer. The caller ends it with Close.
func New(cfg Config) (*Swapper, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	client := newClient(cfg.Transport)
	store, err := newStore(cfg.MaxBytes, cfg.MaxAge)
	if err != nil {
		return nil, err
	}
	source, err := newIntrospection(cfg, client)
	if err != nil {
		return nil, err
	}
	maxInFlight := cfg.MaxInFlight
	if maxInFlight == 0 {
		maxInFlight = defaultMaxInFlight
	}
	store.feed = cfg.Feed
	asks := newFlights[key, landed](cfg.Timeout, maxInFlight)
	// The issuer may have read the token just before it was revoked: an answer is no younger than its question.
	asks.joinable, asks.now = cfg.MaxAge, cfg.Now
	asks.reserved, asks.favoured = maxInFlight/4, store.knew // a flood of made-up references leaves the known ones room
	return &Swapper{
		issuer: cfg.Issuer, tenant: cfg.Tenant,
		references: references{foreign: cfg.foreign(), jwt: cfg.Accept.JWTReferences},

		store:    store,
		negative: newNegativeStore(cfg.NegativeEntries, cfg.NegativeMaxAge),
		flights:  asks,
		breaker:  newBreaker(),
		source:   source,
		verifier: newVerifier(cfg, newKeySet(cfg, client)),
		feed:     cfg.Feed, maxAge: cfg.MaxAge, maxStaleness: cfg.MaxStaleness,
		logger: cfg.Logger, now: cfg.Now, jitter: randomJitter, after: time.After,
	}, nil
}

func (c Config) foreign() bool { return c.Answer != "" && c.Answer != AnswerPhantom }

// narrows tells whether the issuer is asked for one audience and its scopes, or has but one answer for a reference.
func (c Config) narrows() bool { return !c.foreign() || c.Answer == AnswerTokenExchange }

func (c Config) check() error {
	var errs []error
	if c.Accept != (Accept{}) && !c.foreign() {
		errs = append(errs, errors.New("Accept is for foreign issuers only"))
	}
	for _, f := range []struct{ name, value string }{
		{"Issuer", c.Issuer}, {"Tenant", c.Tenant}, {"IntrospectionEndpoint", c.IntrospectionEndpoint},
		{"JWKSURI", c.JWKSURI}, {"ClientID", c.ClientID}, {"ClientSecret", c.ClientSecret},
	} {
		if f.value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", f.name))
		}
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Timeout", int64(c.Timeout)}, {"MaxAge", int64(c.MaxAge)}, {"MaxBytes", c.MaxBytes},
		{"NegativeMaxAge", int64(c.NegativeMaxAge)}, {"NegativeEntries", int64(c.NegativeEntries)},
	} {
		if f.value <= 0 {
			errs = append(errs, fmt.Errorf("%s must be above zero", f.name))
		}
	}
	if c.Feed != nil && (c.foreign() != c.Feed.Foreign() || c.MaxStaleness <= 0) {
		errs = append(errs, errors.New("a Feed is of the issuer's kind, and wants a MaxStaleness above zero"))
	}
	if c.Logger == nil || c.Now == nil {
		errs = append(errs, errors.New("missing: Logger and Now"))
	}
	return errors.Join(errs...)
}

// Ask prepares what a route asks for; scopes must be sorted, at most policy.MaxScopes, each once.
func (s *Swapper) Ask(audience string, scopes []string) *Ask {
	a := &Ask{audience: audience, scopes: slices.Clone(scopes), maxStaleness: s.maxStaleness}
	if form := s.source.dialect.form(audience, scopes); len(form) > 0 {
		a.form = "&" + form.Encode()
	}

	var material []byte
	for _, part := range append([]string{s.issuer, s.tenant, audience}, scopes...) {
		// The length before each part keeps two lists of parts from reading alike.
		material = binary.BigEndian.AppendUint64(material, uint64(len(part)))
		material = append(material, part...)
	}
	sum := sha256.Sum256(material)
	copy(a.id[:], sum[:])
	return a
}

// Swap returns the phantom token for reference and ask, and whether that was known without asking the issuer. It is now
// that the caller begins. On an error there is no token, and the error is one of those of this package or ctx's own.
func (s *Swapper) Swap(ctx context.Context, reference string, ask *Ask, now time.Time) (token Token, cached bool, err error) {
	if !s.references.fit(len(reference)) {
		return Token{}, true, ErrInactive
	}
	return s.SwapHashed(ctx, reference, hashOf(reference), ask, now)
}

// SwapHashed is Swap for a caller that has the SHA-256 of reference at hand. It must be that: the cached token is found by
// it alone.
func (s *Swapper) SwapHashed(ctx context.Context, reference string, hash [sha256.Size]byte, ask *Ask, now time.Time) (token Token, cached bool, err error) {
	k := keyOf(&hash, ask)
	if s.fresh(ask, now) {
		if token, ok := s.store.get(&k, now.UnixMilli()); ok {
			return token, true, nil
		}
	}
	return s.miss(ctx, reference, ask, k, now)
}

func (s *Swapper) miss(ctx context.Context, reference string, ask *Ask, k key, now time.Time) (Token, bool, error) {
	if !s.references.has(reference) {
		return Token{}, true, ErrInactive
	}
	if reason := s.negative.get(k, now); reason != nil {
		return Token{}, true, reason
	}
	newest, fresh := s.flights.newest(), s.fresh(ask, now)
	if err := s.spread(ctx, k, now); err != nil {
		return Token{}, false, err
	}
	for range mostAsks {
		found, number, err := s.flights.share(ctx, k, func(ctx context.Context) (landed, error) {
			return s.fly(ctx, reference, ask, k, fresh)
		})
		if err != nil {
			return Token{}, false, err
		}
		// A flight that began after this caller came brings what is right, unless it looked into the cache for somebody who is
		// content with less. An older one may have been overtaken by a revocation that was answered before this caller came:
		// only a feed that is heard can tell, and only now.
		if number > newest && (found.asked || fresh) || fresh && s.vouched(found) {
			// Each caller gets a header of its own: others wait for the same answer, and some programs change headers in place.
			return Token{Header: slices.Clone(found.Header), Facts: found.Facts}, false, nil
		}
	}
	return Token{}, false, &UnavailableError{time.Second, "its answers are out of date when they come"}
}

// fly asks the issuer, verifies its answer and remembers it, for everybody who waits for k. fresh allows it to look into
// the cache first.
func (s *Swapper) fly(ctx context.Context, reference string, ask *Ask, k key, fresh bool) (landed, error) {
	// Another flight may have landed between this caller's look into the cache and now.
	if fresh {
		if token, ok := s.store.get(&k, s.now().UnixMilli()); ok {
			return landed{Token: token}, nil
		}
	}
	for range mostAsks {
		sent := s.now()
		var at feed.Position
		placed := false
		if s.feed != nil && s.feed.Foreign() {
			at, placed = s.feed.Here()
		}
		found, facts, err := s.fetch(ctx, reference, ask)
		if err != nil {
			s.failed(k, ask, err)
			return landed{}, err
		}
		if s.feed != nil && s.feed.Foreign() {
			found.revocation = named(found.jwt, at, placed)
		}
		if l, ok := s.land(k, found, facts, sent); ok {
			return l, nil
		}
	}
	return landed{}, &UnavailableError{time.Second, "its answers are out of date when they come"}
}

// fetch asks the issuer and verifies its answer.
func (s *Swapper) fetch(ctx context.Context, reference string, ask *Ask) (answer, policy.Facts, error) {
	found, err := s.askIssuer(ctx, reference, ask)
	if err != nil {
		return answer{}, policy.Facts{}, err
	}
	facts, err := s.verifier.verify(ctx, found.jwt, ask)
	return found, facts, err
}

// failed remembers or logs why there is no answer for k.
func (s *Swapper) failed(k key, ask *Ask, err error) {
	switch {
	case errors.Is(err, ErrInactive):
		s.negative.put(k, ErrInactive, s.now())
	case errors.Is(err, ErrInsufficient):
		s.negative.put(k, ErrInsufficient, s.now())
	case errors.Is(err, context.Canceled), errors.Is(err, errBreakerOpen):
		// Nobody waits any more; or the issuer was not asked, which was logged when the breaker opened.
	default:
		s.logger.Warn("introspection failed", "audience", ask.audience, "error", err)
	}
}

// land makes a verified answer a Token and caches it for as long as everybody agrees to. With a feed, an answer that it
// cannot follow is not cached at all, and one that a revocation has overtaken is none: then ok is false.
func (s *Swapper) land(k key, found answer, facts policy.Facts, sent time.Time) (l landed, ok bool) {
	e := &entry{key: k, facts: facts, header: "Bearer " + found.jwt}
	l = landed{Token: e.token(), asked: true}
	l.on, l.followed = s.follow(found.revocation)
	if l.followed && !s.vouched(l) {
		return landed{}, false
	}
	e.on, e.until = l.on, s.servedUntil(found, facts, sent)
	if s.keepable(l) && e.until > s.now().UnixMilli() {
		if err := s.store.put(e); err != nil {
			s.logger.Warn("a phantom token was not cached", "error", err)
		}
	}
	return l, true
}

// servedUntil returns the moment, in Unix milliseconds, from which a cached answer is not served: the earliest of the
// token's own end, the answer's Cache-Control and our maximum, up to a tenth earlier, so that tokens that were fetched
// together are not all asked for again together. Time is counted from when we asked, as the issuer may have been slow.
func (s *Swapper) servedUntil(found answer, facts policy.Facts, sent time.Time) int64 {
	life := s.maxAge
	if found.limited {
		life = min(life, found.maxAge)
	}
	life = min(life, time.UnixMilli(facts.Expires).Sub(sent))
	return sent.UnixMilli() + int64(float64(life.Milliseconds())*(1-s.jitter()/10))
}

// askIssuer asks the issuer if the breaker allows it.
func (s *Swapper) askIssuer(ctx context.Context, reference string, ask *Ask) (found answer, err error) {
	attempt, wait := s.breaker.enter(s.now())
	if wait > 0 {
		return answer{}, fmt.Errorf("%w: %w", errBreakerOpen, &UnavailableError{wait, "it has been failing"})
	}
	v := unknown // also when asking panics: a probe that never came back would keep the breaker open for ever
	defer func() {
		if change := s.breaker.leave(attempt, v, s.now()); change != "" {
			s.logger.Warn("circuit breaker of the issuer", "state", change, "error", err)
		}
	}()
	found, err = s.source.ask(ctx, reference, ask)
	v = verdictOf(err)
	return found, err
}

// verdictOf tells what an answer says about the issuer's health: an issuer that refuses us is a healthy one.
func verdictOf(err error) verdict {
	switch {
	case errors.Is(err, context.Canceled):
		return unknown
	case errors.Is(err, ErrTimeout), isUnavailable(err):
		return failed
	}
	return worked
}

func isUnavailable(err error) bool {
	var unavailable *UnavailableError
	return errors.As(err, &unavailable)
}

// Close cancels what is under way, waits until it has ended, and closes idle connections. Afterwards whatever is not
// cached is refused. It may be called more than once.
func (s *Swapper) Close() error {
	s.flights.close()
	s.verifier.keys.close()
	s.source.client.CloseIdleConnections()
	return nil // BigCache has nothing to end: we start no cleaner
}
