// Package tokenhandler keeps tokens out of browsers: an OAuth agent logs a browser app in, refreshes it and logs it
// out (IETF "OAuth 2.0 for Browser-Based Applications", backend for frontend), and Open turns the cookies that the app
// then holds back into the opaque reference that the rest of the gateway works with.
//
// Nothing is stored on the server: each cookie is sealed for its own name, tenant and key, and all cookies of one login
// carry one stamp. So any replica serves any session, and no cookie stands in for another. What a replica does remember
// is bounded and only ever refuses: sessions that were logged out or ended by the issuer (see ended.go).
package tokenhandler

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unsafe"

	"github.com/golang-jwt/jwt/v5"
)

// Config is what a Handler needs to know. Faults tells what is wrong with one.
type Config struct {
	// Path is where the OAuth agent answers, such as "/oauth-agent".
	Path string
	// CookiePrefix names the app: its cookies are "__Host-<prefix>-…", its CSRF header is "x-<prefix>-csrf".
	CookiePrefix string
	// CookieKeys seal the cookies. The first one seals, all of them open: put a new key in front, and remove the old one
	// when SessionMaxAge has passed.
	CookieKeys []Key
	// Tenant is the tenant whose sessions these are.
	Tenant string
	// Origins are the origins that the app is served from, exactly as browsers write them.
	Origins []string
	// AllowHeaders and ExposeHeaders are request and response headers that a cross-origin app may use beyond the usual.
	AllowHeaders, ExposeHeaders []string

	// Issuer is the issuer's name as in `iss`.
	Issuer string
	// AuthorizationEndpoint and EndSessionEndpoint are where browsers are sent; the others are asked by this program.
	AuthorizationEndpoint, EndSessionEndpoint           string
	TokenEndpoint, RevocationEndpoint, UserInfoEndpoint string
	// WithoutIss accepts authorization answers without `iss` (RFC 9207). One that is there must be right all the same.
	WithoutIss bool

	// ClientID and ClientSecret are the app's registration at the issuer.
	ClientID, ClientSecret string
	// RedirectURI is the page of the app that the issuer sends browsers back to.
	RedirectURI string
	// PostLogoutRedirectURIs are the pages that a logout may lead to; the first one is the default.
	PostLogoutRedirectURIs []string
	// Scopes are asked for at login; "openid" must be among them.
	Scopes []string
	// ExtraParams names the parameters that the app may add to an authorization request.
	ExtraParams []string

	// SessionMaxAge ends a session that long after its login, however often it was refreshed.
	SessionMaxAge time.Duration
	// LoginMaxAge is how long a person may take to log in.
	LoginMaxAge time.Duration
	// RefreshMargin is how long before its end an access token is renewed on the way to an API; at most a quarter of the
	// token's life.
	RefreshMargin time.Duration
	// Timeout bounds one request to the issuer.
	Timeout time.Duration
}

// Key is one of the keys that seal cookies.
type Key struct {
	// ID tells the keys apart. It is bound into what the key seals.
	ID string
	// Secret is 32 random bytes.
	Secret []byte
}

// A Config and a Key print as their names: they hold secrets.
func (Config) String() string         { return "tokenhandler.Config" }
func (c Config) GoString() string     { return c.String() }
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
func (Key) String() string            { return "tokenhandler.Key" }
func (k Key) GoString() string        { return k.String() }
func (k Key) LogValue() slog.Value    { return slog.StringValue(k.String()) }

// Keys finds the issuer's public keys.
type Keys interface {
	KeyfuncCtx(ctx context.Context) jwt.Keyfunc
	Close() error
}

// Options are what a Handler needs of its host. All but Transport are required.
type Options struct {
	// Keys verify ID tokens and logout tokens. They are the Handler's: Close closes them.
	Keys Keys
	// Transport carries requests to the issuer; the default is a transport of the Handler's own, without a proxy.
	Transport http.RoundTripper
	// Logger takes what an operator must know. No token, cookie, code or secret is logged.
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Handler is the token handler of one app. It is safe for concurrent use.
type Handler struct {
	cfg    Config
	logger *slog.Logger
	now    func() time.Time

	names     names
	sealer    *sealer
	openings  *openings
	cors      cors
	csrfName  string // canonical
	issuer    *issuerClient
	verifier  *verifier
	refreshes *refreshes
	ended     *endedSessions
	endpoints map[string]endpoint
}

// New makes a Handler. It reports every fault of cfg, and does not ask the issuer. The caller ends it with Close.
func New(cfg Config, opts Options) (*Handler, error) {
	var errs []error
	for _, f := range cfg.Faults() {
		errs = append(errs, f)
	}
	if opts.Keys == nil || opts.Logger == nil || opts.Now == nil {
		errs = append(errs, errors.New("Keys, Logger and Now are needed"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	names := newNames(cfg.CookiePrefix)
	sealer, err := newSealer(cfg.CookieKeys, cfg.Tenant, names)
	if err != nil {
		return nil, err
	}
	csrfHeader := "x-" + cfg.CookiePrefix + "-csrf"
	h := &Handler{
		cfg: cfg, logger: opts.Logger, now: opts.Now,
		names: names, sealer: sealer, openings: newOpenings(),
		cors:      newCORS(cfg, csrfHeader),
		csrfName:  http.CanonicalHeaderKey(csrfHeader),
		issuer:    newIssuerClient(cfg, opts.Transport),
		verifier:  &verifier{issuer: cfg.Issuer, clientID: cfg.ClientID, keys: opts.Keys, now: opts.Now},
		refreshes: newRefreshes(cfg.Timeout),
		ended:     newEndedSessions(),
	}
	h.endpoints = h.routes()
	return h, nil
}

// Close waits for refreshes that are under way and closes idle connections. Later requests that need the issuer are
// refused.
func (h *Handler) Close() error {
	h.refreshes.close()
	h.issuer.client.CloseIdleConnections()
	return h.verifier.keys.Close()
}

// CSRFHeader returns the canonical name of the header that changing requests carry. It is no API's business.
func (h *Handler) CSRFHeader() string { return h.csrfName }

// IsAgentPath tells whether the OAuth agent answers for this path.
func (h *Handler) IsAgentPath(path string) bool {
	return strings.HasPrefix(path, h.cfg.Path) && (len(path) == len(h.cfg.Path) || path[len(h.cfg.Path)] == '/')
}

// sameText compares in constant time what somebody says with what is known.
func sameText(said, sealed string) bool {
	return subtle.ConstantTimeCompare(bytesOf(said), bytesOf(sealed)) == 1
}

// bytesOf returns s without a copy. Nobody may write to it.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// textOf returns b without a copy, when nobody will write to b any more.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
