package apiguard

import (
	"errors"
	"strings"
)

// maxTokenBytes bounds what we are willing to parse and verify; net/http bounds the headers as a whole.
const maxTokenBytes = 64 << 10

var (
	errSeveralHeaders = errors.New("more than one Authorization header")
	errNoBearer       = errors.New("a bearer token is required")
	errMalformed      = errors.New("the bearer token is malformed")
)

// bearerToken takes the token out of the request's Authorization headers (RFC 6750 section 2.1, with the scheme in any
// case and any number of blanks after it, as RFC 9110 section 11.4 has it). The forms of RFC 6750 sections 2.2 and 2.3
// (body, query) are never read.
func bearerToken(headers []string) (string, error) {
	switch len(headers) {
	case 0:
		return "", errNoBearer
	case 1:
	default:
		// Two programs in a row may each read a different one of them.
		return "", errSeveralHeaders
	}
	scheme, rest, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errNoBearer
	}
	token := strings.TrimLeft(rest, " ")
	if len(token) > maxTokenBytes || !isB64Token(token) {
		return "", errMalformed
	}
	return token, nil
}

// isB64Token is b64token of RFC 6750 section 2.1.
func isB64Token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
