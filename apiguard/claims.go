package apiguard

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a verified access token says (RFC 9068 section 2.2).
type Claims struct {
	Issuer   string
	Subject  string   // the user, or ClientID when no user is behind the token
	Audience []string // this API, and no other unless Config.InsecureAcceptOtherAudiences
	ClientID string   // the app that holds the token
	Scopes   []string
	ID       string // jti
	IssuedAt time.Time
	Expires  time.Time

	// About the user's login (RFC 9068 section 2.2.1). Zero when the token says nothing of it: a machine's token.
	AuthTime time.Time
	ACR      string
	AMR      []string

	all map[string]any
}

// HasScope reports whether the token carries this scope.
func (c Claims) HasScope(scope string) bool { return slices.Contains(c.Scopes, scope) }

// String returns a claim beyond the named ones, such as "region". It is false when the claim is absent or not a string.
func (c Claims) String(name string) (string, bool) {
	s, ok := c.all[name].(string)
	return s, ok
}

// All returns every claim as it was signed, by name; numbers are json.Number.
func (c Claims) All() map[string]any { return maps.Clone(c.all) }

// readClaims turns claims whose signature, issuer, audience and times have been checked into Claims, and refuses those
// without what RFC 9068 section 2.2 requires.
func readClaims(m jwt.MapClaims) (Claims, error) {
	c := Claims{all: m}
	var faults []error
	text := func(name string, required bool) string {
		value, present := m[name]
		s, _ := value.(string)
		if (present || required) && s == "" { // empty, absent or not a string
			faults = append(faults, errors.New("the token's "+name+" is missing or malformed"))
		}
		return s
	}
	c.Issuer = text("iss", true)
	c.Subject = text("sub", true)
	c.ClientID = text("client_id", true)
	c.ID = text("jti", true)
	c.ACR = text("acr", false)
	if _, present := m["scope"]; present {
		c.Scopes = strings.Fields(text("scope", false))
	}

	aud, err := m.GetAudience()
	c.Audience = aud
	faults = append(faults, err)
	issued, err := m.GetIssuedAt()
	if err != nil || issued == nil {
		faults = append(faults, errors.New("the token's iat is missing or malformed"))
	} else {
		c.IssuedAt = issued.Time
	}
	expires, err := m.GetExpirationTime()
	if err != nil || expires == nil {
		faults = append(faults, errors.New("the token's exp is missing or malformed"))
	} else {
		c.Expires = expires.Time
	}
	c.AuthTime, err = authTime(m)
	faults = append(faults, err)
	c.AMR, err = amr(m)
	return c, errors.Join(append(faults, err)...)
}

func authTime(m jwt.MapClaims) (time.Time, error) {
	value, present := m["auth_time"]
	if !present {
		return time.Time{}, nil
	}
	number, ok := value.(json.Number)
	seconds, err := number.Int64()
	if !ok || err != nil || seconds <= 0 {
		return time.Time{}, errors.New("the token's auth_time is malformed")
	}
	return time.Unix(seconds, 0), nil
}

func amr(m jwt.MapClaims) ([]string, error) {
	value, present := m["amr"]
	if !present {
		return nil, nil
	}
	list, ok := value.([]any)
	methods := make([]string, 0, len(list))
	for _, item := range list {
		method, isText := item.(string)
		ok = ok && isText
		methods = append(methods, method)
	}
	if !ok {
		return nil, errors.New("the token's amr is malformed")
	}
	return methods, nil
}
