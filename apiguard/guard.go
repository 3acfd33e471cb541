// Package apiguard is what an API needs to verify a phantom token by itself: the short-lived JWT access token (RFC 9068)
// that the gateway puts in place of the opaque reference its client holds.
//
// An API that believes a header because "only the gateway can reach me" is open to whoever gets past the gateway. So a
// Guard checks everything, on every request: the algorithm against an allow-list, the signature against the issuer's
// published keys, issuer, audience, type, times and scope. It reads the Authorization header and no other.
//
//	guard, err := apiguard.New(apiguard.Config{
//		Issuer:   "https://login.example.com",
//		JWKSURL:  "https://login.example.com/oauth/jwks",
//		Audience: "eventcatalog",
//	})
//	…
//	mux.Handle("GET /events", guard.Require("eventcatalog.read")(listEvents))
//
// A handler behind Require reads what was verified with FromContext.
//
// What a Guard does NOT do: it does not ask the issuer whether the token has been revoked. A JWT it accepts was good
// when it was minted, and the gateway lets it live a few minutes at most. An operation that must know better asks the
// issuer.
package apiguard

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bounds and defaults of Config.
const (
	defaultLeeway = 5 * time.Second
	maxLeeway     = time.Minute
	fetchTimeout  = 5 * time.Second
)

// supportedAlgorithms are the signatures a Guard can be told to accept. Symmetric ones (HS256, …) and "none" are not
// among them: with a public key as HMAC secret anybody can sign (RFC 8725 section 2.1).
var supportedAlgorithms = [...]string{"ES256", "EdDSA", "RS256"}

// Config says whose tokens an API accepts, and for whom they must be meant.
type Config struct {
	// Issuer is the issuer's public name. A token's "iss" must equal it to the letter (RFC 9068 section 4). Required.
	Issuer string
	// JWKSURL is where the issuer publishes its keys (RFC 7517), as this API reaches it. Required, and https unless the
	// host is a loopback one.
	JWKSURL string
	// Audience is this API's own name. A token's "aud" must be exactly this one. Required.
	Audience string
	// Algorithms are the accepted signatures; nil means ES256, EdDSA and RS256. Nothing else can be allowed.
	Algorithms []string
	// Leeway is how far the issuer's clock and ours may differ: 0 means 5 seconds, more than a minute is refused.
	Leeway time.Duration

	// InsecureAcceptOtherAudiences lets a token pass that names further audiences beside ours. Such a token works at
	// those APIs too, so each of them can use what it was sent to call us.
	InsecureAcceptOtherAudiences bool
	// InsecureKeysOverHTTP lets JWKSURL be plain http on a host that is not loopback. Whoever sits on that network can
	// then put their own key in place of the issuer's.
	InsecureKeysOverHTTP bool

	// Logger gets refusals (debug) and trouble with the keys (warning), never a token. Nil discards.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// HTTPClient fetches the keys; nil means one with a timeout of 5 seconds. Redirects are never followed.
	HTTPClient *http.Client
}

// Guard verifies access tokens for one API. It is safe for concurrent use, holds no goroutine and needs no closing.
type Guard struct {
	verifier *verifier
	realm    string
	logger   *slog.Logger
}

// New checks the config, reports all its faults at once, and makes a Guard. It does not call the issuer: the keys are
// fetched when the first token needs them, so an API can start before its issuer does.
func New(cfg Config) (*Guard, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("apiguard: %w", err)
	}
	cfg.setDefaults()
	return &Guard{verifier: newVerifier(cfg), realm: cfg.Audience, logger: cfg.Logger}, nil
}

func (cfg *Config) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if cfg.Issuer == "" {
		fault("Issuer is missing; set it to the issuer's public URL")
	}
	if cfg.Audience == "" {
		fault("Audience is missing; set it to this API's name at the issuer")
	}
	if strings.ContainsFunc(cfg.Audience, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		fault("Audience %q has a character that cannot stand in a challenge; use printable ASCII without blanks, quotes or backslashes", cfg.Audience)
	}
	if err := checkKeysURL(cfg.JWKSURL, cfg.InsecureKeysOverHTTP); err != nil {
		faults = append(faults, err)
	}
	if cfg.Algorithms != nil && len(cfg.Algorithms) == 0 {
		fault("Algorithms is empty, so that nothing could pass; name some of %v, or leave it nil for all of them", supportedAlgorithms)
	}
	for _, alg := range cfg.Algorithms {
		if !slices.Contains(supportedAlgorithms[:], alg) {
			fault("Algorithms: %q is not supported; choose from %v", alg, supportedAlgorithms)
		}
	}
	if cfg.Leeway < 0 || cfg.Leeway > maxLeeway {
		fault("Leeway is %v; set it between 0 and %v", cfg.Leeway, maxLeeway)
	}
	return errors.Join(faults...)
}

func checkKeysURL(raw string, allowHTTP bool) error {
	if raw == "" {
		return errors.New("JWKSURL is missing; set it to the issuer's jwks_uri")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("JWKSURL is not an absolute http(s) URL")
	}
	if u.User != nil {
		return errors.New("JWKSURL carries a user or password; the keys are public, take it out")
	}
	if u.Scheme == "http" && !allowHTTP && !isLoopback(u.Hostname()) {
		return errors.New("JWKSURL is plain http; use https, or set InsecureKeysOverHTTP if the network between is yours alone")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (cfg *Config) setDefaults() {
	if cfg.Algorithms == nil {
		cfg.Algorithms = supportedAlgorithms[:]
	}
	cfg.Algorithms = slices.Clone(cfg.Algorithms)
	if cfg.Leeway == 0 {
		cfg.Leeway = defaultLeeway
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client := http.Client{Timeout: fetchTimeout}
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	}
	// A key set comes from the configured address or not at all.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cfg.HTTPClient = &client
}
