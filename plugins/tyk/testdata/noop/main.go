// Command noop is a Tyk plugin that does nothing: what ours is measured against.
package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"
)

// swapped is as long as a header with a phantom token of the suite's issuer.
var swapped = "Bearer " + strings.Repeat("x", 462)

// NoopPre lets everything pass.
func NoopPre(http.ResponseWriter, *http.Request) {}

// NoopSwapPre lets everything pass, with a header as long as a phantom token's: what Tyk has to send on for whoever swaps a
// reference for a JWT, however he found it.
func NoopSwapPre(_ http.ResponseWriter, r *http.Request) {
	r.Header["Authorization"] = []string{swapped}
}

// NoopAuth lets everything pass, as one user: Tyk wants a session.
func NoopAuth(_ http.ResponseWriter, r *http.Request) {
	ctx.SetSession(r, &user.SessionState{KeyID: "noop", OrgID: "org", Expires: time.Now().Add(time.Hour).Unix()}, false)
}

// NoopSwapAuth is NoopAuth with NoopSwapPre's header.
func NoopSwapAuth(w http.ResponseWriter, r *http.Request) {
	NoopSwapPre(w, r)
	NoopAuth(w, r)
}

func main() {}
