package tokenhandler

import (
	"crypto/subtle"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Fault is one thing wrong with a Config.
type Fault struct {
	// Field is the field as the gateway's configuration names it, such as "cookieKeys[1].id".
	Field string
	// Problem says what is wrong and what to write instead.
	Problem string
}

func (f *Fault) Error() string { return f.Field + ": " + f.Problem }

// The most that a cookie's name, a key's id and a time may be.
const (
	longestPrefix     = 32
	longestSession    = 30 * 24 * time.Hour
	longestLogin      = time.Hour
	longestMargin     = time.Hour
	longestTimeout    = 30 * time.Second
	mostKeys          = 8
	cookieKeySize     = 32
	longestExtraParam = 64
)

// Faults returns everything that is wrong with c. Secrets that are missing altogether are left to New: a configuration
// can be checked where they are not known.
func (c Config) Faults() []*Fault {
	k := &checker{}
	k.names(c)
	k.keys(c.CookieKeys)
	k.addresses(c)
	k.login(c)
	k.within("sessionMaxAge", c.SessionMaxAge, longestSession)
	k.within("loginMaxAge", c.LoginMaxAge, longestLogin)
	k.within("refreshMargin", c.RefreshMargin, longestMargin)
	k.within("timeout", c.Timeout, longestTimeout)
	return k.faults
}

type checker struct{ faults []*Fault }

func (k *checker) fault(field, format string, args ...any) {
	k.faults = append(k.faults, &Fault{field, fmt.Sprintf(format, args...)})
}

func (k *checker) within(field string, d, most time.Duration) {
	if d <= 0 || d > most {
		k.fault(field, "must be above zero and at most %s", most)
	}
}

func (k *checker) names(c Config) {
	if !isName(c.CookiePrefix) || len(c.CookiePrefix) > longestPrefix {
		k.fault("cookiePrefix", "must be 1 to %d small letters, digits and hyphens, such as \"shop\"", longestPrefix)
	}
	if path, err := url.Parse(c.Path); err != nil || c.Path == "/" || !strings.HasPrefix(c.Path, "/") ||
		strings.HasPrefix(c.Path, "//") || strings.HasSuffix(c.Path, "/") || path.EscapedPath() != c.Path || path.Path != c.Path ||
		strings.ContainsAny(c.Path, "*?#;%") {
		k.fault("path", "must begin with a slash and not end in one, without blanks, wildcard and escapes, such as \"/oauth-agent\"")
	}
	if c.Tenant == "" {
		k.fault("tenant", "missing")
	}
	if len(c.Origins) == 0 {
		k.fault("origins", "missing; name the origin the app is served from, such as \"https://www.example.com\"")
	}
	for i, origin := range c.Origins {
		at := fmt.Sprintf("origins[%d]", i)
		if u := secureURL(origin); u == nil || origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin) || hasDefaultPort(u) {
			k.fault(at, "%q must be written as browsers write it, such as \"https://www.example.com\": scheme, host and an unusual port only, in small letters, https (http on localhost)", origin)
		} else if slices.Contains(c.Origins[:i], origin) {
			k.fault(at, "given twice; keep one")
		}
	}
	k.headers("allowHeaders", c.AllowHeaders)
	k.headers("exposeHeaders", c.ExposeHeaders)
}

func (k *checker) headers(field string, headers []string) {
	for i, header := range headers {
		if !isName(strings.ToLower(header)) {
			k.fault(fmt.Sprintf("%s[%d]", field, i), "%q is not a header's name; a wildcard is none", header)
		}
	}
}

