package phantomtoken

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/plugins/feed"
)

// eventParser looks at no claims: an event has no end, and when it was made matters to nobody, since events are in
// sequence and clocks may differ.
var eventParser = jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// SecurityEvent returns the claims of a security event token (RFC 8417) that the issuer has signed. It checks the
// signature, alg, kid and typ, and no claim. Its error wraps feed.ErrUndecided when the key could not be had. See
// feed.Verifier.
func (k *Keys) SecurityEvent(ctx context.Context, raw string) (json.RawMessage, error) {
	var keyErr error
	token, err := eventParser.Parse(raw, func(token *jwt.Token) (key any, err error) {
		// No other kind of JWT, such as a phantom token, may be taken for an event.
		if typeOf(token.Header) != "secevent+jwt" {
			return nil, errors.New("its typ is not secevent+jwt")
		}
		if err := checkCritical(token.Header); err != nil {
			return nil, err
		}
		key, keyErr = k.set.key(ctx, token)
		return key, keyErr
	})
	switch {
	case undecided(keyErr):
		return nil, fmt.Errorf("%w: %w", feed.ErrUndecided, keyErr)
	case err != nil:
		return nil, err
	case !token.Valid:
		return nil, errors.New("it is not valid")
	}
	return base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
}

var _ feed.Verifier = (*Keys)(nil)
