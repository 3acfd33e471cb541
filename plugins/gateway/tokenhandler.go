package gateway

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/plugins/phantomtoken"
	"github.com/phantomgate/phantomgate/plugins/tokenhandler"
)

// TokenHandler lets a browser app log in and call the APIs with cookies in place of tokens: see package tokenhandler.
type TokenHandler struct {
	// Path is where the OAuth agent answers; "/oauth-agent" when empty.
	Path string `json:"path,omitempty"`
	// CookiePrefix names the app: its cookies are "__Host-<prefix>-…", its CSRF header is "x-<prefix>-csrf".
	CookiePrefix string `json:"cookiePrefix"`
	// CookieKeys seal the cookies: the first one seals, all of them open.
	CookieKeys []CookieKey `json:"cookieKeys"`
	// Origins the app is served from, exactly as browsers write them.
	Origins []string `json:"origins"`
	// AllowBearer lets requests that bring a bearer token pass without cookies, for apps that are no browsers. Without
	// it only cookies count.
	AllowBearer bool `json:"allowBearer,omitempty"`
	// AllowHeaders and ExposeHeaders are headers that the app uses across origins beyond the usual ones.
	AllowHeaders  []string `json:"allowHeaders,omitempty"`
	ExposeHeaders []string `json:"exposeHeaders,omitempty"`

	// ClientID is the app's name at the issuer. Its secret comes from exactly one of the three that follow.
	ClientID         string `json:"clientId"`
	ClientSecret     Secret `json:"clientSecret,omitempty"`
	ClientSecretFile string `json:"clientSecretFile,omitempty"`
	ClientSecretEnv  string `json:"clientSecretEnv,omitempty"`

	// RedirectURI is the app's page that the issuer sends browsers back to; a logout may lead to one of
	// PostLogoutRedirectURIs, the first by default.
	RedirectURI            string   `json:"redirectUri"`
	PostLogoutRedirectURIs []string `json:"postLogoutRedirectUris"`
	// Scopes are asked for at login.
	Scopes []string `json:"scopes"`
	// ExtraParams are those that the app may add to an authorization request.
	ExtraParams []string `json:"extraParams,omitempty"`
	// WithoutIss is for issuers that do not say who they are in an authorization answer (RFC 9207).
	WithoutIss bool `json:"withoutIss,omitempty"`

	// AuthorizationEndpoint and EndSessionEndpoint, where browsers are sent, are below the issuer's name when empty:
	// "/oauth/authorize", "/oauth/logout". The others are below the issuer's URL: "/oauth/token", "/oauth/revoke",
	// "/oauth/userinfo".
	AuthorizationEndpoint string `json:"authorizationEndpoint,omitempty"`
	EndSessionEndpoint    string `json:"endSessionEndpoint,omitempty"`
	TokenEndpoint         string `json:"tokenEndpoint,omitempty"`
	RevocationEndpoint    string `json:"revocationEndpoint,omitempty"`
	UserInfoEndpoint      string `json:"userInfoEndpoint,omitempty"`

	// SessionMaxAge ends a session that long after its login; 8 h when 0.
	SessionMaxAge Duration `json:"sessionMaxAge,omitempty"`
	// LoginMaxAge is how long a person may take to log in; 10 min when 0.
	LoginMaxAge Duration `json:"loginMaxAge,omitempty"`
	// RefreshMargin is how long before its end an access token is renewed on the way to an API; 30 s when 0.
	RefreshMargin Duration `json:"refreshMargin,omitempty"`
}

// CookieKey is a key of 32 random bytes, in base64, from exactly one of Key, KeyFile and KeyEnv.
type CookieKey struct {
	// ID tells the keys apart, such as the day the key was made. It never changes and is never used again.
	ID      string `json:"id"`
	Key     Secret `json:"key,omitempty"`
	KeyFile string `json:"keyFile,omitempty"`
	KeyEnv  string `json:"keyEnv,omitempty"`
}

const (
	defaultAgentPath     = "/oauth-agent"
	defaultSessionMaxAge = 8 * time.Hour
	defaultLoginMaxAge   = 10 * time.Minute
	defaultRefreshMargin = 30 * time.Second
)

