package apiguard

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Why a token is refused, in words that go to the client. They name the check, never the token's content.
var (
	errType      = errors.New("the token is not an access token")
	errCritical  = errors.New("the token demands an extension that is not understood")
	errKey       = errors.New("the token is signed with a key that is not the issuer's")
	errSignature = errors.New("the token's signature or algorithm is not accepted")
	errExpired   = errors.New("the token has expired")
	errTimes     = errors.New("the token's times are missing, malformed or in the future")
	errIssuer    = errors.New("the token comes from another issuer")
	errAudience  = errors.New("the token is not meant for this API alone")
	errClaims    = errors.New("a claim that every access token has is missing or malformed")
)

// verifier decides whether a token is a valid access token for one audience.
type verifier struct {
	parser         *jwt.Parser
	keys           *keySource
	audience       string
	otherAudiences bool
}

func newVerifier(cfg Config) *verifier {
	return &verifier{
		parser: jwt.NewParser(
			jwt.WithValidMethods(cfg.Algorithms),
			jwt.WithIssuer(cfg.Issuer),
			jwt.WithAudience(cfg.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(cfg.Leeway),
			jwt.WithTimeFunc(cfg.Now),
			jwt.WithJSONNumber(),
			jwt.WithStrictDecoding(),
		),
		keys:           newKeySource(cfg),
		audience:       cfg.Audience,
		otherAudiences: cfg.InsecureAcceptOtherAudiences,
	}
}

// verify checks a token as RFC 9068 section 4 and RFC 8725 section 3 ask: the algorithm is one of ours, the type is that
// of an access token, the key is one the issuer publishes now, then signature, issuer, times and audience. It answers
// errNoKeys when the issuer's keys could not be had, which says nothing about the token.
func (v *verifier) verify(ctx context.Context, token string) (Claims, error) {
	claims := jwt.MapClaims{}
	_, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		return v.key(ctx, t)
	})
	if err != nil {
		return Claims{}, reason(err)
	}
	c, err := readClaims(claims)
	if err != nil {
		return Claims{}, errClaims
	}
	if !v.otherAudiences && !slices.Equal(c.Audience, []string{v.audience}) {
		return Claims{}, errAudience
	}
	return c, nil
}

// key finds the key to verify with. Only "kid" is read of what the header says about keys, and only to choose among the
// issuer's own: "jwk", "jku", "x5c" and "x5u" let a token bring the key it is judged by (RFC 8725 section 3.10).
func (v *verifier) key(ctx context.Context, t *jwt.Token) (any, error) {
	typ, _ := t.Header["typ"].(string)
	// RFC 9068 section 4: at+jwt, in the short form or the long one; media types have no case.
	if typ = strings.ToLower(typ); typ != "at+jwt" && typ != "application/at+jwt" {
		return nil, errType
	}
	if _, present := t.Header["crit"]; present { // RFC 7515 section 4.1.11; we understand none
		return nil, errCritical
	}
	kid, _ := t.Header["kid"].(string)
	if kid == "" {
		return nil, errKey
	}
	find, err := v.keys.find(ctx, kid)
	if err != nil {
		return nil, err
	}
	key, err := find(t)
	if err != nil { // the key is for another algorithm (RFC 8725 section 3.1)
		return nil, errSignature
	}
	return key, nil
}

// reason maps the parser's error to ours. What is not recognised is refused like a bad signature.
func reason(err error) error {
	for _, known := range []error{errNoKeys, errType, errCritical, errKey} {
		if errors.Is(err, known) {
			return known
		}
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return errMalformed
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return errSignature
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return errIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return errAudience
	case errors.Is(err, jwt.ErrTokenExpired):
		return errExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued), errors.Is(err, jwt.ErrTokenRequiredClaimMissing), errors.Is(err, jwt.ErrInvalidType):
		return errTimes
	default:
		return errSignature
	}
}
