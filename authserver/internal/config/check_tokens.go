package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

func checkSigning(d *decoder, s Signing) {
	if !slices.Contains([]string{ES256, EdDSA, RS256}, s.Algorithm) {
		d.fault("signing_keys.algorithm", "is not an algorithm that is offered", "use ES256, EdDSA or RS256")
	}
	// A key is published, then signs, then is published on for a while: with less than this, keys would pile up.
	if s.RotateEvery < 2*s.PublishFor {
		d.fault("signing_keys.rotate_every", "is less than twice publish_ahead", "rotate less often, or publish for less time ahead")
	}
}

func checkPolicy(d *decoder, name string, p Policy) {
	key := child("policies", name)
	atMost := func(field string, value, most time.Duration) {
		if value > most {
			d.fault(key+"."+field, "is more than "+brief(most), "write "+brief(most)+" or less")
		}
	}
	atMost("phantom_token", p.PhantomToken, MaxPhantomToken)
	atMost("code", p.Code, MaxCode)
	if p.RefreshIdle > p.RefreshAbsolute {
		d.fault(key+".refresh_idle", "is more than refresh_absolute, "+brief(p.RefreshAbsolute), "shorten it, or lengthen refresh_absolute")
	}
	if p.AccessToken > p.RefreshAbsolute {
		d.fault(key+".access_token", "is more than refresh_absolute, "+brief(p.RefreshAbsolute), "shorten it: no token outlives its grant")
	}
	if p.Refresh != RefreshOffline && p.Refresh != RefreshAlways {
		d.fault(key+".refresh", "is not a manner that is offered", "use offline_access or always")
	}
}

// protocolClaims have a meaning of their own in a JWT or an introspection answer: a user's claim of that name would
// change who the user is, or what a token may do.
var protocolClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "active", "token_type", "username",
	"auth_time", "acr", "amr", "sid", "nonce", "azp", "at_hash", "c_hash", "act", "may_act", "cnf", "typ", "tenant", "token_introspection", "events"}

func checkClaimName(d *decoder, key, name string) {
	switch {
	case slices.Contains(protocolClaims, name):
		d.fault(key, shown(name)+" is a claim of the protocol", "choose another name")
	case name == "" || !printable(name):
		d.fault(key, "is not a claim's name", "use visible ASCII characters")
	}
}

func checkAudiences(d *decoder, c *Config) {
	names, scopes := map[string]bool{}, map[string]string{}
	for i, audience := range c.Audiences {
		key := fmt.Sprintf("audiences[%d]", i)
		switch {
		case audience.Name == "":
			d.fault(key+".name", "is missing", "name the service as its `aud`")
		case !oauth.ValidScope(audience.Name):
			d.fault(key+".name", "has a space, a quote, or a character beyond ASCII", "use a name such as shoppingbasket, or a URL")
		case names[audience.Name]:
			d.fault(key+".name", "names audience "+shown(audience.Name)+" a second time", "keep one, with the scopes of both")
		}
		names[audience.Name] = true
		if len(audience.Scopes) == 0 {
			d.fault(key+".scopes", "is missing", "give the audience at least one scope: a token reaches it by its scopes")
		}
		for j, scope := range audience.Scopes {
			checkScope(d, fmt.Sprintf("%s.scopes[%d].name", key, j), scope.Name, audience.Name, scopes)
		}
		for j, claim := range audience.Claims {
			checkClaimName(d, fmt.Sprintf("%s.claims[%d]", key, j), claim)
		}
	}
}

func checkScope(d *decoder, key, name, audience string, owners map[string]string) {
	owner, taken := owners[name]
	switch {
	case name == "":
		d.fault(key, "is missing", "name the scope, such as "+shown(audience+".read"))
	case !oauth.ValidScope(name):
		d.fault(key, "has a character that no scope may have", "use visible ASCII without space, quote and backslash (RFC 6749, 3.3)")
	case slices.Contains(oauth.IssuerScopes(), name):
		d.fault(key, shown(name)+" is a scope of the issuer itself", "choose another name")
	case taken:
		d.fault(key, "scope "+shown(name)+" belongs to audience "+shown(owner)+" already", "choose another name: a token's audiences follow from its scopes")
	default:
		owners[name] = audience
	}
}

func checkUsers(d *decoder, c *Config) {
	logins := map[string]bool{}
	for i, user := range c.Users {
		key := fmt.Sprintf("users[%d]", i)
		folded := LoginKey(user.Login)
		switch {
		case user.Login == "":
			d.fault(key+".login", "is missing", "name the user")
		case len(user.Login) > 128 || !printable(user.Login):
			d.fault(key+".login", "is not a login name", "use up to 128 visible ASCII characters")
		case strings.HasPrefix(folded, SubjectPrefix):
			d.fault(key+".login", "begins like a subject", "do not begin it with "+SubjectPrefix)
		case logins[folded]:
			d.fault(key+".login", "names "+shown(folded)+" a second time", "keep one; capitals make no difference")
		}
		logins[folded] = true
		if !user.Password.IsSet() {
			d.fault(key+".password", "is missing", "write {bcrypt: …}, as `authserver hash-password` prints it, or {file: …}")
		}
		for claim := range user.Claims {
			checkClaimName(d, child(key+".claims", claim), claim)
		}
	}
}

// SubjectPrefix begins every user's sub, and no client id and no login: so a client can never pass for a user.
const SubjectPrefix = "u_"

// LoginKey is what two spellings of one login name have in common: capitals make no difference.
func LoginKey(login string) string { return strings.ToLower(login) }

// brief prints a duration without the zeroes of Go.
func brief(t time.Duration) string {
	text := t.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
