package token

import (
	"context"
	"net/url"
	"slices"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// exchange serves RFC 8693, 2.1. Whom the new token is for is named by `audience`, once; acting parties besides the client
// itself, and types other than our JWTs, are refused by name.
func (h *Handler) exchange(ctx context.Context, r request) (grants.Answer, error) {
	tokenTypes := []string{oauth.TokenTypeAccessToken, oauth.TokenTypeJWT}
	wanted := r.form.Get("requested_token_type")
	switch {
	case r.form.Has("resource"):
		return grants.Answer{}, oauth.Errorf(oauth.InvalidTarget, "name whom the token is for by audience, not by resource")
	case r.wanted.Audience == "":
		return grants.Answer{}, missing("audience")
	case r.form.Has("actor_token") || r.form.Has("actor_token_type"):
		return grants.Answer{}, oauth.Errorf(oauth.InvalidRequest, "actor_token is not taken: the client that asks is who acts")
	case !slices.Contains(tokenTypes, r.form.Get("subject_token_type")):
		return grants.Answer{}, oauth.Errorf(oauth.InvalidRequest, "the subject_token_type must be %s or %s", tokenTypes[0], tokenTypes[1])
	case wanted != "" && !slices.Contains(tokenTypes, wanted):
		return grants.Answer{}, oauth.Errorf(oauth.InvalidRequest, "the requested_token_type may be %s or %s", tokenTypes[0], tokenTypes[1])
	}
	answer, err := h.Grants.Exchange(ctx, r.tenant, r.client, grants.ExchangeRequest{
		SubjectToken: r.form.Get("subject_token"), Audience: r.wanted.Audience, Scopes: r.wanted.Scopes,
		Births: r.births, BirthsOf: claimedSubject(r.form),
	})
	if err == nil && wanted != "" {
		answer.IssuedType = wanted
	}
	return answer, err
}

// claimedSubject is the user whom a subject token claims to speak of, or "". Nothing of it is believed: it says which
// generations to read before anything is proved, and the exchange demands that the verified token names the same one.
func claimedSubject(form url.Values) string {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(form.Get("subject_token"), claims); err != nil {
		return ""
	}
	sub, _ := claims["sub"].(string)
	return sub
}
