package gateway

import (
	"errors"
	"net/http"
	"strings"
)

// identityPatterns are the headers by which programs tell each other who is asking, or what was asked for in truth.
// None of them is believed when it comes from outside: an API must learn the caller from the phantom token only, and
// must be asked for what the policy judged. "*" at the end stands for every continuation.
//
// Names are compared after folding (see fold), as programs behind CGI-like interfaces see them: X_User is X-User.
var identityPatterns = []string{
	// Who is asking, in the words of common proxies, frameworks and identity services.
	"x-user*", "x-remote-*", "remote-*", "x-auth*", "x-forwarded-user*", "x-forwarded-email", "x-forwarded-groups",
	"x-forwarded-preferred-username", "x-forwarded-access-token", "x-webauth-*", "x-login*", "x-account*",
	"x-email*", "x-group*", "x-role*", "x-permission*", "x-sub", "x-subject*", "x-principal*", "x-identity*",
	"x-client-id", "x-tenant*", "x-org-id", "x-consumer-*", "x-credential-*", "x-anonymous-consumer",
	"x-impersonate*", "impersonate-*",
	// What they may do, and tokens that are not the Authorization header's.
	"x-scope", "x-scopes", "x-claim*", "x-jwt*", "x-id-token*", "x-access-token*", "x-token*", "x-bearer*", "x-oidc*",
	"oidc-*", "x-introspection*", "x-phantom-*",
	// Identity services in front of an API.
	"x-amzn-oidc-*", "x-goog-authenticated-*", "x-goog-iap-*", "x-ms-client-principal*", "x-ms-token-*",
	"cf-access-*", "tailscale-user-*",
	// The certificate of a client, as whoever ends TLS tells it (RFC 9440 and its predecessors).
	"client-cert*", "x-client-cert*", "ssl-client*", "x-ssl-*", "x-forwarded-client-cert*", "x-forwarded-tls-client-cert*",
	"x-amzn-mtls-*", "x-arr-clientcert",
	// Between the issuer and the gateway.
	"revocation-keys", "revocation-position",
	// Another method, path or API than the one that was judged.
	"x-http-method*", "x-method-override", "x-original-url", "x-original-uri", "x-original-method", "x-rewrite-url",
	"x-forwarded-method", "x-forwarded-uri", "x-envoy-original-*", "x-waws-unencoded-url", "x-middleware-*", "x-tyk-internal",
}

// identityTable finds identity headers among a request's. Each pattern stands under one character of its name, so that
// a header that is none costs a look at one short list.
type identityTable [256][]identityPattern

type identityPattern struct {
	name string // folded
	more bool   // stands for every continuation
}

func newIdentityTable(patterns []string) *identityTable {
	var t identityTable
	for _, p := range patterns {
		name, more := strings.CutSuffix(p, "*")
		folded := make([]byte, len(name))
		for i := range len(name) {
			folded[i] = fold[name[i]]
		}
		at := bucket(string(folded))
		t[at] = append(t[at], identityPattern{string(folded), more})
	}
	return &t
}

// bucket returns a name's place in the table: its first character, or for the many that begin with "X-" the third.
func bucket(name string) byte {
	if len(name) < 3 {
		return 0
	}
	first := fold[name[0]]
	if first == 'x' && fold[name[1]] == '-' {
		return fold[name[2]] | 0x80
	}
	return first
}

// has tells whether a header of this name says who is asking.
func (t *identityTable) has(name string) bool {
	patterns := t[bucket(name)]
	return len(patterns) > 0 && anyMatches(patterns, name)
}

func anyMatches(patterns []identityPattern, name string) bool {
	for i := range patterns {
		p := &patterns[i]
		if len(name) == len(p.name) || p.more && len(name) > len(p.name) {
			if foldsTo(name[:len(p.name)], p.name) {
				return true
			}
		}
	}
	return false
}

// remove deletes from h every identity header, and every other spelling of Authorization.
func (t *identityTable) remove(h http.Header) {
	for name := range h {
		if t.has(name) || len(name) == len(authorization) && name != authorization && foldsTo(name, "authorization") {
			delete(h, name)
		}
	}
}

// fold maps a byte of a header's name to what a CGI-like interface makes of it: letters lose their case, and all that
// is neither letter nor digit becomes the same character.
var fold = func() (table [256]byte) {
	for i := range table {
		switch c := byte(i); {
		case 'A' <= c && c <= 'Z':
			table[i] = c + 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			table[i] = c
		default:
			table[i] = '-'
		}
	}
	return table
}()

// foldsTo tells whether name folds to folded, which is as long.
func foldsTo(name, folded string) bool {
	for i := range len(folded) {
		if fold[name[i]] != folded[i] {
			return false
		}
	}
	return true
}

// checkIdentityHeader tells what is wrong with a pattern of the configuration.
func checkIdentityHeader(pattern string) error {
	name, _ := strings.CutSuffix(pattern, "*")
	if len(name) < 3 {
		return errors.New(`too short; write a header's name, such as "X-My-User" or "X-My-*"`)
	}
	for i := range len(name) {
		if c := name[i]; fold[c] == '-' && c != '-' && c != '_' {
			return errors.New(`not a header's name; use letters, digits, "-" and "_", and "*" only at the end`)
		}
	}
	if newIdentityTable([]string{pattern}).has(authorization) {
		return errors.New("the Authorization header is always replaced; leave it out")
	}
	return nil
}

// dropUpgrade removes the wish for another protocol than WebSocket. Once a host and an API have changed to HTTP/2 (h2c),
// the host passes on bytes, and the client can send requests that nobody has judged. A server may always ignore an
// Upgrade (RFC 9110 section 7.8).
func dropUpgrade(header http.Header) {
	wanted := header["Upgrade"]
	if len(wanted) == 0 || len(wanted) == 1 && strings.EqualFold(wanted[0], "websocket") {
		return
	}
	delete(header, "Upgrade")
	delete(header, "Http2-Settings")
}

// endHop removes the headers that the Connection header names (RFC 9110 section 7.6.1) and that header too, but for an
// Upgrade. The host would do so later, and to what has been added for the API in between.
func endHop(header http.Header) {
	values, there := header["Connection"]
	if !there {
		return
	}
	upgrade := false
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); strings.EqualFold(name, "upgrade") {
				upgrade = true
			} else {
				header.Del(name)
			}
		}
	}
	delete(header, "Connection")
	if upgrade && header["Upgrade"] != nil {
		header["Connection"] = []string{"Upgrade"}
	}
}

// hopByHop tells whether the Connection header asks whoever forwards the request to drop Authorization: the host would do
// so after Apply, and the API would be called without the phantom token.
func hopByHop(header http.Header) bool {
	for _, value := range header["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(name), authorization) {
				return true
			}
		}
	}
	return false
}
