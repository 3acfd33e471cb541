// Command noop is a Tyk plugin that does nothing: what ours is measured against.
package main

import (
	"net/http"
	"time"

	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"
)

// NoopPre lets everything pass.
func NoopPre(http.ResponseWriter, *http.Request) {}

// NoopAuth lets everything pass, as one user: Tyk wants a session.
func NoopAuth(_ http.ResponseWriter, r *http.Request) {
	ctx.SetSession(r, &user.SessionState{KeyID: "noop", OrgID: "org", Expires: time.Now().Add(time.Hour).Unix()}, false)
}

func main() {}
