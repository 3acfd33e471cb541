package tokens

import (
	"encoding/json"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// Facts are what a token says, in the order in which it is written.
type Facts struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  any      `json:"aud"` // a string when it is one (RFC 7519, 4.1.3), as most verifiers expect, else a []string
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope"`
	IssuedAt  int64    `json:"iat"` // seconds since 1970, as all of these
	ExpiresAt int64    `json:"exp"`
	ID        string   `json:"jti"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	Act       *actor   `json:"act,omitempty"`
	Tenant    string   `json:"tenant,omitempty"`
}

// actor is who acts for the subject, and for whom that one acted in turn (RFC 8693, 4.1). Only the outermost counts when
// access is decided; the others are there to be read.
type actor struct {
	Subject string `json:"sub"`
	Act     *actor `json:"act,omitempty"`
}

func actorOf(clients []string) *actor {
	if len(clients) == 0 {
		return nil
	}
	return &actor{clients[0], actorOf(clients[1:])}
}

// facts puts together what stands in the row, in the sealed value and in what remains of them for the asker.
func facts(issuer string, t storage.LiveAccess, v Value, n Narrowed) Facts {
	f := Facts{
		Issuer: issuer, Subject: t.Grant.Subject, Audience: n.Audiences, ClientID: t.Grant.ClientID,
		Scope: oauth.JoinScope(n.Scopes), IssuedAt: t.IssuedAt.Unix(), ExpiresAt: t.ExpiresAt.Unix(), ID: t.JTI,
		AuthTime: v.AuthTime, ACR: v.ACR, AMR: v.AMR,
	}
	if len(t.Actors) > 0 { // the client that asked for this token (RFC 8693, 4.3), not the one that the user logged in at
		f.ClientID, f.Act = t.Actors[0], actorOf(t.Actors)
	}
	if f.Subject == "" { // a machine acts for itself (RFC 9068, 2.2)
		f.Subject = t.Grant.ClientID
	}
	if len(n.Audiences) == 1 {
		f.Audience = n.Audiences[0]
	}
	if t.Grant.Tenant != oauth.DefaultTenant {
		f.Tenant = t.Grant.Tenant
	}
	return f
}

// Introspection is the JSON answer about a living token (RFC 7662, 2.2), narrowed as its JWT would be. Its times are the
// token's own.
type Introspection struct {
	facts  Facts
	claims map[string]json.RawMessage
}

// Introspect describes a living token to an asker.
func Introspect(issuer string, t storage.LiveAccess, v Value, n Narrowed) Introspection {
	return Introspection{facts: facts(issuer, t, v, n), claims: n.Claims}
}

// MarshalJSON writes the registered members first, then the claims.
func (i Introspection) MarshalJSON() ([]byte, error) {
	return marshalWith(i.claims, struct {
		Active bool `json:"active"`
		Facts
		TokenType string `json:"token_type"`
	}{true, i.facts, "Bearer"})
}

// phantom is the claims of a phantom token (RFC 9068, 2.2).
type phantom struct {
	signedOnly
	facts  Facts
	claims map[string]json.RawMessage
}

func (p phantom) MarshalJSON() ([]byte, error) { return marshalWith(p.claims, p.facts) }

// Phantom mints the JWT that stands for a living token at the audiences that remain. It ends lifetime after now, or with
// the token if that is sooner; the second result says when.
func Phantom(s Signer, issuer string, t storage.LiveAccess, v Value, n Narrowed, now time.Time, lifetime time.Duration) (string, time.Time, error) {
	expires := now.Add(lifetime)
	if t.ExpiresAt.Before(expires) {
		expires = t.ExpiresAt
	}
	expires = expires.Truncate(time.Second)
	f := facts(issuer, t, v, n)
	f.IssuedAt, f.ExpiresAt = now.Unix(), expires.Unix()
	signed, err := s.Sign(oauth.TypeAccessToken, phantom{facts: f, claims: n.Claims})
	return signed, expires, err
}

// about is an introspection answer as a JWT (RFC 9701, 5): an answer about a token, and never a token.
type about struct {
	signedOnly
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	IssuedAt int64  `json:"iat"`
	Answer   any    `json:"token_introspection"`
}

// SignIntrospection signs an introspection answer for the asker it is meant for (RFC 9701, 5).
func SignIntrospection(s Signer, issuer, asker string, now time.Time, answer any) (string, error) {
	return s.Sign(oauth.TypeIntrospection, about{Issuer: issuer, Audience: asker, IssuedAt: now.Unix(), Answer: answer})
}

// marshalWith writes a struct and, as further members of the same object, the claims.
func marshalWith(claims map[string]json.RawMessage, fixed any) ([]byte, error) {
	body, err := json.Marshal(fixed)
	if err != nil || len(claims) == 0 {
		return body, err
	}
	more, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	body[len(body)-1] = ','
	return append(body, more[1:]...), nil
}

// signedOnly makes a struct a jwt.Claims. The jwt package asks for these only when it judges a token, and what embeds it
// is only ever signed.
type signedOnly struct{}

func (signedOnly) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }
func (signedOnly) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (signedOnly) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (signedOnly) GetIssuer() (string, error)                   { return "", nil }
func (signedOnly) GetSubject() (string, error)                  { return "", nil }
func (signedOnly) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }
