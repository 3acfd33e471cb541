package tokenhandler

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/plugins/claims"
)

// verifier decides whether a JWT was made by the issuer for this app.
type verifier struct {
	issuer, clientID string
	keys             Keys
	now              func() time.Time
}

// clockLeeway is how far the issuer's clock may be off.
const clockLeeway = 10 * time.Second

// algorithms that an issuer may sign with. None of them takes a public key for a secret.
var algorithms = []string{"ES256", "EdDSA", "RS256", "PS256"}

// idClaims are the claims of an ID token that are looked at (OpenID Connect Core section 2).
type idClaims struct {
	jwt.RegisteredClaims
	AuthorizedParty string
	Nonce           string
	AccessHash      string
	SessionID       string
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *idClaims) UnmarshalJSON(data []byte) error {
	return readClaims(data, &c.RegisteredClaims, map[string]any{
		"azp": &c.AuthorizedParty, "nonce": &c.Nonce, "at_hash": &c.AccessHash, "sid": &c.SessionID,
	})
}

// readClaims reads registered claims (RFC 7519 section 4.1), and more.
func readClaims(data []byte, registered *jwt.RegisteredClaims, more map[string]any) error {
	maps.Copy(more, map[string]any{
		"iss": &registered.Issuer, "sub": &registered.Subject, "aud": &registered.Audience, "exp": &registered.ExpiresAt,
		"nbf": &registered.NotBefore, "iat": &registered.IssuedAt, "jti": &registered.ID,
	})
	return claims.Read(data, more)
}

// idToken verifies an ID token (OpenID Connect Core section 3.1.3.7) and returns its claims, also as they were sent.
func (v *verifier) idToken(ctx context.Context, raw, nonce, accessToken string) (*idClaims, json.RawMessage, error) {
	found := &idClaims{}
	token, err := v.parser(jwt.WithExpirationRequired()).ParseWithClaims(raw, found, v.keys.KeyfuncCtx(ctx))
	if err == nil {
		err = found.check(token, v.clientID, nonce, accessToken)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: ID token: %w", errIssuer, plain(err))
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	return found, payload, err
}

func (v *verifier) parser(more ...jwt.ParserOption) *jwt.Parser {
	return jwt.NewParser(append(more, jwt.WithValidMethods(algorithms), jwt.WithIssuer(v.issuer), jwt.WithAudience(v.clientID),
		jwt.WithIssuedAt(), jwt.WithStrictDecoding(), jwt.WithLeeway(clockLeeway), jwt.WithTimeFunc(v.now))...)
}

// check looks at what the parser does not.
func (c *idClaims) check(token *jwt.Token, clientID, nonce, accessToken string) error {
	// An access token or a logout token says what it is; whoever signed it, it is no ID token.
	if typ, _ := token.Header["typ"].(string); typ != "" && !strings.EqualFold(typ, "JWT") {
		return errors.New("typ is not that of an ID token")
	}
	switch {
	case c.Subject == "":
		return errors.New("sub is missing")
	case c.IssuedAt == nil:
		return errors.New("iat is missing")
	case c.AuthorizedParty == "" && len(c.Audience) > 1, c.AuthorizedParty != "" && c.AuthorizedParty != clientID:
		return errors.New("azp is not this client")
	case !sameText(c.Nonce, nonce):
		return errors.New("nonce is not that of this login")
	case c.AccessHash != "" && !sameText(c.AccessHash, accessHash(token.Method.Alg(), accessToken)):
		return errors.New("at_hash is not that of the access token")
	}
	return nil
}

// accessHash is the left half of the access token's hash, by the hash that goes with the signature (OpenID Connect Core
// section 3.1.3.6).
func accessHash(algorithm, accessToken string) string {
	var sum hash.Hash = sha256.New()
	if algorithm == "EdDSA" {
		sum = sha512.New()
	}
	sum.Write([]byte(accessToken))
	half := sum.Sum(nil)[:sum.Size()/2]
	return base64.RawURLEncoding.EncodeToString(half)
}

// logoutClaims are the claims of a logout token (OpenID Connect Back-Channel Logout section 2.4).
type logoutClaims struct {
	jwt.RegisteredClaims
	SessionID string
	Nonce     json.RawMessage
	Events    map[string]json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *logoutClaims) UnmarshalJSON(data []byte) error {
	return readClaims(data, &c.RegisteredClaims, map[string]any{"sid": &c.SessionID, "nonce": &c.Nonce, "events": &c.Events})
}

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// logoutTokenLife is how old a logout token may be; for as long its jti is remembered.
	logoutTokenLife = 2 * time.Minute
)

// logoutToken verifies a logout token (OpenID Connect Back-Channel Logout section 2.6), but for its jti.
func (v *verifier) logoutToken(ctx context.Context, raw string) (*logoutClaims, error) {
	found := &logoutClaims{}
	token, err := v.parser().ParseWithClaims(raw, found, v.keys.KeyfuncCtx(ctx))
	if err != nil {
		return nil, plain(err)
	}
	typ, _ := token.Header["typ"].(string)
	var event map[string]json.RawMessage
	switch {
	case typ != "" && !strings.EqualFold(typ, "logout+jwt") && !strings.EqualFold(typ, "JWT"):
		return nil, errors.New("typ is not that of a logout token")
	case found.IssuedAt == nil || v.now().Sub(found.IssuedAt.Time) > logoutTokenLife:
		return nil, errors.New("iat is missing or long ago")
	case found.ID == "":
		return nil, errors.New("jti is missing")
	case found.Subject == "" && found.SessionID == "":
		return nil, errors.New("sub and sid are missing")
	case len(found.Nonce) > 0:
		return nil, errors.New("it has a nonce, which only ID tokens have")
	case json.Unmarshal(found.Events[logoutEvent], &event) != nil || event == nil:
		return nil, errors.New("events is not that of a logout")
	}
	return found, nil
}

// plain keeps a JWT library's error from carrying a piece of the token into a log.
func plain(err error) error {
	for _, known := range []error{
		jwt.ErrTokenMalformed, jwt.ErrTokenSignatureInvalid, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenInvalidAudience,
		jwt.ErrTokenExpired, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenNotValidYet, jwt.ErrTokenRequiredClaimMissing,
		context.Canceled, context.DeadlineExceeded, jwt.ErrTokenUnverifiable,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	return err
}