func (k *checker) keys(keys []Key) {
	if len(keys) == 0 {
		k.fault("cookieKeys", "missing; give one key of %d random bytes", cookieKeySize)
	}
	if len(keys) > mostKeys {
		k.fault("cookieKeys", "holds more than %d keys; remove those that are older than sessionMaxAge", mostKeys)
	}
	for i, key := range keys {
		at := fmt.Sprintf("cookieKeys[%d]", i)
		if key.ID == "" || len(key.ID) > 64 {
			k.fault(at+".id", "must be 1 to 64 characters; a date will do")
		}
		if len(key.Secret) != cookieKeySize {
			k.fault(at+".key", "must be %d bytes", cookieKeySize)
		}
		for _, earlier := range keys[:i] {
			if keyTag(earlier.ID) == keyTag(key.ID) {
				k.fault(at+".id", "is that of an earlier key; a key's id never changes and is never used again")
			}
			if len(key.Secret) > 0 && subtle.ConstantTimeCompare(earlier.Secret, key.Secret) == 1 {
				k.fault(at+".key", "is that of an earlier key; make a new one")
			}
		}
	}
}

func (k *checker) addresses(c Config) {
	for _, a := range []struct{ field, value string }{
		{"authorizationEndpoint", c.AuthorizationEndpoint}, {"endSessionEndpoint", c.EndSessionEndpoint},
		{"tokenEndpoint", c.TokenEndpoint}, {"revocationEndpoint", c.RevocationEndpoint}, {"userInfoEndpoint", c.UserInfoEndpoint},
	} {
		if u, err := url.Parse(a.value); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
			strings.Contains(a.value, "#") {
			k.fault(a.field, "must be an address such as https://issuer.example/oauth/…, without user and fragment")
		}
	}
	k.page("redirectUri", c.RedirectURI, c.Origins)
	if len(c.PostLogoutRedirectURIs) == 0 {
		k.fault("postLogoutRedirectUris", "missing; name the page of the app that a logout leads to")
	}
	for i, page := range c.PostLogoutRedirectURIs {
		k.page(fmt.Sprintf("postLogoutRedirectUris[%d]", i), page, c.Origins)
	}
}

// page checks that an address is a page of the app.
func (k *checker) page(field, address string, origins []string) {
	u := secureURL(address)
	if u == nil || u.RawQuery != "" || u.ForceQuery || !slices.Contains(origins, u.Scheme+"://"+u.Host) {
		k.fault(field, "%q must be a page on one of the app's origins, such as \"https://www.example.com/\", without query and fragment", address)
	}
}

// reserved are the parameters of an authorization request that this package sets itself, or that would replace them.
var reserved = []string{
	"client_id", "client_secret", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "request", "request_uri",
	"response_mode", "response_type", "scope", "state",
}

func (k *checker) login(c Config) {
	if c.Issuer == "" {
		k.fault("issuer", "missing")
	}
	if c.ClientID == "" {
		k.fault("clientId", "missing; write the app's name at the issuer")
	}
	if c.ClientSecret == "" {
		k.fault("clientSecret", "missing; the app must be a confidential client of the issuer")
	}
	if !slices.Contains(c.Scopes, "openid") {
		k.fault("scopes", "must hold \"openid\": without an ID token nobody knows whose login it was")
	}
	for i, scope := range c.Scopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			k.fault(fmt.Sprintf("scopes[%d]", i), "%q is not one name; use visible ASCII without blanks, quotes and backslashes", scope)
		}
	}
	for i, name := range c.ExtraParams {
		at := fmt.Sprintf("extraParams[%d]", i)
		switch {
		case slices.Contains(reserved, name):
			k.fault(at, "%s is not the app's to choose; remove it", name)
		case name == "" || len(name) > longestExtraParam || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }):
			k.fault(at, "%q is not a parameter's name", name)
		}
	}
}

// secureURL returns an address that browsers treat as secure, or nil: "__Host-" cookies live nowhere else.
func secureURL(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || strings.Contains(address, "#") {
		return nil
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil
	}
	return u
}

func hasDefaultPort(u *url.URL) bool {
	return u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" || strings.HasSuffix(u.Host, ":")
}

// isName tells whether s is small letters, digits and hyphens: a cookie's and a header's name at once.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}
