// Package bearer finds the living token behind an access reference. Every endpoint that is shown one uses it, so that none
// can forget a reach, an end, a client or a user.
package bearer

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
)

// ErrInactive says that a reference does not stand for a living access token: unknown, expired, revoked by whatever
// reach, or its client or user is gone from the config. It deliberately does not say which.
var ErrInactive = errors.New("bearer: inactive")

// Store is what a Finder reads: one statement a request.
type Store interface {
	FindAccess(ctx context.Context, tenant string, hash []byte) (storage.LiveAccess, error)
	FindAccessByJTI(ctx context.Context, tenant, jti string) (storage.LiveAccess, error)
}

// Clients finds an app of the config.
type Clients interface {
	Find(tenant, id string) (config.Client, bool)
}

// Users finds a user who can still log in.
type Users interface {
	Find(tenant, subject string) (users.User, bool)
}

// Finder finds living tokens. No field may be missing.
type Finder struct {
	Store   Store
	Clients Clients
	Users   Users
	Now     func() time.Time
}

// Token is a living token, and who stands behind it.
type Token struct {
	storage.LiveAccess
	Client config.Client // the grant's: of an exchanged token, not the one that may use it
	User   users.User    // zero for a machine client
}

// Find gives the token behind an access reference, or ErrInactive. Any other error means that it could not be found out.
func (f Finder) Find(ctx context.Context, tenant, reference string) (Token, error) {
	if kind, err := tokens.ParseReference(reference); err != nil || kind != tokens.Access {
		return Token{}, ErrInactive
	}
	live, err := f.Store.FindAccess(ctx, tenant, tokens.Hash(reference))
	return f.alive(tenant, live, err)
}

// FindByJTI is Find for the token behind a JWT whose signature has been verified. The JWT may say less than the token: what
// it was narrowed to, and when it ends itself, is the caller's part.
func (f Finder) FindByJTI(ctx context.Context, tenant, jti string) (Token, error) {
	live, err := f.Store.FindAccessByJTI(ctx, tenant, jti)
	return f.alive(tenant, live, err)
}

// alive judges what a read found.
func (f Finder) alive(tenant string, live storage.LiveAccess, err error) (Token, error) {
	now := f.Now()
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return Token{}, ErrInactive
	case err != nil:
		return Token{}, err
	case !live.Alive, !now.Before(live.ExpiresAt), !now.Before(live.Grant.ExpiresAt):
		return Token{}, ErrInactive
	}
	token := Token{LiveAccess: live}
	known := false
	if token.Client, known = f.Clients.Find(tenant, live.Grant.ClientID); !known {
		return Token{}, ErrInactive
	}
	for _, actor := range live.Actors {
		if _, known := f.Clients.Find(tenant, actor); !known {
			return Token{}, ErrInactive
		}
	}
	if live.Grant.Subject != "" {
		if token.User, known = f.Users.Find(tenant, live.Grant.Subject); !known {
			return Token{}, ErrInactive
		}
	}
	return token, nil
}

// Check is Find for the issuer's own endpoints: it refuses as RFC 6750, 3.1 says, with invalid_token when there is no
// living token, and with insufficient_scope when it was not granted the scope, or its client may no longer have it.
func (f Finder) Check(ctx context.Context, tenant, reference, scope string) (Token, error) {
	token, err := f.Find(ctx, tenant, reference)
	switch {
	case errors.Is(err, ErrInactive):
		return Token{}, oauth.Errorf(oauth.InvalidToken, "the access token is unknown, expired or revoked")
	case err != nil:
		return Token{}, err
	case !slices.Contains(strings.Fields(token.Scope), scope), !slices.Contains(token.Client.Scopes, scope):
		return Token{}, oauth.Errorf(oauth.InsufficientScope, "the access token was not granted the scope %s", scope)
	}
	return token, nil
}

// FromHeader takes the reference out of the one Authorization header (RFC 6750, 2.1). It gives "" when there is no such
// header at all, and refuses every other shape.
func FromHeader(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", nil
	}
	scheme, reference, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || reference == "" {
		return "", oauth.Errorf(oauth.InvalidToken, "send one Authorization header: Bearer and the access token")
	}
	return reference, nil
}
