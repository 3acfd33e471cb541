package phantomtoken

import (
	"errors"
	"net/http"
)

// The reasons for which a request carries no bearer token.
var (
	// ErrNoToken: no Authorization header, another scheme, or the scheme alone.
	ErrNoToken = errors.New("no bearer token")
	// ErrManyHeaders: several Authorization headers. Which one counts would be anybody's guess.
	ErrManyHeaders = errors.New("more than one Authorization header")
)

// Bearer returns the bearer token of h (RFC 6750 section 2.1): the scheme in any case (RFC 9110 section 11.1), one or
// more spaces, the token. It does not promise that the token is well formed; only a reference is, and Swap refuses all
// else. Tokens in the query or the body are not looked for.
func Bearer(h http.Header) (string, error) {
	values := h["Authorization"]
	switch len(values) {
	case 0:
		return "", ErrNoToken
	case 1:
		return parseAuthorization(values[0])
	}
	return "", ErrManyHeaders
}

func parseAuthorization(value string) (string, error) {
	const scheme = "bearer"
	if len(value) <= len(scheme) || value[len(scheme)] != ' ' {
		return "", ErrNoToken
	}
	for i := range len(scheme) {
		if value[i]|0x20 != scheme[i] { // the scheme's letters fold by one bit, and nothing else folds to a letter
			return "", ErrNoToken
		}
	}
	token := value[len(scheme)+1:]
	for token != "" && token[0] == ' ' {
		token = token[1:]
	}
	if token == "" {
		return "", ErrNoToken
	}
	return token, nil
}
