package clients

import (
	"slices"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

// RedirectAllowed tells whether the URI is one of those the client registered: letter by letter, but for the port of a
// registered http URI on a loopback address (RFC 8252, 7.3), since a native app takes the port it gets. "localhost" is
// a name, which may lead elsewhere: it is compared exactly.
func RedirectAllowed(client config.Client, uri string) bool {
	return Allowed(client.RedirectURIs, uri)
}

// Allowed is RedirectAllowed for any list of registered URIs, such as those to return to after logout.
func Allowed(registered []string, uri string) bool {
	if uri == "" {
		return false
	}
	if slices.Contains(registered, uri) {
		return true
	}
	portless, ok := withoutLoopbackPort(uri)
	return ok && slices.ContainsFunc(registered, func(candidate string) bool {
		other, ok := withoutLoopbackPort(candidate)
		return ok && other == portless
	})
}

// withoutLoopbackPort cuts the port out of http://127.0.0.1:port/… or http://[::1]:port/… and leaves every other letter
// as it is. It works on the text, so that nothing which a parser would forgive is forgiven.
func withoutLoopbackPort(uri string) (string, bool) {
	for _, prefix := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, ok := strings.CutPrefix(uri, prefix)
		if !ok {
			continue
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			digits := len(port) - len(strings.TrimLeft(port, "0123456789"))
			if digits == 0 || digits > 5 || port[0] == '0' {
				return "", false
			}
			rest = port[digits:]
		}
		if rest != "" && rest[0] != '/' && rest[0] != '?' || strings.Contains(rest, "#") {
			return "", false
		}
		return prefix + rest, true
	}
	return "", false
}
