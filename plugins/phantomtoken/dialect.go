package phantomtoken

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Answer names how an issuer is asked for the JWT behind a reference, and how it answers.
type Answer string

// The answers that are understood. All but AnswerPhantom are those of foreign issuers: ones that are not phantomgate's.
const (
	// AnswerPhantom is our own issuer's: introspection with audience and scope, answered as application/jwt.
	AnswerPhantom Answer = "phantom"
	// AnswerJWT is introspection answered as application/jwt, or 204: Curity's.
	AnswerJWT Answer = "jwt"
	// AnswerJSONJWT is introspection (RFC 7662) answered in JSON with a member "jwt": Keycloak's.
	AnswerJSONJWT Answer = "json-jwt"
	// AnswerJSONPhantomToken is the same with a member "phantom_token".
	AnswerJSONPhantomToken Answer = "json-phantom-token"
	// AnswerTokenExchange is token exchange (RFC 8693) at the token endpoint, with the reference as subject token.
	AnswerTokenExchange Answer = "token-exchange"
)

// Answers lists them in the order in which people should think of them.
func Answers() []Answer {
	return []Answer{AnswerPhantom, AnswerJWT, AnswerJSONJWT, AnswerJSONPhantomToken, AnswerTokenExchange}
}

// dialect is how one kind of issuer is spoken to.
type dialect struct {
	// accept is the request's Accept, parameter the name of the reference in its form.
	accept, parameter string
	// noContent: a 204 says that the reference is not active.
	noContent bool
	// form is the rest of the form, which is the same for every reference.
	form func(audience string, scopes []string) url.Values
	// read makes an answer of what came with status 200.
	read func(resp *http.Response, body []byte) (answer, error)
	// refused translates an OAuth error that came with another status, or returns nil when it is the issuer's fault.
	refused func(status int, code string) error
}

const (
	mediaJWT  = "application/jwt"
	mediaJSON = "application/json"
)

// dialect returns how an issuer with this answer is spoken to.
func (a Answer) dialect() (dialect, error) {
	none := func(int, string) error { return nil }
	nothing := func(string, []string) url.Values { return nil } // would be ignored at best
	switch a {
	case "", AnswerPhantom:
		return dialect{mediaJWT, "token", true, narrowed, readJWT, refusedIntrospection}, nil
	case AnswerJWT:
		return dialect{mediaJWT, "token", true, nothing, readJWT, none}, nil
	case AnswerJSONJWT:
		// Keycloak gives the member only to those who accept application/jwt and nothing else.
		return dialect{mediaJWT, "token", false, nothing, readMember("jwt"), none}, nil
	case AnswerJSONPhantomToken:
		return dialect{mediaJSON, "token", false, nothing, readMember("phantom_token"), none}, nil
	case AnswerTokenExchange:
		return dialect{mediaJSON, "subject_token", false, exchanged, readExchanged, refusedExchange}, nil
	}
	return dialect{}, fmt.Errorf("Answer %q is not known", string(a))
}

func narrowed(audience string, scopes []string) url.Values {
	return url.Values{"audience": {audience}, "scope": {strings.Join(scopes, " ")}}
}

const typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"

