package apiguard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

type contextKey struct{}

// FromContext returns what Require verified of the request's token. It is false where Require did not run, so a handler
// that treats false as an error fails closed.
func FromContext(ctx context.Context) (Claims, bool) {
	claims, ok := ctx.Value(contextKey{}).(Claims)
	return claims, ok
}

// Require lets a request through only with a valid access token that carries every one of the scopes, and hands its
// claims on in the context. Everything else is refused as RFC 6750 section 3 says, with a JSON body:
//
//	400 invalid_request          two Authorization headers
//	401 (a bare challenge)       no bearer token
//	401 invalid_token            anything wrong with the token itself
//	403 insufficient_scope       a valid token that lacks a scope; the challenge names those needed
//	503 temporarily_unavailable  the issuer's keys could not be had, so nothing can be said about the token
//
// It panics, when the routes are set up, if no scope is named or one is malformed (RFC 6749 section 3.3): a route that
// asks for nothing would let every token of this audience pass.
func (g *Guard) Require(scopes ...string) func(http.Handler) http.Handler {
	if len(scopes) == 0 {
		panic("apiguard: Require needs at least one scope")
	}
	for _, s := range scopes {
		if !isScopeToken(s) {
			panic(fmt.Sprintf("apiguard: Require: %q is not a scope", s))
		}
	}
	scopes = slices.Clone(scopes)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, refused := g.check(r, scopes)
			if refused != nil {
				g.logger.DebugContext(r.Context(), "request refused", "status", refused.status, "error", refused.code, "reason", refused.description)
				refused.write(w, g.realm)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, claims)))
		})
	}
}

func (g *Guard) check(r *http.Request, scopes []string) (Claims, *refusal) {
	token, err := bearerToken(r.Header["Authorization"])
	switch {
	case errors.Is(err, errSeveralHeaders):
		return Claims{}, &refusal{status: http.StatusBadRequest, code: "invalid_request", description: err.Error()}
	case errors.Is(err, errNoBearer):
		return Claims{}, &refusal{status: http.StatusUnauthorized, code: "unauthorized_request", description: err.Error(), bare: true}
	case err != nil:
		return Claims{}, &refusal{status: http.StatusUnauthorized, code: "invalid_token", description: err.Error()}
	}
	claims, err := g.verifier.verify(r.Context(), token)
	switch {
	case errors.Is(err, errNoKeys):
		return Claims{}, &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "the issuer's keys cannot be had right now"}
	case err != nil:
		return Claims{}, &refusal{status: http.StatusUnauthorized, code: "invalid_token", description: err.Error()}
	}
	for _, s := range scopes {
		if !claims.HasScope(s) {
			return Claims{}, &refusal{status: http.StatusForbidden, code: "insufficient_scope", description: "the token lacks a scope that this operation needs", scopes: scopes}
		}
	}
	return claims, nil
}

// isScopeToken is scope-token of RFC 6749 section 3.3.
func isScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}
