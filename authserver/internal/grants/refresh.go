package grants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// grace is how long a consumed refresh reference still earns the answer that it has earned: two tabs refresh at once, or
// an answer is lost on the way, and that must not look like theft.
const grace = 10 * time.Second

// RefreshRequest is what a client presents to have its tokens renewed.
type RefreshRequest struct {
	Reference string
	Wanted    Wanted // narrows the access token; the successor keeps the family's scope
}

// Refresh consumes a refresh reference and gives its one successor with a new access token. The same client presenting
// it again within the grace is given the same answer; later it is taken for theft, and the whole family ends (RFC 9700,
// 4.14.2). A rotation never moves the grant's end.
func (s *Service) Refresh(ctx context.Context, tenant string, client config.Client, r RefreshRequest) (Answer, error) {
	if kind, err := tokens.ParseReference(r.Reference); err != nil || kind != tokens.Refresh {
		return Answer{}, badRefresh()
	}
	answer, err := s.refreshOnce(ctx, tenant, client, r)
	if errors.Is(err, storage.ErrConsumed) {
		// Another request was first. The second reading finds the reference consumed, and the answer kept with it.
		answer, err = s.refreshOnce(ctx, tenant, client, r)
	}
	if errors.Is(err, storage.ErrEnded) {
		return Answer{}, badRefresh()
	}
	return answer, err
}

func (s *Service) refreshOnce(ctx context.Context, tenant string, client config.Client, r RefreshRequest) (Answer, error) {
	token, err := s.Store.FindRefresh(ctx, tenant, tokens.Hash(r.Reference))
	if errors.Is(err, storage.ErrNotFound) || err == nil && (token.Grant.ClientID != client.ID || !token.Alive) {
		return Answer{}, badRefresh()
	}
	if err != nil {
		return Answer{}, fmt.Errorf("grants: refresh: %w", err)
	}
	now := s.Now()
	consumed := !token.ConsumedAt.IsZero()
	if consumed && now.Sub(token.ConsumedAt) >= grace {
		if err := s.end(ctx, token.Grant, "its refresh reference was used again after the grace"); err != nil {
			return Answer{}, fmt.Errorf("grants: a refresh reference was used twice, and its grant could not be revoked: %w", err)
		}
		return Answer{}, oauth.Errorf(oauth.InvalidGrant, "the refresh token was used before; all that descends from it is revoked; send the user to log in again")
	}
	if !now.Before(token.ExpiresAt) || !now.Before(token.Grant.ExpiresAt) {
		return Answer{}, badRefresh()
	}
	scopes, err := s.choose(strings.Fields(token.Scope), client, r.Wanted)
	if err != nil {
		return Answer{}, err
	}
	if consumed {
		return s.again(token, r.Reference, scopes)
	}
	return s.rotate(ctx, now, client, token, r.Reference, scopes)
}

// rotate makes the successors and consumes the reference in the same transaction, which also keeps the answer for the
// grace.
func (s *Service) rotate(ctx context.Context, now time.Time, client config.Client, token storage.LiveRefresh, reference string, scopes []string) (Answer, error) {
	login, err := tokens.OpenRefresh(s.DataKey, token)
	if err != nil {
		return Answer{}, err
	}
	i, err := s.issue(now, client, token.Grant, login, "") // a refreshed ID token has no nonce (OpenID Connect Core, 12.2)
	if err != nil {
		return Answer{}, err
	}
	if err := i.newAccess(scopes); err != nil {
		return Answer{}, err
	}
	successor := i.newRefresh(token.Scope)
	answer, err := i.answer()
	if err != nil {
		return Answer{}, err
	}
	kept, err := sealAnswer(reference, token.Hash, answer)
	if err != nil {
		return Answer{}, err
	}
	if err := s.Store.RotateRefresh(ctx, token.Grant.Tenant, token.Hash, now, kept, i.access, successor); err != nil {
		return Answer{}, fmt.Errorf("grants: refresh: %w", err)
	}
	return answer, nil
}

// again gives the answer that the reference has earned. It is no answer to a request for other scopes: that one is
// refused without harm, since it comes from whoever holds the reference within the grace.
func (s *Service) again(token storage.LiveRefresh, reference string, scopes []string) (Answer, error) {
	if _, known := s.Users.Find(token.Grant.Tenant, token.Grant.Subject); !known {
		return Answer{}, userGone()
	}
	answer, err := openAnswer(reference, token.Hash, token.Answer)
	if err != nil {
		return Answer{}, err
	}
	if answer.Scope != oauth.JoinScope(scopes) {
		return Answer{}, oauth.Errorf(oauth.InvalidGrant, "the refresh token has just been used for other scopes; use its successor")
	}
	return answer, nil
}

func badRefresh() error {
	return oauth.Errorf(oauth.InvalidGrant, "the refresh token is unknown, expired, revoked, or another client's")
}
