package policy

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Refusal is an answer the gateway gives in place of the API. A Refusal is never changed once made, so one value may
// answer many requests at the same time.
type Refusal struct {
	// Status is the HTTP status.
	Status int
	// Code is the body's "error": a registered OAuth error code where one exists.
	Code string
	// Description is the body's "error_description", for the client's developer. It never holds anything of a token.
	Description string
	// Challenge is the WWW-Authenticate header (RFC 6750 section 3, RFC 9470 section 3), or empty.
	Challenge string
	// Allow is the Allow header of a 405, or empty.
	Allow string
	// RetryAfter becomes the Retry-After header, rounded up to whole seconds; 0 leaves it out.
	RetryAfter time.Duration
	// Header holds what the answer carries besides; nil for most.
	Header http.Header
}

// Error codes that no RFC registers; the others are those of RFC 6749, 6750 and 9470.
const (
	codeNotFound         = "not_found"
	codeMethodNotAllowed = "method_not_allowed"
	codeUnauthorized     = "unauthorized_request"
	codeIssuerError      = "issuer_error"
	codeIssuerTimeout    = "issuer_timeout"
)

// Error makes a Refusal usable where Go expects an error, for tests and logs.
func (r *Refusal) Error() string {
	return strconv.Itoa(r.Status) + " " + r.Code + ": " + r.Description
}

// Write answers the request with this refusal. It is the only thing that may be written to w.
func (r *Refusal) Write(w http.ResponseWriter) {
	body, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{r.Code, r.Description})
	if err != nil { // two strings always marshal
		http.Error(w, `{"error":"server_error"}`, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if r.Challenge != "" {
		h.Set("WWW-Authenticate", r.Challenge)
	}
	if r.Allow != "" {
		h.Set("Allow", r.Allow)
	}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	for name, values := range r.Header {
		h[name] = append(h[name], values...)
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone; there is nobody to tell
}

// NotFound refuses a path that no rule names.
func NotFound() *Refusal {
	return &Refusal{Status: http.StatusNotFound, Code: codeNotFound, Description: "no route for this path"}
}

// MethodNotAllowed refuses a method that no rule of the path names; allow lists those that are.
func MethodNotAllowed(allow []string) *Refusal {
	return &Refusal{
		Status: http.StatusMethodNotAllowed, Code: codeMethodNotAllowed,
		Description: "this path does not take this method", Allow: strings.Join(allow, ", "),
	}
}

// InvalidRequest refuses what is malformed. The description says what, and is not taken from the request.
func InvalidRequest(description string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

// NoToken refuses a request without a bearer token. Its challenge carries no error code (RFC 6750 section 3.1).
func NoToken() *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Code: codeUnauthorized,
		Description: "a bearer token is needed", Challenge: "Bearer",
	}
}

// InvalidToken refuses a token that is garbage, unknown, expired or revoked: the client is not told which.
func InvalidToken() *Refusal {
	const description = "the token is not valid"
	return &Refusal{
		Status: http.StatusUnauthorized, Code: "invalid_token", Description: description,
		Challenge: challenge("error", "invalid_token", "error_description", description),
	}
}

// InsufficientScope refuses a token that is alive but lacks the route's audience or scopes. It is not a 401, which
// would send a browser app into a refresh loop.
func InsufficientScope(scopes []string) *Refusal {
	const description = "the token does not carry what this route asks for"
	return &Refusal{
		Status: http.StatusForbidden, Code: "insufficient_scope", Description: description,
		Challenge: challenge("error", "insufficient_scope", "error_description", description,
			"scope", strings.Join(scopes, " ")),
	}
}

// InsufficientAuthentication asks for a new login (RFC 9470): one of acr when it is not empty, and no older than
// maxAge when it is not 0.
func InsufficientAuthentication(acr []string, maxAge time.Duration) *Refusal {
	const code, description = "insufficient_user_authentication", "this route asks for another or a more recent login"
	pairs := []string{"error", code, "error_description", description}
	if len(acr) > 0 {
		pairs = append(pairs, "acr_values", strings.Join(acr, " "))
	}
	if maxAge > 0 {
		pairs = append(pairs, "max_age", strconv.FormatInt(int64(maxAge/time.Second), 10))
	}
	return &Refusal{
		Status: http.StatusUnauthorized, Code: code, Description: description, Challenge: challenge(pairs...),
	}
}

// IssuerError refuses because the issuer's answer was unusable. What was wrong with it is logged, not told.
func IssuerError() *Refusal {
	return &Refusal{
		Status: http.StatusBadGateway, Code: codeIssuerError,
		Description: "the token could not be checked: the issuer's answer was not usable",
	}
}

// Unavailable refuses because the token could not be checked now; the client may ask again after retryAfter.
func Unavailable(retryAfter time.Duration) *Refusal {
	return &Refusal{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "the token could not be checked now", RetryAfter: max(retryAfter, time.Second),
	}
}

// IssuerTimeout refuses because the issuer did not answer in time.
func IssuerTimeout() *Refusal {
	return &Refusal{
		Status: http.StatusGatewayTimeout, Code: codeIssuerTimeout,
		Description: "the token could not be checked in time",
	}
}

// ServerError refuses because the gateway itself failed.
func ServerError() *Refusal {
	return &Refusal{
		Status: http.StatusInternalServerError, Code: "server_error", Description: "the gateway failed",
	}
}

// challenge builds a Bearer challenge out of name and value pairs. The values are our own words or names that Compile
// has checked to hold no quote and no backslash, so quoting is all they need.
func challenge(pairs ...string) string {
	var b strings.Builder
	b.WriteString("Bearer")
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(" " + pairs[i] + `="` + pairs[i+1] + `"`)
	}
	return b.String()
}
