package apiguard

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// refusal is an answer to a request that is not let through. Nothing in it comes from the request.
type refusal struct {
	status      int
	code        string // RFC 6750 section 3.1, or our own for what it does not name
	description string
	scopes      []string // what the operation needs, for insufficient_scope
	bare        bool     // no token was offered: the challenge carries no error (RFC 6750 section 3.1, last paragraph)
}

func (f *refusal) write(w http.ResponseWriter, realm string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	switch f.status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(int(refetchInterval.Seconds())))
	default:
		h.Set("WWW-Authenticate", f.challenge(realm))
	}
	body, err := json.Marshal(map[string]string{"error": f.code, "error_description": f.description})
	if err != nil { // strings always marshal; refuse all the same
		body = []byte(`{}`)
	}
	w.WriteHeader(f.status)
	_, _ = w.Write(body) // the client has gone if this fails: nothing is left to tell it
}

// challenge is WWW-Authenticate of RFC 6750 section 3. Realm, codes, descriptions and scopes hold no quote or backslash.
func (f *refusal) challenge(realm string) string {
	challenge := `Bearer realm="` + realm + `"`
	if f.bare {
		return challenge
	}
	challenge += `, error="` + f.code + `", error_description="` + f.description + `"`
	if len(f.scopes) > 0 {
		challenge += `, scope="` + strings.Join(f.scopes, " ") + `"`
	}
	return challenge
}
