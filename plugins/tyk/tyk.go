package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/config"
	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"
)

// This file is all that the binding calls of Tyk, but for the logger. testdata/contract has the same names for tests.

// errTwoDefinitions: see endHook.
var errTwoDefinitions = errors.New("the request came with two API definitions, of which one is another API's that passed it on: list one of our symbols in that API too, last of its plugins")

// definitionOf returns the definition that Tyk has put into the request, one of the two, without the copy of it that Tyk's own
// getters make (3 ms for a large one). It must not be changed.
func definitionOf(r *http.Request) (*apidef.APIDefinition, *oas.OAS, error) {
	c := r.Context()
	classic, _ := c.Value(ctx.Definition).(*apidef.APIDefinition)
	openAPI, _ := c.Value(ctx.OASDefinition).(*oas.OAS)
	if classic != nil && openAPI != nil {
		return nil, nil, errTwoDefinitions
	}
	return classic, openAPI, nil
}

// passedOf returns what is known of a request that was let through; nil for any other.
func passedOf(r *http.Request) *passed {
	p, _ := r.Context().Value(passedKey{}).(*passed)
	return p
}

// endHook remembers p, and hides the definition that Tyk put there: Tyk puts one in before each plugin, and takes none out, so an
// API that passes a request on (tyk://) to one of the other kind would leave its own beside the next one's.
func endHook(r *http.Request, p *passed) {
	c := r.Context()
	for _, key := range [...]ctx.Key{ctx.Definition, ctx.OASDefinition} {
		if c.Value(key) != nil {
			c = context.WithValue(c, key, nil)
		}
	}
	*r = *r.WithContext(context.WithValue(c, passedKey{}, p))
}

// copyOf returns a definition's copy, to be written as JSON: writing an OAS changes it, while Tyk reads it elsewhere.
func copyOf(r *http.Request) (*apidef.APIDefinition, *oas.OAS) {
	if d := ctx.GetDefinition(r); d != nil {
		return d, nil
	}
	return nil, ctx.GetOASDefinition(r)
}

// recordsRequests tells whether the gateway writes whole requests, with their tokens, into its analytics, or may.
func recordsRequests() bool {
	c := config.Global()
	return c.AnalyticsConfig.EnableDetailedRecording || c.EnforceOrgDataDetailLogging
}

// setSession gives r its session. It is not scheduled for an update, which would write it to Redis with every request. What Tyk
// hashes its KeyID to is kept in hash: Tyk would do so with every request.
func setSession(r *http.Request, s *user.SessionState, hash *atomic.Pointer[string]) {
	known := hash.Load()
	if known != nil {
		s.SetKeyHash(*known)
	}
	ctx.SetSession(r, s, false)
	if known == nil {
		made := s.KeyHash()
		hash.Store(&made)
	}
}
