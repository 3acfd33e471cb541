// Package ctx is the contract of Tyk's package of that name: what a gateway leaves for its plugins in a request's context.
package ctx

import (
	"context"
	"net/http"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/user"
)

// Key is the type of the keys.
type Key uint

// The keys that the binding reads. Their values are not those of any gateway.
const (
	SessionData Key = iota
	AuthToken
	Definition
	OASDefinition
)

// GetDefinition returns a copy of a classic API's definition, nil for any other.
func GetDefinition(r *http.Request) *apidef.APIDefinition {
	d, ok := r.Context().Value(Definition).(*apidef.APIDefinition)
	if !ok {
		return nil
	}
	clone := *d
	return &clone
}

// GetOASDefinition returns a copy of an OAS API's definition, nil for any other.
func GetOASDefinition(r *http.Request) *oas.OAS {
	d, ok := r.Context().Value(OASDefinition).(*oas.OAS)
	if !ok {
		return nil
	}
	clone := *d
	return &clone
}

// GetSession returns the request's session, or nil.
func GetSession(r *http.Request) *user.SessionState {
	s, _ := r.Context().Value(SessionData).(*user.SessionState)
	return s
}

// SetSession gives the request a session. With scheduleUpdate a gateway would write it to Redis.
func SetSession(r *http.Request, s *user.SessionState, scheduleUpdate bool, hashKey ...bool) {
	if s == nil {
		panic("no session")
	}
	if s.KeyHashEmpty() {
		s.SetKeyHash("hash of " + s.KeyID)
	}
	if scheduleUpdate {
		s.Touch()
	}
	c := context.WithValue(r.Context(), SessionData, s)
	c = context.WithValue(c, AuthToken, s.KeyID)
	*r = *r.WithContext(c)
}
