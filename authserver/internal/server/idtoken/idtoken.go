// Package idtoken reads an ID token of our own that a client hands back as a hint (id_token_hint).
//
// Such a token tells which login the client means. It proves nothing about who sends it, and it may have expired: so it
// may narrow what we do, and never permit anything on its own.
package idtoken

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// ErrHint says that a hint is not an ID token of ours.
var ErrHint = errors.New("idtoken: not an ID token of this issuer")

// Verifier checks that a JWT of that `typ` bears our own signature. Whether it has expired is not its business.
type Verifier interface {
	Verify(token, typ string) (jwt.MapClaims, error)
}

// Hint is what is read from an ID token.
type Hint struct {
	Subject   string
	ClientID  string // the one audience
	SessionID string // may be empty
}

// Read reads a hint, or fails with ErrHint.
func Read(keys Verifier, issuer, token string) (Hint, error) {
	claims, err := keys.Verify(token, oauth.TypeIDToken)
	if err != nil {
		return Hint{}, ErrHint
	}
	audience, err := claims.GetAudience()
	if err != nil || len(audience) != 1 || audience[0] == "" {
		return Hint{}, ErrHint
	}
	hint := Hint{ClientID: audience[0]}
	hint.Subject, _ = claims["sub"].(string)
	hint.SessionID, _ = claims["sid"].(string)
	if claims["iss"] != issuer || hint.Subject == "" {
		return Hint{}, ErrHint
	}
	return hint, nil
}
