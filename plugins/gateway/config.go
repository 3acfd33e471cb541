package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Config is what a gateway is told: one strict schema for every binding. Parse reads it from JSON; a binding with a
// language of its own fills the struct and calls Validate or New.
type Config struct {
	Issuer Issuer `json:"issuer"`
	Cache  Cache  `json:"cache,omitzero"`
	// IdentityHeaders are removed from outside requests in addition to the built-in list. A name ending in "*"
	// stands for every name that begins so.
	IdentityHeaders []string `json:"identityHeaders,omitempty"`
	// TokenHandler lets a browser app in with cookies; without it only bearer tokens count.
	TokenHandler *TokenHandler `json:"tokenHandler,omitempty"`
	Routes       []Route       `json:"routes"`
}

// Issuer says whose references these are and how to ask about them.
type Issuer struct {
	// Issuer is the issuer's name, exactly as it stands in `iss`.
	Issuer string `json:"issuer"`
	// URL is where the issuer is reached; Issuer when empty.
	URL string `json:"url,omitempty"`
	// IntrospectionEndpoint is URL + "/oauth/introspect" when empty. A foreign issuer's has no default.
	IntrospectionEndpoint string `json:"introspectionEndpoint,omitempty"`
	// JWKSURI is URL + "/oauth/jwks" when empty. A foreign issuer's has no default.
	JWKSURI string `json:"jwksUri,omitempty"`
	// FeedEndpoint is where the revocation feed's streams are made: URL + "/ssf/streams" when empty. A foreign issuer has a
	// feed only if this says where, and the two endpoints after it, too: it is the configuration endpoint of SSF 1.0.
	FeedEndpoint string `json:"feedEndpoint,omitempty"`
	// FeedTokenEndpoint gives this gateway the token for a foreign issuer's feed, by client credentials for FeedScope;
	// "ssf.manage" when empty. ClientAuth is honoured there.
	FeedTokenEndpoint string `json:"feedTokenEndpoint,omitempty"`
	FeedScope         string `json:"feedScope,omitempty"`
	// FeedVerificationEndpoint is where a foreign issuer is asked for proof that its feed comes through.
	FeedVerificationEndpoint string `json:"feedVerificationEndpoint,omitempty"`
	// NoFeed says that the issuer's revocation feed is not heard: then no token is cached for longer than a second. Of a
	// foreign issuer that goes without saying.
	NoFeed bool `json:"noFeed,omitempty"`
	// TokenEndpoint is asked in place of IntrospectionEndpoint when Answer is "token-exchange".
	TokenEndpoint string `json:"tokenEndpoint,omitempty"`

	// Answer says how the issuer answers: "phantom" (when empty), or how a foreign one does, that is one which is not
	// phantomgate's: "jwt", "json-jwt", "json-phantom-token" or "token-exchange" (see package phantomtoken).
	Answer string `json:"answer,omitempty"`
	// What follows is for foreign issuers and makes a promise of the gateway smaller, so each is said by name. None of it
	// lets a JWT pass that the issuer has not signed, that does not name the route's audience, or that has ended.

	// AcceptOtherAudiences lets JWTs pass that name other audiences beside the route's.
	AcceptOtherAudiences bool `json:"acceptOtherAudiences,omitempty"`
	// AcceptOtherScopes lets JWTs pass that carry scopes the route does not ask for; the API sees them.
	AcceptOtherScopes bool `json:"acceptOtherScopes,omitempty"`
	// AcceptTypJWT lets JWTs pass whose typ is "JWT" in place of "at+jwt" (RFC 9068).
	AcceptTypJWT bool `json:"acceptTypJwt,omitempty"`
	// AcceptJWTReferences lets clients send what looks like a JWT. The issuer is asked about it all the same.
	AcceptJWTReferences bool `json:"acceptJwtReferences,omitempty"`

	// ClientID is this gateway's name at the issuer. Its secret comes from exactly one of the three that follow.
	ClientID         string `json:"clientId"`
	ClientSecret     Secret `json:"clientSecret,omitempty"`
	ClientSecretFile string `json:"clientSecretFile,omitempty"`
	ClientSecretEnv  string `json:"clientSecretEnv,omitempty"`
	// ClientAuth is how id and secret are sent with a form (RFC 6749 section 2.3.1): "basic" (when empty), or "post". The
	// revocation feed of our own issuer has no forms: it is always sent Basic, which our issuer takes from every client.
	ClientAuth string `json:"clientAuth,omitempty"`

	// Tenant is the tenant whose tokens pass here; "default" when empty.
	Tenant string `json:"tenant,omitempty"`
	// Timeout bounds one introspection, verification included; 2 s when 0.
	Timeout Duration `json:"timeout,omitempty"`
}

