// Package grants turns what a user, or a machine client, allowed one client into tokens: a grant begins with a code or
// with client credentials, and its access and refresh tokens descend from it, born under its generations, and so do the
// tokens that services exchange those for.
//
// It authenticates nobody: the client it is handed has proved itself, or is a public one whose proof is PKCE. Whatever is
// unknown, expired, revoked, someone else's, or not as it was asked for is refused as the RFCs say, as an oauth.Error;
// any other error means that nothing was issued.
package grants

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
)

// Store is what this room asks of the storage. Each method that writes is one transaction.
type Store interface {
	CreateGrantWithCode(ctx context.Context, grant storage.Grant, code storage.Code, consent *storage.Consent) error
	CreateGrantWithToken(ctx context.Context, grant storage.Grant, access storage.AccessToken) error
	FindCode(ctx context.Context, tenant string, hash []byte) (storage.LiveCode, error)
	RedeemCode(ctx context.Context, tenant string, hash []byte, now time.Time, access storage.AccessToken, refresh *storage.RefreshToken) error
	FindRefresh(ctx context.Context, tenant string, hash []byte) (storage.LiveRefresh, error)
	CreateExchanged(ctx context.Context, tenant string, by storage.Exchange, now time.Time, token storage.AccessToken) error
	RotateRefresh(ctx context.Context, tenant string, hash []byte, now time.Time, answer []byte, access storage.AccessToken, refresh storage.RefreshToken) error
}

// Users finds a user who can still log in.
type Users interface {
	Find(tenant, subject string) (users.User, bool)
}

// Verifier gives the claims of a JWT of the issuer's own with that `typ`. It judges the signature, not the times.
type Verifier interface {
	Verify(token, typ string) (jwt.MapClaims, error)
}

// Bearer finds the living token behind a JWT; bearer.ErrInactive when there is none.
type Bearer interface {
	FindByJTI(ctx context.Context, tenant, jti string) (bearer.Token, error)
}

// Revoker ends a grant whose code or refresh reference was used twice.
type Revoker interface {
	Revoke(ctx context.Context, tenant string, kind storage.Kind, target, by string) (storage.Revocation, error)
}

// Options are what a Service needs; none may be missing.
type Options struct {
	Issuer    string // `iss`
	Store     Store
	DataKey   seal.Key // wraps every grant's own key
	Users     Users
	Audiences tokens.Catalogue
	Signer    tokens.Signer // of ID tokens and exchanged tokens
	Verifier  Verifier
	Bearer    Bearer
	Revoker   Revoker
	Now       func() time.Time
	Logger    *slog.Logger
}

// Service issues codes and tokens. It is safe for concurrent use, on several nodes over one database.
type Service struct{ Options }

// New checks that nothing is missing.
func New(o Options) (*Service, error) {
	if o.Issuer == "" || o.Store == nil || o.DataKey == (seal.Key{}) || o.Users == nil || o.Audiences == nil || o.Signer == nil ||
		o.Verifier == nil || o.Bearer == nil || o.Revoker == nil || o.Now == nil || o.Logger == nil {
		return nil, errors.New("grants: every field of Options is needed")
	}
	return &Service{o}, nil
}

// end revokes a grant because something of it was used twice, and tells the log which, never the reference itself.
func (s *Service) end(ctx context.Context, grant storage.Grant, why string) error {
	s.Logger.WarnContext(ctx, "grant revoked", "why", why, "grant", grant.ID, "client", grant.ClientID, "subject", grant.Subject)
	_, err := s.Revoker.Revoke(ctx, grant.Tenant, storage.KindGrant, grant.ID, config.IssuerActor)
	if errors.Is(err, storage.ErrNotFound) { // swept since it was read
		return nil
	}
	return err
}

// mayRefresh tells whether a grant of these scopes gives the client refresh references.
func mayRefresh(client config.Client, offline bool) bool {
	return slices.Contains(client.GrantTypes, oauth.GrantRefreshToken) && (offline || client.Policy.Refresh == config.RefreshAlways)
}
