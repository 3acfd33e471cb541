package grants

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

const (
	// maxExchanged is the longest that an exchanged token lives. Whoever needs one for longer exchanges again, and is
	// refused once the user's token has ended.
	maxExchanged = time.Minute
	// maxActors is how many services may stand behind one another: a ring of rules must not go on for ever.
	maxActors = 8
	// skew is how far another node's clock may be ahead of ours when it signs.
	skew = 5 * time.Second
)

// ExchangeRequest is what a service presents to call another service on behalf of the user who called it (RFC 8693).
type ExchangeRequest struct {
	SubjectToken string // the JWT that the service received
	Audience     string // whom the new token is for
	Scopes       []string
	// Births are the generations of the asker, and of the asker for BirthsOf, read before its secret was checked.
	Births   storage.Births
	BirthsOf string // the sub that the subject token claims
}

// Exchange gives a service a JWT for another one: for that audience alone, for the scopes of the service's rule, with the
// same user and tenant, and with `act` naming who acts for the user. What bounds it is the rule, not the scopes of the
// subject token: a browser app need not hold a right that only a service behind it uses.
//
// It lives a minute at most, never longer than the subject token and the token behind it, and dies with that one. The
// subject token must be a phantom token for this service alone; its references are nobody's but the client's and are
// refused. What is wrong with a subject token is one and the same invalid_request (RFC 8693, 2.2.2).
func (s *Service) Exchange(ctx context.Context, tenant string, asker config.Client, r ExchangeRequest) (Answer, error) {
	if asker.Public {
		return Answer{}, oauth.Errorf(oauth.UnauthorizedClient, "a public client has no credentials to exchange with")
	}
	now := s.Now()
	subject, err := s.readSubject(tenant, r.SubjectToken, now)
	if err != nil {
		return Answer{}, err
	}
	rule, err := chooseRule(asker, subject.audience, r)
	if err != nil {
		return Answer{}, err
	}
	parent, err := s.Bearer.FindByJTI(ctx, tenant, subject.id)
	if errors.Is(err, bearer.ErrInactive) {
		return Answer{}, badSubject(err)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("grants: exchange: %w", err)
	}
	if owner := cmp.Or(parent.Grant.Subject, parent.Grant.ClientID); owner != subject.sub || owner != r.BirthsOf {
		return Answer{}, badSubject(errors.New("its sub is not that of the token behind it"))
	}
	if len(parent.Actors) >= maxActors {
		return Answer{}, oauth.Errorf(oauth.InvalidRequest, "the subject token was exchanged %d times already; look for services that call each other in a ring", maxActors)
	}
	expires := earlier(now.Add(min(maxExchanged, asker.Policy.PhantomToken)), subject.expires)
	answer, err := s.exchange(ctx, now, asker, parent, rule, r.Births, expires)
	if errors.Is(err, storage.ErrEnded) || errors.Is(err, storage.ErrNotFound) {
		return Answer{}, badSubject(err)
	}
	return answer, err
}

// exchange makes the token and writes it, provided that its parent is still alive.
func (s *Service) exchange(ctx context.Context, now time.Time, asker config.Client, parent bearer.Token, rule config.Exchange, births storage.Births, expires time.Time) (Answer, error) {
	value, err := tokens.OpenAccess(s.DataKey, parent.LiveAccess)
	if err != nil {
		return Answer{}, err
	}
	audiences := []string{rule.Audience}
	if value.Claims, err = tokens.MarshalClaims(s.Audiences, audiences, parent.User.Claims); err != nil {
		return Answer{}, err
	}
	key, err := s.DataKey.Unwrap(parent.Grant.ID, parent.Grant.WrappedKey)
	if err != nil {
		return Answer{}, fmt.Errorf("grants: the key of grant %s: %w", parent.Grant.ID, err)
	}
	expires = earlier(earlier(expires, parent.ExpiresAt), parent.Grant.ExpiresAt).Truncate(time.Second)
	if expires.Sub(now) < time.Second {
		return Answer{}, badSubject(errors.New("it ends within the second"))
	}
	token := storage.AccessToken{
		// No client holds a reference to it: the hash is that of one which nobody is told.
		Hash: tokens.Hash(tokens.NewReference(tokens.Access)), JTI: newID(), GrantID: parent.Grant.ID, Scope: oauth.JoinScope(rule.Scopes),
		IssuedAt: now, ExpiresAt: expires, Actors: slices.Concat([]string{asker.ID}, parent.Actors),
	}
	token.Value = tokens.SealAccess(key, token.JTI, value)
	narrowed := tokens.Narrowed{Audiences: audiences, Scopes: rule.Scopes, Claims: value.Claims}
	signed, _, err := tokens.Phantom(s.Signer, s.Issuer, storage.LiveAccess{AccessToken: token, Grant: parent.Grant}, value, narrowed, now, expires.Sub(now))
	if err != nil {
		return Answer{}, fmt.Errorf("grants: the exchanged token: %w", err)
	}
	by := storage.Exchange{ParentJTI: parent.JTI, ClientID: asker.ID, Births: births}
	if err := s.Store.CreateExchanged(ctx, parent.Grant.Tenant, by, now, token); err != nil {
		return Answer{}, fmt.Errorf("grants: exchange: %w", err)
	}
	return Answer{
		AccessToken: signed, IssuedType: oauth.TokenTypeAccessToken, TokenType: "Bearer",
		ExpiresIn: int64(expires.Sub(now) / time.Second), Scope: token.Scope,
	}, nil
}