// Cache bounds what the gateway remembers. A zero means the default.
type Cache struct {
	// MaxAge is the longest life of a cached phantom token. With a revocation feed 5 min when 0, which is also the most that
	// is allowed; 1 min with a foreign issuer's; 1 s without one.
	MaxAge Duration `json:"maxAge,omitempty"`
	// MaxStaleness is how long the revocation feed may be silent before nothing is served from the cache and the issuer is
	// asked about every request; 5 s when 0. The issuer speaks once a second: with less than three, a feed that is well
	// counts as silent now and then.
	MaxStaleness Duration `json:"maxStaleness,omitempty"`
	// MaxBytes bounds the cached phantom tokens, rounded down to whole MiB; 64 MiB when 0. On top come the index over them
	// (about 50 bytes an entry), and some of those served lately, ready to be served again: a quarter of MaxBytes at most,
	// and 16 MiB at most.
	MaxBytes int64 `json:"maxBytes,omitempty"`
	// NegativeMaxAge is how long a "no" of the issuer is remembered; 1 s when 0.
	NegativeMaxAge Duration `json:"negativeMaxAge,omitempty"`
	// NegativeEntries bounds how many are remembered; 65,536 when 0.
	NegativeEntries int `json:"negativeEntries,omitempty"`
}

// Route is one rule: which requests, and what they must carry. Exactly one of Path and OperationID is set.
type Route struct {
	// Path is exact, or ends in "/*" and then stands for the path before it and everything below.
	Path string `json:"path,omitempty"`
	// OperationID is the name of an OpenAPI operation that the binding has matched by itself.
	OperationID string `json:"operationId,omitempty"`
	// Methods this rule is for; empty stands for all that no other rule of the same path names.
	Methods []string `json:"methods,omitempty"`
	// Audience is the one audience the API behind this route is known by.
	Audience string `json:"audience,omitempty"`
	Scopes   Scopes `json:"scopes,omitzero"`
	// ACR lists the authentication context classes that will do; empty asks for none.
	ACR []string `json:"acr,omitempty"`
	// MaxAge is how long ago the user may have logged in; 0 does not ask.
	MaxAge Duration `json:"maxAge,omitempty"`
	// MaxStaleness is Cache.MaxStaleness for this route: how long it is served from the cache when the issuer is not heard.
	// It may be longer, or shorter.
	MaxStaleness Duration `json:"maxStaleness,omitempty"`
	// Open lets every request pass without a token, and passes no token on.
	Open bool `json:"open,omitempty"`
	// Cookies names those that are forwarded where there is a token handler; all others end at the gateway.
	Cookies []string `json:"cookies,omitempty"`
}

// Scopes that a route asks for: every one of All, and at least one of Any when there are any.
type Scopes struct {
	All []string `json:"all,omitempty"`
	Any []string `json:"any,omitempty"`
}

// Fault is one thing wrong with a configuration. Parse, Validate and New report every fault they find, joined by
// errors.Join; a binding can match Field to the line it came from.
type Fault struct {
	// Field is the place, such as "routes[2].audience", or empty when it is the whole document.
	Field string
	// Problem says what is wrong, and what to write instead.
	Problem string
}

func (f *Fault) Error() string {
	if f.Field == "" {
		return f.Problem
	}
	return f.Field + ": " + f.Problem
}

// Parse reads a configuration from JSON. It refuses unknown keys (also those that differ only in case), doubled keys,
// null, wrong types and everything Validate refuses, and reports all of it at once.
func Parse(data []byte) (Config, error) {
	var cfg Config
	faults, unread := decodeStrict(data, &cfg)
	// A field that could not be read has its fault already; "missing" beside it would be noise.
	for _, fault := range validate(cfg) {
		if !within(fault.Field, unread) {
			faults = append(faults, fault)
		}
	}
	if err := joined(faults); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// Validate reports every fault of c, or nil. It opens no file and asks nobody.
func (c Config) Validate() error {
	return joined(validate(c))
}

// within tells whether field is one of fields, or inside one of them. Everything is inside the field "".
func within(field string, fields []string) bool {
	for _, f := range fields {
		if rest, ok := strings.CutPrefix(field, f); ok && (f == "" || rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// joined returns faults as one error, or nil when there are none.
func joined(faults []*Fault) error {
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// Duration is a time.Duration that is written as a Go string ("1s", "5m") in JSON. It must be above zero: what can be
// left out is left out.
type Duration time.Duration

// MarshalJSON writes d as a Go string.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads a Go string above zero.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return errors.New(`must be a duration in quotes, such as "1s" or "5m"`)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf(`%q is not a duration; write one such as "1s" or "5m"`, s)
	}
	if v <= 0 {
		return fmt.Errorf("%q is not above zero; leave the key out for the default", s)
	}
	*d = Duration(v)
	return nil
}

// Secret is a string that shows itself in JSON only, never in a log or a message.
type Secret string

const redacted = "[redacted]"

func (Secret) String() string       { return redacted }
func (Secret) GoString() string     { return redacted }
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
