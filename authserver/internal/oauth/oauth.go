// Package oauth holds the protocol's words and the one error type of the issuer.
//
// It is a leaf: every room may import it, and it imports no room. Nothing in here decides; the rooms do.
package oauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// DefaultTenant is the only tenant there is today. It stands in every row and key, so that a second one needs no migration.
const DefaultTenant = "default"

// Grant types (RFC 6749, RFC 8693).
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// Token types of a token exchange (RFC 8693, 3). A phantom token is both: an access token, and a JWT.
const (
	TokenTypeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	TokenTypeJWT         = "urn:ietf:params:oauth:token-type:jwt"
)

// Scopes that belong to the issuer itself, not to an audience (OpenID Connect Core 5.4 and 11).
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeOfflineAccess = "offline_access"
)

// IssuerScopes lists the scopes that belong to the issuer itself.
func IssuerScopes() []string {
	return []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeOfflineAccess}
}

// JWT types (the `typ` header): RFC 9068, RFC 9701, RFC 8417.
const (
	TypeAccessToken   = "at+jwt"
	TypeIntrospection = "token-introspection+jwt"
	TypeIDToken       = "JWT"
	TypeSecurityEvent = "secevent+jwt"
)

// ScopeFeed is what a bearer token needs to hear the revocation feed. Like every scope but those above, an audience declares it.
const ScopeFeed = "ssf"

// Error codes of RFC 6749, 6750, 7009, 8707 and OpenID Connect Core 3.1.2.6.
const (
	InvalidRequest          = "invalid_request"
	InvalidClient           = "invalid_client"
	InvalidGrant            = "invalid_grant"
	InvalidScope            = "invalid_scope"
	InvalidTarget           = "invalid_target"
	InvalidToken            = "invalid_token"
	InsufficientScope       = "insufficient_scope"
	UnauthorizedClient      = "unauthorized_client"
	UnsupportedGrantType    = "unsupported_grant_type"
	UnsupportedResponseType = "unsupported_response_type"
	RequestNotSupported     = "request_not_supported"
	RequestURINotSupported  = "request_uri_not_supported"
	AccessDenied            = "access_denied"
	LoginRequired           = "login_required"
	ConsentRequired         = "consent_required"
	TemporarilyUnavailable  = "temporarily_unavailable"
	ServerError             = "server_error"
	NotFound                = "not_found"
	KeyReused               = "idempotency_key_reused"
	TooManyStreams          = "too_many_streams"
)

// Error is a refusal that may be told to the other side. Whatever is not an Error is told as server_error with a
// request id, and its text goes to the log only.
type Error struct {
	Code        string // one of the codes above
	Description string // for the developer who reads it: what is wrong and what to do; never a secret
	cause       error
}

// Errorf makes an Error. A %w in the format is kept for errors.Is and for the log, and its text is part of the
// description: never wrap an error whose text is not meant for the other side. Use WithCause for those.
func Errorf(code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Description: err.Error(), cause: errors.Unwrap(err)}
}

// WithCause returns a copy that remembers why, for errors.Is and the log; the cause is not told to the other side.
func (e *Error) WithCause(cause error) *Error {
	return &Error{Code: e.Code, Description: e.Description, cause: cause}
}

func (e *Error) Error() string { return e.Code + ": " + e.Description }

// Unwrap gives the cause, if there is one.
func (e *Error) Unwrap() error { return e.cause }

// IsCode tells whether err is an Error with that code.
func IsCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// maxScopes bounds a scope parameter. Strangers send them, and to tell n scopes apart takes n² comparisons.
const maxScopes = 500

// SplitScope splits a scope parameter (RFC 6749, 3.3) into its distinct scopes, in their order. It fails on a character
// that no scope may have, and on more than 500 scopes.
func SplitScope(s string) ([]string, error) {
	var scopes []string
	for _, scope := range strings.Split(s, " ") {
		if scope == "" {
			continue
		}
		if !ValidScope(scope) {
			return nil, Errorf(InvalidScope, "the scope parameter has a character that RFC 6749, section 3.3 does not allow")
		}
		if slices.Contains(scopes, scope) {
			continue
		}
		if len(scopes) == maxScopes {
			return nil, Errorf(InvalidScope, "the scope parameter names more than %d scopes", maxScopes)
		}
		scopes = append(scopes, scope)
	}
	return scopes, nil
}

// JoinScope is the inverse of SplitScope.
func JoinScope(scopes []string) string { return strings.Join(scopes, " ") }

// ValidScope tells whether s is one scope-token of RFC 6749, 3.3.
func ValidScope(s string) bool {
	for _, r := range []byte(s) {
		if r <= 0x20 || r == '"' || r == '\\' || r >= 0x7f {
			return false
		}
	}
	return s != ""
}
