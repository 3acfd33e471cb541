package phantomtoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/plugins/claims"
	"github.com/phantomgate/phantomgate/plugins/policy"
)

// verifier checks that a JWT is the phantom token that was asked for (RFC 9068 section 4).
type verifier struct {
	issuer, tenant string
	narrows        bool // the issuer was asked for one audience alone
	accept         Accept
	keys           *keySet
	now            func() time.Time
	timeout        time.Duration // no answer takes longer
	parser         *jwt.Parser
}

// clockSkew is how far the issuer's clock may differ from ours.
const clockSkew = 10 * time.Second

const defaultTenant = "default"

// tokenClaims are those of a phantom token that the gateway judges by.
type tokenClaims struct {
	jwt.RegisteredClaims
	Scope    string
	AuthTime *jwt.NumericDate
	ACR      string
	Tenant   string
	// Confirmation binds the token to a key (RFC 7800).
	Confirmation json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *tokenClaims) UnmarshalJSON(data []byte) error {
	return claims.Read(data, map[string]any{
		"iss": &c.Issuer, "aud": &c.Audience, "exp": &c.ExpiresAt, "nbf": &c.NotBefore, "iat": &c.IssuedAt,
		"scope": &c.Scope, "auth_time": &c.AuthTime, "acr": &c.ACR, "tenant": &c.Tenant,
		"cnf": &c.Confirmation,
	})
}

func newVerifier(cfg Config, keys *keySet) *verifier {
	return &verifier{
		issuer: cfg.Issuer, tenant: cfg.Tenant, narrows: cfg.narrows(), accept: cfg.Accept, keys: keys, now: cfg.Now, timeout: cfg.Timeout,
		parser: jwt.NewParser(
			jwt.WithValidMethods(algorithms),
			jwt.WithIssuer(cfg.Issuer),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(clockSkew),
			jwt.WithTimeFunc(cfg.Now),
			jwt.WithStrictDecoding(),
		),
	}
}

// verify returns the facts of raw, which is then a token for ask and nothing else. A token that has expired on its way here is
// inactive; anything else that is wrong with it is the issuer's fault, not the client's, one that lived too long for that too.
func (v *verifier) verify(ctx context.Context, raw string, ask *Ask) (policy.Facts, error) {
	var c tokenClaims
	var keyErr error
	token, err := v.parser.ParseWithClaims(raw, &c, func(token *jwt.Token) (key any, err error) {
		if err := v.checkHeader(token.Header); err != nil {
			return nil, err
		}
		key, keyErr = v.keys.key(ctx, token)
		return key, keyErr
	})
	switch {
	case undecided(keyErr):
		return policy.Facts{}, keyErr // the key could not be had; that says nothing about the token
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued), errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenExpired):
		return policy.Facts{}, fmt.Errorf("%w: %w: the clocks of issuer and gateway differ, or it answers with old JWTs", ErrIssuer, err)
	case err != nil:
		return policy.Facts{}, fmt.Errorf("%w: %w", ErrIssuer, err)
	case !token.Valid:
		return policy.Facts{}, fmt.Errorf("%w: its JWT is not valid", ErrIssuer)
	}
	if err := v.checkClaims(&c, ask); err != nil {
		if err == ErrInsufficient {
			return policy.Facts{}, err // which is no fault of the issuer's
		}
		return policy.Facts{}, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	if !v.narrows && !hasAny(c.Scope, ask.scopes) {
		return policy.Facts{}, ErrInsufficient
	}
	scopes, err := v.scopeMask(c.Scope, ask.scopes)
	if err != nil {
		return policy.Facts{}, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	if !v.now().Before(c.ExpiresAt.Time) {
		if c.IssuedAt != nil && c.ExpiresAt.Sub(c.IssuedAt.Time) > v.timeout {
			return policy.Facts{}, fmt.Errorf("%w: its JWT had ended before it came: the clocks of issuer and gateway differ", ErrIssuer)
		}
		return policy.Facts{}, ErrInactive
	}
	facts := policy.Facts{Expires: c.ExpiresAt.UnixMilli(), Scopes: scopes, ACR: c.ACR}
	if c.AuthTime != nil {
		facts.AuthTime = c.AuthTime.Unix()
	}
	return facts, nil
}

// undecided tells whether err says that something could not be checked, rather than what came of it.
func undecided(err error) bool {
	return errors.Is(err, ErrTimeout) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		isUnavailable(err)
}

// checkHeader refuses other kinds of JWT (an ID token, a security event), and extensions that would have to be
// understood (RFC 7515 section 4.1.11).
func (v *verifier) checkHeader(header map[string]any) error {
	typ := typeOf(header)
	if typ != "at+jwt" && !(v.accept.TypJWT && typ == "jwt") {
		return errors.New("its JWT's typ is not at+jwt")
	}
	return checkCritical(header)
}

// typeOf returns a JWT's typ, which is a media type that may leave out its beginning (RFC 7515 section 4.1.9).
func typeOf(header map[string]any) string {
	typ, _ := header["typ"].(string)
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

func checkCritical(header map[string]any) error {
	if _, critical := header["crit"]; critical {
		return errors.New("its JWT has critical extensions")
	}
	return nil
}

// checkClaims checks what the parser has not: a phantom token names one audience, that of the route, and its tenant.
func (v *verifier) checkClaims(c *tokenClaims, ask *Ask) error {
	if len(c.Audience) != 1 || c.Audience[0] != ask.audience {
		if err := v.checkOthers(c.Audience, ask.audience); err != nil {
			return err
		}
	}
	if len(c.Confirmation) > 0 {
		// RFC 8705 and RFC 9449: it is for whoever holds a key, and nobody has shown one here.
		return errors.New("its JWT is bound to a key (cnf)")
	}
	if c.IssuedAt == nil {
		return errors.New("its JWT has no iat")
	}
	tenant := c.Tenant
	if tenant == "" {
		tenant = defaultTenant
	}
	if tenant != v.tenant {
		return errors.New("its JWT is of another tenant")
	}
	return nil
}

// checkOthers judges an `aud` that is not the one audience alone. An issuer that was asked to narrow, and has not, is at
// fault. One that cannot narrow says of a live token whom it is for, and when that is not the route's API, the token is
// merely not enough. Without any audience a JWT is for everybody, which no issuer may say.
func (v *verifier) checkOthers(audiences []string, wanted string) error {
	switch named := slices.Contains(audiences, wanted); {
	case len(audiences) == 0:
		return errors.New("its JWT has no aud")
	case !v.narrows && !named:
		return ErrInsufficient
	case v.accept.OtherAudiences && named:
		return nil
	}
	return errors.New("its JWT is not for this audience alone")
}

// hasAny tells whether scope has one of those asked for.
func hasAny(scope string, asked []string) bool {
	for name := range strings.FieldsSeq(scope) {
		if slices.Contains(asked, name) {
			return true
		}
	}
	return false
}

// scopeMask returns which of the asked scopes a token carries. One that was not asked for would let the API be told
// more than its route asks for.
func (v *verifier) scopeMask(scope string, asked []string) (mask uint64, err error) {
	for name := range strings.FieldsSeq(scope) {
		i, ok := slices.BinarySearch(asked, name)
		if !ok {
			if v.accept.OtherScopes {
				continue
			}
			return 0, errors.New("its JWT carries a scope that was not asked for")
		}
		mask |= 1 << i
	}
	return mask, nil
}
