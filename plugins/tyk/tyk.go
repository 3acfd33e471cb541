package main

import (
	"net/http"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/config"
	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"
)

// This file is all that the binding calls of Tyk, but for the logger. testdata/contract has the same names for tests.

// definitionOf returns the definition that Tyk has put into the request, one of the two, without the copy of it that
// Tyk's own getters make (3 ms for a large one). It must not be changed.
func definitionOf(r *http.Request) (*apidef.APIDefinition, *oas.OAS) {
	c := r.Context()
	if d, ok := c.Value(ctx.Definition).(*apidef.APIDefinition); ok && d != nil {
		return d, nil
	}
	d, _ := c.Value(ctx.OASDefinition).(*oas.OAS)
	return nil, d
}

// copyOf returns a definition's copy, to be written as JSON: writing an OAS changes it, while Tyk reads it elsewhere.
func copyOf(r *http.Request) (*apidef.APIDefinition, *oas.OAS) {
	if d := ctx.GetDefinition(r); d != nil {
		return d, nil
	}
	return nil, ctx.GetOASDefinition(r)
}

// recordsRequests tells whether the gateway writes whole requests, with their tokens, into its analytics.
func recordsRequests() bool { return config.Global().AnalyticsConfig.EnableDetailedRecording }

// setSession gives r its session. It is not scheduled for an update, which would write it to Redis with every request.
func setSession(r *http.Request, s *user.SessionState) { ctx.SetSession(r, s, false) }
