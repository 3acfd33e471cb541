package gateway

import (
	"fmt"
	"slices"
	"strings"

	"github.com/phantomgate/phantomgate/plugins/phantomtoken"
)

// foreign tells whether the issuer is not phantomgate's.
func (i Issuer) foreign() bool {
	return i.Answer != "" && i.Answer != string(phantomtoken.AnswerPhantom)
}

func (i Issuer) exchanges() bool { return i.Answer == string(phantomtoken.AnswerTokenExchange) }

// asked is where the issuer is asked for a JWT; i has its defaults.
func (i Issuer) asked() string {
	if i.exchanges() {
		return i.TokenEndpoint
	}
	return i.IntrospectionEndpoint
}

func (i Issuer) accept() phantomtoken.Accept {
	return phantomtoken.Accept{
		OtherAudiences: i.AcceptOtherAudiences, OtherScopes: i.AcceptOtherScopes,
		TypJWT: i.AcceptTypJWT, JWTReferences: i.AcceptJWTReferences,
	}
}

// validateForeign reports what is wrong with how the issuer is spoken to.
func validateForeign(c Config, fault func(field, format string, args ...any)) {
	i := c.Issuer
	if known := phantomtoken.Answers(); i.Answer != "" && !slices.Contains(known, phantomtoken.Answer(i.Answer)) {
		fault("issuer.answer", "%q is not known; write one of %s", i.Answer, list(known))
		return // what else it needs cannot be said
	}
	if known := phantomtoken.ClientAuths(); i.ClientAuth != "" && !slices.Contains(known, phantomtoken.ClientAuth(i.ClientAuth)) {
		fault("issuer.clientAuth", "%q is not known; write one of %s", i.ClientAuth, list(known))
	}
	if i.TokenEndpoint != "" && !i.exchanges() {
		fault("issuer.tokenEndpoint", "is asked only with answer %q; remove it", phantomtoken.AnswerTokenExchange)
	}
	if !i.foreign() {
		onlyForeign(i, fault)
		return
	}
	if i.exchanges() && i.IntrospectionEndpoint != "" {
		fault("issuer.introspectionEndpoint", "is not asked with answer %q; remove it", i.Answer)
	}
	asked := "issuer.introspectionEndpoint"
	if i.exchanges() {
		asked = "issuer.tokenEndpoint"
	}
	addresses := []struct{ field, value string }{{"issuer.jwksUri", i.JWKSURI}, {asked, i.asked()}}
	if h := c.TokenHandler; h != nil {
		addresses = append(addresses, []struct{ field, value string }{
			{"tokenHandler.authorizationEndpoint", h.AuthorizationEndpoint}, {"tokenHandler.endSessionEndpoint", h.EndSessionEndpoint},
			{"tokenHandler.tokenEndpoint", h.TokenEndpoint}, {"tokenHandler.revocationEndpoint", h.RevocationEndpoint},
			{"tokenHandler.userInfoEndpoint", h.UserInfoEndpoint},
		}...)
	}
	for _, a := range addresses {
		if a.value == "" {
			fault(a.field, "missing; the addresses of an issuer that is not phantomgate's are not guessed, its metadata tells them")
		}
	}
}

// onlyForeign reports what is said of our own issuer and makes sense of a foreign one only.
func onlyForeign(i Issuer, fault func(field, format string, args ...any)) {
	for _, a := range []struct {
		field string
		given bool
	}{
		{"issuer.acceptOtherAudiences", i.AcceptOtherAudiences}, {"issuer.acceptOtherScopes", i.AcceptOtherScopes},
		{"issuer.acceptTypJwt", i.AcceptTypJWT}, {"issuer.acceptJwtReferences", i.AcceptJWTReferences},
	} {
		if a.given {
			fault(a.field, "is for foreign issuers; remove it, or say by answer which kind this is")
		}
	}
}

func list[T ~string](words []T) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", string(w))
	}
	return strings.Join(quoted, ", ")
}
