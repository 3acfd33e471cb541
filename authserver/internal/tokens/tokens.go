// Package tokens knows what a token is: the reference a client holds, the token value persisted behind it, how both are
// narrowed to what an asker may see, and the JWTs that are minted from them.
//
// It decides nothing about who may have a token (grants does) and writes nothing to a store.
package tokens

import (
	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

// Catalogue knows the audiences and which scope belongs to which.
type Catalogue interface {
	Scope(name string) (scope config.Scope, audience string, ok bool)
	Audience(name string) (config.Audience, bool)
	Of(scopes []string) []string // the audiences of these scopes, in the file's order
}

// Signer signs claims as a JWT with that `typ`.
type Signer interface {
	Sign(typ string, claims jwt.Claims) (string, error)
}