// withDefaults returns h with every default in place; i has its own already.
func (h TokenHandler) withDefaults(i Issuer) TokenHandler {
	public := strings.TrimSuffix(i.Issuer, "/")
	h.Path = orDefault(h.Path, defaultAgentPath)
	h.AuthorizationEndpoint = orDefault(h.AuthorizationEndpoint, public+"/oauth/authorize")
	h.EndSessionEndpoint = orDefault(h.EndSessionEndpoint, public+"/oauth/logout")
	h.TokenEndpoint = orDefault(h.TokenEndpoint, i.URL+"/oauth/token")
	h.RevocationEndpoint = orDefault(h.RevocationEndpoint, i.URL+"/oauth/revoke")
	h.UserInfoEndpoint = orDefault(h.UserInfoEndpoint, i.URL+"/oauth/userinfo")
	h.SessionMaxAge = orDefault(h.SessionMaxAge, Duration(defaultSessionMaxAge))
	h.LoginMaxAge = orDefault(h.LoginMaxAge, Duration(defaultLoginMaxAge))
	h.RefreshMargin = orDefault(h.RefreshMargin, Duration(defaultRefreshMargin))
	return h
}

// core returns what package tokenhandler needs to know; h and i have their defaults. The secrets come later.
func (h TokenHandler) core(i Issuer) tokenhandler.Config {
	cfg := tokenhandler.Config{
		Path: h.Path, CookiePrefix: h.CookiePrefix, Tenant: i.Tenant, Origins: h.Origins,
		AllowHeaders: h.AllowHeaders, ExposeHeaders: h.ExposeHeaders,
		Issuer: i.Issuer, AuthorizationEndpoint: h.AuthorizationEndpoint, EndSessionEndpoint: h.EndSessionEndpoint,
		TokenEndpoint: h.TokenEndpoint, RevocationEndpoint: h.RevocationEndpoint, UserInfoEndpoint: h.UserInfoEndpoint,
		WithoutIss: h.WithoutIss, ClientID: h.ClientID,
		RedirectURI: h.RedirectURI, PostLogoutRedirectURIs: h.PostLogoutRedirectURIs, Scopes: h.Scopes, ExtraParams: h.ExtraParams,
		SessionMaxAge: time.Duration(h.SessionMaxAge), LoginMaxAge: time.Duration(h.LoginMaxAge),
		RefreshMargin: time.Duration(h.RefreshMargin), Timeout: time.Duration(i.Timeout),
	}
	for _, key := range h.CookieKeys {
		cfg.CookieKeys = append(cfg.CookieKeys, tokenhandler.Key{ID: key.ID})
	}
	return cfg
}

func (h TokenHandler) secret() secretSource {
	return secretSource{"tokenHandler.clientSecret", h.ClientSecret, h.ClientSecretFile, h.ClientSecretEnv}
}

func (k CookieKey) secret(index int) secretSource {
	return secretSource{fmt.Sprintf("tokenHandler.cookieKeys[%d].key", index), k.Key, k.KeyFile, k.KeyEnv}
}

// validateTokenHandler reports what is wrong with the token handler, as far as that can be said without its secrets.
func validateTokenHandler(c Config, fault func(field, format string, args ...any)) {
	for i, route := range c.Routes {
		for j, name := range route.Cookies {
			at := fmt.Sprintf("routes[%d].cookies[%d]", i, j)
			switch {
			case c.TokenHandler == nil:
				fault(at, "is forwarded anyway: without a tokenHandler all cookies are; remove it")
			case name == "" || strings.HasPrefix(name, "__Host-"+c.TokenHandler.CookiePrefix+"-"):
				fault(at, "%q is not a cookie that an API may get; remove it", name)
			}
		}
	}
	if c.TokenHandler == nil {
		return
	}
	h := *c.TokenHandler
	defaulted := map[string]bool{ // reported as the issuer's, if at all
		"issuer": true, "timeout": true, "tenant": true,
		"authorizationEndpoint": h.AuthorizationEndpoint == "", "endSessionEndpoint": h.EndSessionEndpoint == "",
		"tokenEndpoint": h.TokenEndpoint == "", "revocationEndpoint": h.RevocationEndpoint == "",
		"userInfoEndpoint": h.UserInfoEndpoint == "",
	}
	c = c.withDefaults()
	for i, route := range c.Routes {
		if below(c.TokenHandler.Path, strings.TrimSuffix(route.Path, "/*")) {
			fault(fmt.Sprintf("routes[%d].path", i), "is the OAuth agent's, which answers everything below %s; move one of the two", c.TokenHandler.Path)
		}
	}
	for _, f := range c.TokenHandler.core(c.Issuer).Faults() {
		if !needsSecret(f.Field) && !defaulted[f.Field] {
			fault("tokenHandler."+f.Field, "%s", f.Problem)
		}
	}
	sources := []secretSource{h.secret()}
	for i, key := range h.CookieKeys {
		sources = append(sources, key.secret(i))
	}
	for _, s := range sources {
		if err := s.check(); err != nil {
			fault(s.field, "%v", err)
		}
	}
}

