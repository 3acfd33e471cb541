package tokenhandler

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/phantomgate/phantomgate/plugins/policy"
)

// agentError is how the OAuth agent says no. Code is one of a fixed few that apps decide by; message is for people.
type agentError struct {
	status        int
	code, message string
	allow         string // the Allow header of a 405
	clear         bool   // every cookie of ours ends
}

func (e *agentError) Error() string { return e.code + ": " + e.message }

func (e *agentError) write(w http.ResponseWriter) {
	if e.allow != "" {
		w.Header().Set("Allow", e.allow)
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer") // a 401 must carry a challenge (RFC 9110 section 15.5.2)
	}
	writeJSON(w, e.status, map[string]string{"code": e.code, "message": e.message})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"code":"server_error","message":"the token handler failed"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client may be gone; there is nobody to tell
}

// unauthorizedRequest is the one answer to every fault of origin, CSRF header and cookies: which it was is not told.
func unauthorizedRequest() *agentError {
	return &agentError{status: http.StatusUnauthorized, code: codeUnauthorized, message: unauthorizedMessage}
}

func sessionExpired() *agentError {
	return &agentError{status: http.StatusUnauthorized, code: codeExpired, message: expiredMessage, clear: true}
}

func loginRequired() *agentError {
	return &agentError{status: http.StatusUnauthorized, code: "login_required", message: "the issuer asks the user to log in"}
}

func invalidRequest(message string) *agentError {
	return &agentError{status: http.StatusBadRequest, code: "invalid_request", message: message}
}

func authorizationError(message string) *agentError {
	return &agentError{status: http.StatusBadRequest, code: "authorization_error", message: message}
}

func serverError() *agentError {
	return &agentError{status: http.StatusInternalServerError, code: "server_error", message: "the token handler failed"}
}

const (
	codeUnauthorized    = "unauthorized_request"
	unauthorizedMessage = "the request is not authorized"
	codeExpired         = "session_expired"
	expiredMessage      = "the session has ended; log in again"
)

// The reasons for which the issuer did not do what it was asked. Each may come wrapped.
var (
	// errInvalidGrant: the code or refresh reference is unknown, expired, revoked or used up.
	errInvalidGrant = errors.New("the issuer does not take this code or reference")
	// errIssuer: the issuer's answer cannot be used; a refused client secret is among it.
	errIssuer = errors.New("the issuer's answer is not usable")
	// errUnavailable: the issuer is unreachable, overloaded or failing.
	errUnavailable = errors.New("the issuer is not available")
	// errTimeout: the issuer did not answer in time.
	errTimeout = errors.New("the issuer did not answer in time")
)

// agentErrorOf says err in the agent's words. What the issuer did wrong is logged, not told.
func (h *Handler) agentErrorOf(err error) *agentError {
	var said *agentError
	switch {
	case errors.As(err, &said):
		return said
	case errors.Is(err, errEnded), errors.Is(err, errInvalidGrant):
		return sessionExpired()
	case errors.Is(err, errNoSession), errors.Is(err, errCookie), errors.Is(err, errForeign):
		h.logger.Debug("request not authorized", "reason", err)
		return unauthorizedRequest()
	case errors.Is(err, context.Canceled): // the browser has gone; this is read by nobody
		return serverError()
	case errors.Is(err, errIssuer), errors.Is(err, errUnavailable), errors.Is(err, errTimeout), errors.Is(err, errTooLarge):
		h.logger.Warn("OAuth agent: the issuer failed", "error", err)
		return &agentError{status: http.StatusBadGateway, code: "authorization_server_error", message: "the issuer could not be asked"}
	}
	h.logger.Error("OAuth agent failed", "error", err)
	return serverError()
}

// refusalOf says err in the words of the gateway, for requests to an API.
func (h *Handler) refusalOf(err error) *policy.Refusal {
	switch {
	case errors.Is(err, errEnded), errors.Is(err, errInvalidGrant):
		return &policy.Refusal{Status: http.StatusUnauthorized, Code: codeExpired, Description: expiredMessage, Challenge: "Bearer"}
	case errors.Is(err, errNoSession), errors.Is(err, errCookie), errors.Is(err, errForeign):
		h.logger.Debug("request not authorized", "reason", err)
		return &policy.Refusal{Status: http.StatusUnauthorized, Code: codeUnauthorized, Description: unauthorizedMessage, Challenge: "Bearer"}
	case errors.Is(err, context.Canceled): // the browser has gone; this is read by nobody
		return policy.ServerError()
	case errors.Is(err, errTimeout):
		h.logger.Warn("refresh failed", "error", err)
		return policy.IssuerTimeout()
	case errors.Is(err, errUnavailable):
		h.logger.Warn("refresh failed", "error", err)
		return policy.Unavailable(0)
	case errors.Is(err, errIssuer), errors.Is(err, errTooLarge):
		h.logger.Warn("refresh failed", "error", err)
		return policy.IssuerError()
	}
	h.logger.Error("token handler failed", "error", err)
	return policy.ServerError()
}
