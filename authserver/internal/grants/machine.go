package grants

import (
	"context"
	"fmt"
	"slices"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// ClientCredentials gives a machine client an access token for itself (RFC 6749, 4.4), for all of its scopes unless it
// wants fewer. There is no refresh reference: the client's secret is one.
//
// births are the client's generations, read before its secret was checked: a revocation of the client that lands between
// the two ends the token at birth.
func (s *Service) ClientCredentials(ctx context.Context, tenant string, client config.Client, births storage.Births, wanted Wanted) (Answer, error) {
	if client.Public {
		return Answer{}, oauth.Errorf(oauth.UnauthorizedClient, "a public client has no credentials to ask with")
	}
	scopes, err := s.choose(machineScopes(client), client, wanted)
	if err != nil {
		return Answer{}, err
	}
	now := s.Now()
	grant := storage.Grant{
		Tenant: tenant, ID: newID(), ClientID: client.ID, Scope: oauth.JoinScope(scopes), Births: births,
		CreatedAt: now, ExpiresAt: now.Add(client.Policy.AccessToken),
	}
	key, wrapped, err := s.DataKey.NewWrapped(grant.ID)
	if err != nil {
		return Answer{}, fmt.Errorf("grants: %w", err)
	}
	grant.WrappedKey = wrapped
	i := &issuing{s: s, now: now, client: client, grant: grant, key: key}
	if err := i.newAccess(scopes); err != nil {
		return Answer{}, err
	}
	answer, err := i.answer()
	if err != nil {
		return Answer{}, err
	}
	if err := s.Store.CreateGrantWithToken(ctx, grant, i.access); err != nil {
		return Answer{}, fmt.Errorf("grants: client credentials: %w", err)
	}
	return answer, nil
}

// machineScopes are those of a client that need no user: the issuer's own speak of one.
func machineScopes(client config.Client) []string {
	return slices.DeleteFunc(slices.Clone(client.Scopes), func(scope string) bool {
		return slices.Contains(oauth.IssuerScopes(), scope)
	})
}
