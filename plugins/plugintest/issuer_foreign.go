package plugintest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// foreignKind is an issuer that is not phantomgate's, as the fake plays it.
type foreignKind struct {
	answer string // issuer.answer of the gateway's config
	path   string // of the endpoint that is asked
	accept string // what an asker must say it accepts
	member string // of the JSON answer that holds the JWT; "" when the body is the JWT
}

// foreignKinds are those that a gateway understands.
func foreignKinds() []foreignKind {
	return []foreignKind{
		{"jwt", "/foreign/curity", "application/jwt", ""},
		{"json-jwt", "/foreign/keycloak", "application/jwt", "jwt"},
		{"json-phantom-token", "/foreign/json", "application/json", "phantom_token"},
		{"token-exchange", "/foreign/token", "application/json", "access_token"},
	}
}

func (k foreignKind) exchanges() bool { return k.answer == "token-exchange" }

// use has c ask the fake issuer as a foreign one of this kind.
func (k foreignKind) use(c *Config) {
	issuer, _ := c.Issuer["issuer"].(string)
	c.Issuer["answer"] = k.answer
	delete(c.Issuer, "noFeed") // which goes without saying
	c.Issuer["jwksUri"] = issuer + "/oauth/jwks"
	if k.exchanges() {
		c.Issuer["tokenEndpoint"] = issuer + k.path
	} else {
		c.Issuer["introspectionEndpoint"] = issuer + k.path
	}
}

// GrantForeign persists token and returns a reference as other issuers make
// them: no prefix, no check digits.
func (i *Issuer) GrantForeign(token Token) string {
	reference := "_0XBPWQQ_" + strings.ToLower(rand.Text()) + "+/=="
	if token.Subject == "" {
		token.Subject = "alice-id"
	}
	if token.Expires.IsZero() {
		token.Expires = time.Now().Add(time.Hour)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokens[reference] = &token
	return reference
}

// foreign answers as an issuer of this kind. The JWT is the same for every
// asker, since these issuers do not narrow; exchange does.
func (i *Issuer) foreign(k foreignKind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, secret := clientOf(r)
		reference := "token"
		if k.exchanges() {
			reference = "subject_token"
		}
		asked := Asked{Reference: r.PostFormValue(reference), Audience: r.PostForm.Get("audience"),
			Scope: r.PostForm.Get("scope"), Accept: r.Header.Get("Accept"), Secret: secret}
		token, b := i.noteAsked(asked)
		if b.hold(r.Context()) || b.answer(w) {
			return
		}
		switch {
		case id != "gateway" || secret != gatewayS:
			oauthError(w, http.StatusUnauthorized, "invalid_client")
		case k.malformed(r, asked):
			oauthError(w, http.StatusBadRequest, "unsupported_grant_type")
		case !time.Now().Before(token.Expires):
			k.inactive(w)
		case k.exchanges() && len(scopesWithin(token.Scopes, asked.Scope)) == 0:
			oauthError(w, http.StatusBadRequest, "invalid_scope")
		default:
			k.active(w, i.mintForeign(asked, token, b), b)
		}
	}
}

// clientOf reads the client's credentials from the header or the form, which
// it parses, and from nowhere when they are in both (RFC 6749, 2.3).
func clientOf(r *http.Request) (id, secret string) {
	id, secret, inHeader := r.BasicAuth()
	posted := r.PostFormValue("client_secret")
	switch {
	case inHeader && posted != "":
		return "", ""
	case posted != "":
		return r.PostForm.Get("client_id"), posted
	}
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	return id, secret
}

// noteAsked remembers what was asked, and returns what there is to say.
func (i *Issuer) noteAsked(asked Asked) (Token, Behaviour) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, asked)
	close(i.arrived)
	i.arrived = make(chan struct{})
	var token Token
	if t := i.tokens[asked.Reference]; t != nil {
		token = *t
		token.followed = i.feed.followed(asked.Reference, token)
	}
	return token, i.behaviour
}

func (k foreignKind) malformed(r *http.Request, asked Asked) bool {
	const accessToken = "urn:ietf:params:oauth:token-type:access_token"
	if asked.Accept != k.accept || asked.Reference == "" {
		return true
	}
	return k.exchanges() && (r.PostForm.Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" ||
		r.PostForm.Get("subject_token_type") != accessToken || asked.Audience == "" || asked.Scope == "")
}

func (k foreignKind) inactive(w http.ResponseWriter) {
	switch {
	case k.exchanges(): // RFC 8693, 2.2.2
		oauthError(w, http.StatusBadRequest, "invalid_request")
	case k.member == "":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"active":false}`))
	}
}

// mintForeign signs the JWT behind a reference.
func (i *Issuer) mintForeign(asked Asked, token Token, b Behaviour) string {
	signed := b.mint(&i.keys, i.claims(asked, token, scopesWithin(token.Scopes, asked.Scope)))
	i.mu.Lock()
	defer i.mu.Unlock()
	i.minted = append(i.minted, signed)
	return signed
}

// scopesWithin returns those of scopes that were asked for; all of them when
// none were.
func scopesWithin(scopes []string, asked string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool {
		return asked != "" && !slices.Contains(strings.Fields(asked), scope)
	})
}

func (k foreignKind) active(w http.ResponseWriter, signed string, b Behaviour) {
	if k.member == "" {
		w.Header().Set("Content-Type", "application/jwt")
		w.Write([]byte(signed))
		return
	}
	answer := map[string]any{k.member: signed, "token_type": "Bearer"}
	if k.exchanges() {
		w.Header().Set("Cache-Control", "no-store") // RFC 6749, 5.1
		answer["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
		answer["expires_in"] = 300
	} else {
		answer["active"] = true
	}
	if b.Members != nil {
		b.Members(answer)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// claimAs returns a Behaviour whose JWTs have a claim of this value.
func claimAs(name string, value any) Behaviour {
	return Behaviour{Mint: func(_ map[string]any, claims jwt.MapClaims) {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}}
}
