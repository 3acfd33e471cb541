package grants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// CodeRequest is what a client presents to redeem a code.
type CodeRequest struct {
	Code        string
	RedirectURI string // exactly as in the authorization request
	Verifier    string // PKCE
	Wanted      Wanted // narrows the access token; the grant and its refresh references keep all
}

// RedeemCode gives the tokens that a code stands for, once. A second redemption by the same client, be it at once or
// later, is refused and ends the grant with all that it gave (RFC 6749, 4.1.2).
//
// Two failures do not harm the grant. A code shown by another client proves only that it leaked to somebody who cannot
// use it. Nor does a wrong verifier burn the code: PKCE assumes that others may see the code, and burning it would let
// whoever sees it end the rightful client's login, while to guess 256 bits within a minute is hopeless.
func (s *Service) RedeemCode(ctx context.Context, tenant string, client config.Client, r CodeRequest) (Answer, error) {
	if len(r.Code) != codeLength {
		return Answer{}, badCode()
	}
	code, err := s.Store.FindCode(ctx, tenant, tokens.Hash(r.Code))
	if errors.Is(err, storage.ErrNotFound) || err == nil && code.Grant.ClientID != client.ID {
		return Answer{}, badCode()
	}
	if err != nil {
		return Answer{}, fmt.Errorf("grants: redeem: %w", err)
	}
	now := s.Now()
	if code.Alive && !code.ConsumedAt.IsZero() {
		return Answer{}, s.replayed(ctx, code)
	}
	if !code.Alive || !now.Before(code.ExpiresAt) || !now.Before(code.Grant.ExpiresAt) {
		return Answer{}, badCode()
	}
	value, err := s.openCode(code)
	if err != nil {
		return Answer{}, err
	}
	if r.RedirectURI != value.RedirectURI || !verifies(r.Verifier, value.Challenge) {
		return Answer{}, oauth.Errorf(oauth.InvalidGrant,
			"redirect_uri or code_verifier is not that of the authorization request; the code can still be redeemed with the right ones")
	}

	scopes, err := s.choose(strings.Fields(code.Grant.Scope), client, r.Wanted)
	if err != nil {
		return Answer{}, err
	}
	answer, err := s.redeem(ctx, now, client, code, value, scopes)
	switch {
	case errors.Is(err, storage.ErrConsumed):
		return Answer{}, s.replayed(ctx, code)
	case errors.Is(err, storage.ErrEnded):
		return Answer{}, badCode()
	}
	return answer, err
}

// redeem makes the tokens and consumes the code in the same transaction.
func (s *Service) redeem(ctx context.Context, now time.Time, client config.Client, code storage.LiveCode, value codeValue, scopes []string) (Answer, error) {
	i, err := s.issue(now, client, code.Grant, value.Login, value.Nonce)
	if err != nil {
		return Answer{}, err
	}
	if err := i.newAccess(scopes); err != nil {
		return Answer{}, err
	}
	var refresh *storage.RefreshToken
	if mayRefresh(client, code.Grant.Offline) {
		row := i.newRefresh(code.Grant.Scope)
		refresh = &row
	}
	answer, err := i.answer()
	if err != nil {
		return Answer{}, err
	}
	if err := s.Store.RedeemCode(ctx, code.Grant.Tenant, code.Hash, now, i.access, refresh); err != nil {
		return Answer{}, fmt.Errorf("grants: redeem: %w", err)
	}
	return answer, nil
}

// replayed ends the grant of a code that was redeemed before.
func (s *Service) replayed(ctx context.Context, code storage.LiveCode) error {
	if err := s.end(ctx, code.Grant, "its code was redeemed twice"); err != nil {
		return fmt.Errorf("grants: a code was redeemed twice, and its grant could not be revoked: %w", err)
	}
	return oauth.Errorf(oauth.InvalidGrant, "the code was redeemed before; all that it gave is revoked; send the user to log in again")
}

func (s *Service) openCode(code storage.LiveCode) (codeValue, error) {
	key, err := s.DataKey.Unwrap(code.Grant.ID, code.Grant.WrappedKey)
	if err != nil {
		return codeValue{}, fmt.Errorf("grants: the key of grant %s: %w", code.Grant.ID, err)
	}
	plain, err := key.Open(purposeCode, string(code.Hash), code.Value)
	if err != nil {
		return codeValue{}, fmt.Errorf("grants: a code of grant %s: %w", code.Grant.ID, err)
	}
	var value codeValue
	if err := json.Unmarshal(plain, &value); err != nil {
		return codeValue{}, fmt.Errorf("grants: a code of grant %s is not what was sealed: %w", code.Grant.ID, err)
	}
	return value, nil
}

func badCode() error {
	return oauth.Errorf(oauth.InvalidGrant, "the code is unknown, expired, revoked, or another client's")
}

func userGone() error {
	return oauth.Errorf(oauth.InvalidGrant, "the user behind this is no longer known")
}
