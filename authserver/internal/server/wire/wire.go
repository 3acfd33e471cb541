// Package wire maps results and errors to HTTP, at this one place. An oauth.Error is told as its RFC says; anything else
// is told as a generic server_error with the request's id, and its text goes to the log only.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/telemetry"
)

// MaxForm is the largest form that is read, in bytes.
const MaxForm = 64 << 10

// statuses are those that differ from 400.
var statuses = map[string]int{
	oauth.InvalidClient:          http.StatusUnauthorized,
	oauth.InvalidToken:           http.StatusUnauthorized,
	oauth.InsufficientScope:      http.StatusForbidden,
	oauth.AccessDenied:           http.StatusForbidden,
	oauth.NotFound:               http.StatusNotFound,
	oauth.KeyReused:              http.StatusUnprocessableEntity,
	oauth.TooManyStreams:         http.StatusConflict, // SSF 1.0, 8.1.1.1
	oauth.TemporarilyUnavailable: http.StatusServiceUnavailable,
	oauth.ServerError:            http.StatusInternalServerError,
}

// Refusal is what an error looks like on the wire.
type Refusal struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	RequestID   string `json:"request_id,omitempty"`
}

// Explain gives the refusal for err and logs what the other side is not told. It is for handlers that answer in a form
// of their own (a page, a redirect); the others call Error.
func Explain(ctx context.Context, log *slog.Logger, err error) Refusal {
	var told *oauth.Error
	switch {
	case errors.As(err, &told):
		status, ok := statuses[told.Code]
		if !ok {
			status = http.StatusBadRequest
		}
		return Refusal{Status: status, Code: told.Code, Description: described(told.Description)}
	case errors.Is(err, storage.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		log.ErrorContext(ctx, "could not answer", "error", err)
		return Refusal{Status: http.StatusServiceUnavailable, Code: oauth.TemporarilyUnavailable,
			Description: "the issuer could not do this now; nothing was done; try again", RequestID: telemetry.RequestID(ctx)}
	case errors.Is(err, context.Canceled):
		return Refusal{Status: http.StatusServiceUnavailable, Code: oauth.TemporarilyUnavailable, Description: "the request was given up"}
	default:
		log.ErrorContext(ctx, "unexpected error", "error", err)
		return Refusal{Status: http.StatusInternalServerError, Code: oauth.ServerError,
			Description: "something went wrong at the issuer; tell its operator the request id", RequestID: telemetry.RequestID(ctx)}
	}
}

// Error answers err as JSON (RFC 6749, 5.2), with the challenge that its status asks for.
func Error(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	refusal := Explain(r.Context(), log, err)
	challenge(w, refusal)
	JSON(w, refusal.Status, refusal)
}

// Problem answers err as problem details (RFC 9457), with the challenge that its status asks for. `error` is the code that
// Error would give.
func Problem(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	refusal := Explain(r.Context(), log, err)
	challenge(w, refusal)
	answer(w, refusal.Status, "application/problem+json", struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		Code      string `json:"error"`
		RequestID string `json:"request_id,omitempty"`
	}{"urn:phantomgate:problem:" + refusal.Code, http.StatusText(refusal.Status), refusal.Status, refusal.Description, refusal.Code, refusal.RequestID})
}

func challenge(w http.ResponseWriter, refusal Refusal) {
	switch {
	case refusal.Code == oauth.InvalidClient:
		w.Header().Set("WWW-Authenticate", `Basic realm="phantomgate", charset="UTF-8"`)
	case refusal.Code == oauth.InvalidToken || refusal.Code == oauth.InsufficientScope:
		w.Header().Set("WWW-Authenticate", `Bearer error="`+refusal.Code+`", error_description=`+quoted(refusal.Description))
	}
	if refusal.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
}

// JSON answers v, which nobody may store.
func JSON(w http.ResponseWriter, status int, v any) { answer(w, status, "application/json", v) }

func answer(w http.ResponseWriter, status int, media string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // only a programming fault can bring this about
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", media)
	NoStore(h)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// NoStore forbids every cache to keep the answer (RFC 6749, 5.1).
func NoStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}

// Form reads a form from the body of a POST, and from nowhere else: a secret in a URL is not read. It refuses another
// media type, more than MaxForm bytes, and a parameter given twice (RFC 6749, 3.2).
func Form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, oauth.Errorf(oauth.InvalidRequest, "use POST")
	}
	encoded, err := readForm(w, r, MaxForm)
	if err != nil {
		return nil, err
	}
	return ParseForm(encoded)
}

// readForm reads a form as it was sent.
func readForm(w http.ResponseWriter, r *http.Request, limit int64) (string, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return "", oauth.Errorf(oauth.InvalidRequest, "send the parameters as application/x-www-form-urlencoded in the body")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return "", oauth.Errorf(oauth.InvalidRequest, "the body could not be read, or is larger than %d bytes", limit)
	}
	return string(body), nil
}

// ParseForm parses an encoded form or query and refuses a parameter given twice. One without a value counts as left out
// (RFC 6749, 3.1 and 3.2): zitadel's client, for one, sends an empty client_id beside its Basic header.
func ParseForm(encoded string) (url.Values, error) {
	form, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, oauth.Errorf(oauth.InvalidRequest, "the parameters are not form-encoded")
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, oauth.Errorf(oauth.InvalidRequest, "the parameter %s is given more than once", brief(name))
		}
		if values[0] == "" {
			delete(form, name)
		}
	}
	return form, nil
}

// maxDescription keeps what a stranger sent from growing our answer, in bytes.
const maxDescription = 300

// described makes an error_description of a text: RFC 6749 (4.1.2.1, 5.2) allows ASCII without quote and backslash.
func described(s string) string {
	if len(s) > maxDescription {
		s = s[:maxDescription] + "..."
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < 0x20 || r > 0x7e || r == '\\':
			return '?'
		}
		return r
	}, s)
}

// quoted makes a quoted-string of RFC 9110 from a description.
func quoted(s string) string { return `"` + described(s) + `"` }

// brief shortens a name that a stranger sent.
func brief(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
