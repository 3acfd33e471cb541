// Package whoami is the GET whoami that every demo API has: it answers what the API verified (the token's claims) and
// what it got (the request's headers), so that a person or a test sees what the gateway let through.
//
// What could be used as a credential is masked. It is for demos: an API of yours has no reason to answer its headers.
package whoami

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/phantomgate/phantomgate/apiguard"
	"github.com/phantomgate/phantomgate/testbed/apis/jsonhttp"
)

// answer is the wire form.
type answer struct {
	Claims  map[string]any    `json:"claims"`
	Headers map[string]string `json:"headers"` // values of a repeated header are joined by ", " (RFC 9110 section 5.3)
}

// Handler answers claims and headers. It must stand behind apiguard's Require; without it, it answers 500.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, ok := apiguard.FromContext(r.Context())
		if !ok {
			jsonhttp.Refuse(w, http.StatusInternalServerError, "server_error", "whoami is not behind a guard")
			return
		}
		headers := map[string]string{"Host": r.Host}
		for name, values := range r.Header {
			headers[name] = mask(name, strings.Join(values, ", "))
		}
		jsonhttp.Answer(w, http.StatusOK, answer{Claims: claims.All(), Headers: headers})
	})
}

// Whatever looks like a token is masked in any header, since a test of the gateway may look for one anywhere.
var (
	jwtShape       = regexp.MustCompile(`eyJ[\w-]*\.[\w-]*\.[\w-]*(\.[\w-]*)*`)
	referenceShape = regexp.MustCompile(`pg[ar]t_\w*`)
	cookieValue    = regexp.MustCompile(`=[^;]*`)
)

func mask(name, value string) string {
	value = jwtShape.ReplaceAllStringFunc(value, func(s string) string { return fmt.Sprintf("eyJ… (a JWT of %d characters)", len(s)) })
	value = referenceShape.ReplaceAllStringFunc(value, func(s string) string { return s[:5] + "…" })
	switch name {
	case "Cookie":
		return cookieValue.ReplaceAllString(value, "=…")
	case "Authorization", "Proxy-Authorization":
		if !strings.Contains(value, "…") { // a credential of a kind we do not know
			return "…"
		}
	}
	return value
}