// below tells whether path is root, or stands below it.
func below(root, path string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '/')
}

// needsSecret tells whether a fault can only be judged with the secrets at hand.
func needsSecret(field string) bool {
	return field == "clientSecret" || strings.HasSuffix(field, ".key")
}

// complete returns what package tokenhandler needs to know, secrets included, and every fault that those bring to
// light. h and i have their defaults.
func (h TokenHandler) complete(i Issuer, getenv func(string) (string, bool)) (cfg tokenhandler.Config, faults []*Fault) {
	cfg = h.core(i)
	unknown := false
	read := func(s secretSource) string {
		if s.check() != nil {
			unknown = true // validate has reported that
			return ""
		}
		secret, fault := s.read(getenv)
		if fault != nil {
			faults = append(faults, fault)
		}
		return secret
	}
	cfg.ClientSecret = read(h.secret())
	for i, key := range h.CookieKeys {
		source := key.secret(i)
		text := read(source)
		if text == "" {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			faults = append(faults, &Fault{source.field, "must be 32 random bytes in base64, as head -c 32 /dev/urandom | base64 makes them"})
		}
		cfg.CookieKeys[i].Secret = secret
	}
	if unknown || len(faults) > 0 {
		return cfg, faults // what else there is to say would follow from these
	}
	for _, f := range cfg.Faults() {
		if needsSecret(f.Field) {
			faults = append(faults, &Fault{"tokenHandler." + f.Field, f.Problem})
		}
	}
	return cfg, faults
}

// NewTokenHandler makes the token handler of cfg, whose routes are not looked at. It is for bindings in which several
// gateways and an OAuth agent share one (Options.TokenHandler); any other leaves that to New. The caller closes it.
func NewTokenHandler(cfg Config, opts Options) (*tokenhandler.Handler, error) {
	var faults []*Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, &Fault{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	if cfg.TokenHandler == nil {
		return nil, &Fault{"tokenHandler", "missing; add it to the configuration"}
	}
	cfg.Routes = nil
	validateIssuer(cfg.Issuer, fault)
	validateTokenHandler(cfg, fault)
	if err := joined(faults); err != nil {
		return nil, err
	}
	opts, cfg = opts.withDefaults(), cfg.withDefaults()
	core, faults := cfg.TokenHandler.complete(cfg.Issuer, opts.Getenv)
	if err := joined(faults); err != nil {
		return nil, err
	}
	return newTokenHandler(cfg, core, opts)
}

// newTokenHandler makes a token handler of a complete configuration without faults. The keys of its issuer are its own.
func newTokenHandler(cfg Config, core tokenhandler.Config, opts Options) (*tokenhandler.Handler, error) {
	return tokenhandler.New(core, tokenhandler.Options{
		Keys: phantomtoken.NewKeys(phantomtoken.Config{
			JWKSURI: cfg.Issuer.JWKSURI, Timeout: time.Duration(cfg.Issuer.Timeout),
			Transport: opts.Transport, Logger: opts.Logger, Now: opts.Now,
		}),
		Transport: opts.Transport, Logger: opts.Logger, Now: opts.Now,
	})
}
