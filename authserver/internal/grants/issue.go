package grants

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// Wanted narrows what a token request asks for.
type Wanted struct {
	Scopes   []string // none: all that may be had
	Audience string   // one audience's scopes and the issuer's own only (RFC 8707, RFC 8693); "": every audience's
}

// issuing is one answer in the making: the rows to write and the references that go with them.
type issuing struct {
	s      *Service
	now    time.Time
	client config.Client
	grant  storage.Grant
	key    seal.Key // the grant's own
	login  tokens.Value
	nonce  string

	accessReference, refreshReference string
	access                            storage.AccessToken
}

// issue opens the grant's key for an answer.
func (s *Service) issue(now time.Time, client config.Client, grant storage.Grant, login tokens.Value, nonce string) (*issuing, error) {
	key, err := s.DataKey.Unwrap(grant.ID, grant.WrappedKey)
	if err != nil {
		return nil, fmt.Errorf("grants: the key of grant %s: %w", grant.ID, err)
	}
	return &issuing{s: s, now: now, client: client, grant: grant, key: key, login: login, nonce: nonce}, nil
}

// newAccess makes the access reference and its row. The token ends on a whole second, never later than its policy or its
// grant: JWTs and expires_in count seconds, and none of them may outlive it by rounding.
func (i *issuing) newAccess(scopes []string) error {
	user, known := i.s.Users.Find(i.grant.Tenant, i.grant.Subject)
	if i.grant.Subject != "" && !known {
		return userGone()
	}
	claims, err := tokens.MarshalClaims(i.s.Audiences, i.s.Audiences.Of(scopes), user.Claims)
	if err != nil {
		return err
	}
	value := i.login
	value.Claims = claims
	i.accessReference = tokens.NewReference(tokens.Access)
	i.access = storage.AccessToken{
		Hash: tokens.Hash(i.accessReference), JTI: newID(), GrantID: i.grant.ID, Scope: oauth.JoinScope(scopes),
		IssuedAt: i.now, ExpiresAt: earlier(i.now.Add(i.client.Policy.AccessToken), i.grant.ExpiresAt).Truncate(time.Second),
	}
	i.access.Value = tokens.SealAccess(i.key, i.access.JTI, value)
	return nil
}

// newRefresh makes the refresh reference and its row. Its scope is the family's, however narrow the access token is that
// it comes with (RFC 6749, 6).
func (i *issuing) newRefresh(scope string) storage.RefreshToken {
	i.refreshReference = tokens.NewReference(tokens.Refresh)
	row := storage.RefreshToken{
		Hash: tokens.Hash(i.refreshReference), GrantID: i.grant.ID, Scope: scope,
		IssuedAt: i.now, ExpiresAt: earlier(i.now.Add(i.client.Policy.RefreshIdle), i.grant.ExpiresAt),
	}
	row.Value = tokens.SealRefresh(i.key, row.Hash, i.login)
	return row
}

// answer puts together what the client is told, with an ID token when the access token has the scope openid.
func (i *issuing) answer() (Answer, error) {
	a := Answer{
		AccessToken: i.accessReference, TokenType: "Bearer", ExpiresIn: int64(i.access.ExpiresAt.Sub(i.now) / time.Second),
		RefreshToken: i.refreshReference, Scope: i.access.Scope,
	}
	if i.grant.Subject == "" || !slices.Contains(strings.Fields(i.access.Scope), oauth.ScopeOpenID) {
		return a, nil
	}
	var err error
	a.IDToken, err = tokens.IDToken{
		Issuer: i.s.Issuer, Subject: i.grant.Subject, ClientID: i.client.ID, Login: i.login, Nonce: i.nonce,
		IssuedAt: i.now, ExpiresAt: i.access.ExpiresAt,
	}.Sign(i.s.Signer, i.accessReference)
	if err != nil {
		return Answer{}, fmt.Errorf("grants: the ID token: %w", err)
	}
	return a, nil
}

// choose narrows the scopes that may be had to those that are wanted. What the config no longer knows, or no longer
// allows the client, may not be had. A scope that is wanted by name and may not be had is refused, not dropped.
func (s *Service) choose(had []string, client config.Client, wanted Wanted) ([]string, error) {
	if wanted.Audience != "" {
		if _, known := s.Audiences.Audience(wanted.Audience); !known {
			return nil, oauth.Errorf(oauth.InvalidTarget, "there is no such audience; name one by its logical name")
		}
	}
	var allowed, chosen []string
	for _, scope := range had {
		_, audience, known := s.Audiences.Scope(scope)
		issuers := slices.Contains(oauth.IssuerScopes(), scope)
		if !slices.Contains(client.Scopes, scope) || !known && !issuers {
			continue
		}
		allowed = append(allowed, scope)
		if len(wanted.Scopes) > 0 && !slices.Contains(wanted.Scopes, scope) {
			continue
		}
		if wanted.Audience == "" || issuers || audience == wanted.Audience {
			chosen = append(chosen, scope)
		}
	}
	for _, scope := range wanted.Scopes {
		if !slices.Contains(allowed, scope) {
			return nil, oauth.Errorf(oauth.InvalidScope, "the scope %s was not granted to the client", scope)
		}
	}
	if wanted.Audience != "" && len(s.Audiences.Of(chosen)) == 0 {
		return nil, oauth.Errorf(oauth.InvalidTarget, "the client has none of the wanted scopes at the audience %s", wanted.Audience)
	}
	if len(chosen) == 0 {
		return nil, oauth.Errorf(oauth.InvalidScope, "no scope remains for the client; look at its registration")
	}
	return chosen, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