// exchanged is the form of RFC 8693 section 2.1.
func exchanged(audience string, scopes []string) url.Values {
	form := narrowed(audience, scopes)
	form.Set("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
	form.Set("subject_token_type", typeAccessToken)
	form.Set("requested_token_type", typeAccessToken)
	return form
}

func refusedIntrospection(status int, code string) error {
	if status == http.StatusForbidden && code == "insufficient_scope" {
		return ErrInsufficient
	}
	return nil
}

// refusedExchange reads RFC 8693 section 2.2.2: a subject token that is not valid is an invalid_request, as a request
// that is not well formed would be; ours is. Some issuers keep to the other codes of OAuth.
func refusedExchange(status int, code string) error {
	if status != http.StatusBadRequest {
		return nil
	}
	switch code {
	case "invalid_request", "invalid_grant", "invalid_token":
		return ErrInactive
	case "invalid_scope":
		return ErrInsufficient
	}
	return nil
}

// isMedia tells whether resp is of the media type, whatever its parameters.
func isMedia(resp *http.Response, mediaType string) bool {
	values := resp.Header.Values("Content-Type")
	if len(values) != 1 {
		return false
	}
	got, _, err := mime.ParseMediaType(values[0])
	return err == nil && got == mediaType
}

func readJWT(resp *http.Response, body []byte) (answer, error) {
	if !isMedia(resp, mediaJWT) {
		return answer{}, fmt.Errorf("%w: it is not application/jwt", ErrIssuer)
	}
	found := answer{jwt: strings.TrimSpace(string(body))}
	found.maxAge, found.limited = cacheLifetime(resp.Header.Values("Cache-Control"))
	return found, nil
}

// readMember returns how JSON introspection with the JWT in a member of this name is read.
func readMember(name string) func(*http.Response, []byte) (answer, error) {
	return func(resp *http.Response, body []byte) (answer, error) {
		m, err := readMembers(resp, body)
		if err != nil {
			return answer{}, err
		}
		switch string(m["active"]) { // RFC 7662 section 2.2: required, a boolean
		case "true":
		case "false":
			return answer{}, ErrInactive
		default:
			return answer{}, fmt.Errorf("%w: it has no active that is true or false", ErrIssuer)
		}
		if err := m.bearer(false); err != nil {
			return answer{}, err
		}
		token, err := m.text(name)
		found := answer{jwt: token}
		found.maxAge, found.limited = cacheLifetime(resp.Header.Values("Cache-Control"))
		return found, err
	}
}

// readExchanged reads the answer of RFC 8693 section 2.2.1. Its Cache-Control is not looked at: RFC 6749 section 5.1 has
// every token answer say no-store, to whoever stands between us and the issuer. The token says how long it may be used.
func readExchanged(resp *http.Response, body []byte) (answer, error) {
	m, err := readMembers(resp, body)
	if err != nil {
		return answer{}, err
	}
	kind, err := m.text("issued_token_type")
	if err != nil {
		return answer{}, err
	}
	if kind != typeAccessToken && kind != "urn:ietf:params:oauth:token-type:jwt" {
		return answer{}, fmt.Errorf("%w: its issued_token_type is neither access_token nor jwt", ErrIssuer)
	}
	if err := m.bearer(true); err != nil {
		return answer{}, err
	}
	token, err := m.text("access_token")
	found := answer{jwt: token}
	if raw, ok := m["expires_in"]; ok && err == nil {
		var seconds uint32
		if json.Unmarshal(raw, &seconds) != nil {
			return answer{}, fmt.Errorf("%w: its expires_in is not a number of seconds", ErrIssuer)
		}
		found.maxAge, found.limited = time.Duration(seconds)*time.Second, true
	}
	return found, err
}

// members are those of one JSON object, by their exact names.
type members map[string]json.RawMessage

// readMembers reads a JSON object. encoding/json alone would take "Active" for "active", and the last of two: an answer
// that can be read in two ways is not used.
func readMembers(resp *http.Response, body []byte) (members, error) {
	if !isMedia(resp, mediaJSON) {
		return nil, fmt.Errorf("%w: it is not application/json", ErrIssuer)
	}
	if !json.Valid(body) || bytes.TrimSpace(body)[0] != '{' {
		return nil, fmt.Errorf("%w: it is not a JSON object", ErrIssuer)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	m := members{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
		}
		key, _ := name.(string) // the syntax has been checked
		if _, twice := m[key]; twice {
			return nil, fmt.Errorf("%w: it has a member twice", ErrIssuer)
		}
		m[key] = value
	}
	return m, nil
}

// text returns a member that must be there and be a string with something in it.
func (m members) text(name string) (string, error) {
	var s *string
	if err := json.Unmarshal(m[name], &s); err != nil || s == nil || *s == "" {
		return "", fmt.Errorf("%w: it has no %s", ErrIssuer, name)
	}
	return *s, nil
}

// bearer checks token_type: a token that is bound to its sender's key (DPoP) is no bearer token, and a refresh token is
// none either. RFC 7662 has it optional, RFC 8693 required.
func (m members) bearer(required bool) error {
	if _, ok := m["token_type"]; !ok && !required {
		return nil
	}
	kind, err := m.text("token_type")
	if err == nil && !strings.EqualFold(kind, "Bearer") {
		err = fmt.Errorf("%w: its token_type is not Bearer", ErrIssuer)
	}
	return err
}

// ClientAuth names how the gateway proves to the issuer who it is (RFC 6749 section 2.3.1).
type ClientAuth string

const (
	// ClientAuthBasic: id and secret in the Authorization header, form-encoded first.
	ClientAuthBasic ClientAuth = "basic"
	// ClientAuthPost: id and secret in the form, for issuers that know nothing better.
	ClientAuthPost ClientAuth = "post"
)

// ClientAuths lists them.
func ClientAuths() []ClientAuth { return []ClientAuth{ClientAuthBasic, ClientAuthPost} }

// Accept names what passes of a foreign issuer that would not pass of our own. Each makes a promise smaller, so nobody
// gets it without saying so. The zero Accept lets nothing more pass.
type Accept struct {
	// OtherAudiences: a JWT's `aud` may name others beside the route's audience. It must still name that.
	OtherAudiences bool
	// OtherScopes: a JWT may carry scopes that the route did not ask for. They count for nothing here, but the API
	// gets to see them.
	OtherScopes bool
	// TypJWT: a JWT's `typ` may be JWT beside at+jwt, as it was before RFC 9068.
	TypJWT bool
	// JWTReferences: what a client sends may look like a JWT. The issuer is asked about it all the same.
	JWTReferences bool
}