// subject is what a subject token says of itself.
type subject struct {
	id, sub, audience string
	expires           time.Time
}

// readSubject verifies a subject token as the API that received it does: ours, a phantom token, in time, for one audience
// and for this tenant. Whether the token behind it is alive is not known from it.
func (s *Service) readSubject(tenant, signed string, now time.Time) (subject, error) {
	if _, err := tokens.ParseReference(signed); err == nil {
		return subject{}, badSubject(errors.New("it is a reference"))
	}
	claims, err := s.Verifier.Verify(signed, oauth.TypeAccessToken)
	if err != nil {
		return subject{}, badSubject(err)
	}
	err = jwt.NewValidator(jwt.WithIssuer(s.Issuer), jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now })).Validate(claims)
	if err != nil {
		return subject{}, badSubject(err)
	}
	issued, err := claims.GetIssuedAt()
	if err != nil || issued == nil || issued.After(now.Add(skew)) {
		return subject{}, badSubject(errors.New("iat is missing, or later than now"))
	}
	expires, _ := claims.GetExpirationTime() // the validator has read it
	audience, _ := claims["aud"].(string)    // of several audiences it would be a list: too wide for any service
	id, _ := claims["jti"].(string)
	sub, _ := claims["sub"].(string)
	of, named := claims["tenant"].(string)
	if !named {
		of = oauth.DefaultTenant
	}
	if audience == "" || id == "" || sub == "" || of != tenant {
		return subject{}, badSubject(errors.New("aud, jti, sub or tenant is not as it must be"))
	}
	return subject{id, sub, audience, expires.Time}, nil
}

// chooseRule finds the asker's rule for what it received and what it wants, narrowed to the scopes that it asks for. A
// scope that is asked for by name and is not the rule's is refused, not dropped.
func chooseRule(asker config.Client, from string, r ExchangeRequest) (config.Exchange, error) {
	if !slices.ContainsFunc(asker.Exchange, func(rule config.Exchange) bool { return rule.From == from }) {
		return config.Exchange{}, badSubject(errors.New("its audience is not the asker"))
	}
	n := slices.IndexFunc(asker.Exchange, func(rule config.Exchange) bool { return rule.From == from && rule.Audience == r.Audience })
	if n < 0 {
		return config.Exchange{}, oauth.Errorf(oauth.InvalidTarget, "the client has no rule for this audience; look at exchange in its registration")
	}
	rule := asker.Exchange[n]
	for _, scope := range r.Scopes {
		if !slices.Contains(rule.Scopes, scope) {
			return config.Exchange{}, oauth.Errorf(oauth.InvalidScope, "the client's rule for this audience does not have the scope %s", scope)
		}
	}
	if len(r.Scopes) > 0 {
		rule.Scopes = r.Scopes
	}
	return rule, nil
}

// badSubject is the one answer to whatever is wrong with a subject token; why stays here.
func badSubject(why error) error {
	return oauth.Errorf(oauth.InvalidRequest,
		"the subject token is not a living access token for this client; send the JWT that it received, and not a reference").WithCause(why)
}
