package token_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// phantom is the JWT that the API of that audience receives for a reference.
func phantom(t *testing.T, i *grantstest.Issuer, reference, audience string) string {
	t.Helper()
	w := i.PostAccept("application/jwt", "/oauth/introspect", "gateway", "token", reference, "audience", audience)
	if w.Code != http.StatusOK {
		t.Fatalf("introspection answered %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// received is what the basket's API receives when Alice calls it, and the client's answer behind that.
func received(t *testing.T, i *grantstest.Issuer) (string, grants.Answer) {
	t.Helper()
	a := answered(t, redeem(i, "web", i.Code(t, "web", "openid", "eventcatalog.read", "shoppingbasket.read")))
	return phantom(t, i, a.AccessToken, "shoppingbasket"), a
}

func exchange(i *grantstest.Issuer, client, subjectToken, audience string, more ...string) *httptest.ResponseRecorder {
	form := []string{"grant_type", oauth.GrantTokenExchange, "subject_token", subjectToken, "subject_token_type", oauth.TokenTypeAccessToken, "audience", audience}
	return i.Post("/oauth/token", client, append(form, more...)...)
}

// exchanged demands an answer, and gives its claims.
func exchanged(t *testing.T, i *grantstest.Issuer, w *httptest.ResponseRecorder) (string, jwt.MapClaims) {
	t.Helper()
	a := answered(t, w)
	return a.AccessToken, i.Signer.Claims(t, a.AccessToken, oauth.TypeAccessToken)
}

func jti(t *testing.T, i *grantstest.Issuer, signed string) string {
	t.Helper()
	id, _ := i.Signer.Claims(t, signed, oauth.TypeAccessToken)["jti"].(string)
	return id
}

// TestExchange: what comes out is for one audience, by the rule and not by what the user's client holds, for the same user,
// and says who acts.
func TestExchange(t *testing.T) {
	i := grantstest.New(t)
	subject, _ := received(t, i)
	i.Clock.Move(10 * time.Second)
	first, claims := exchanged(t, i, exchange(i, "shoppingbasket", subject, "discount"))
	now := float64(i.Clock.Now().Unix())
	want := jwt.MapClaims{
		"iss": grantstest.URL, "sub": grantstest.Alice, "aud": "discount", "client_id": "shoppingbasket",
		"scope": "discount.fullaccess discount.read", "iat": now, "exp": now + 60, "jti": claims["jti"],
		"auth_time": float64(grantstest.Start.Unix()), "acr": "password", "amr": []any{"pwd"}, "shoe_size": 38.0,
		"act": map[string]any{"sub": "shoppingbasket"},
	}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("the claims are %v, want %v", claims, want)
	}
	if claims["jti"] == jti(t, i, subject) {
		t.Error("it has the jti of what it was exchanged for")
	}

	_, claims = exchanged(t, i, exchange(i, "discount", first, "vouchers"))
	act := map[string]any{"sub": "discount", "act": map[string]any{"sub": "shoppingbasket"}}
	if !reflect.DeepEqual(claims["act"], act) || claims["client_id"] != "discount" || claims["sub"] != grantstest.Alice || claims["shoe_size"] != nil {
		t.Errorf("an exchanged token exchanged again says %v", claims)
	}
	_, claims = exchanged(t, i, exchange(i, "shoppingbasket", subject, "discount", "scope", "discount.read", "requested_token_type", oauth.TokenTypeJWT))
	if claims["scope"] != "discount.read" {
		t.Errorf("the scope asked for was discount.read, given is %v", claims["scope"])
	}
}

// TestExchangeOfAMachinesToken: the subject stays the machine.
func TestExchangeOfAMachinesToken(t *testing.T) {
	i := grantstest.New(t)
	a := answered(t, i.Post("/oauth/token", "batch", "grant_type", "client_credentials"))
	_, claims := exchanged(t, i, exchange(i, "shoppingbasket", phantom(t, i, a.AccessToken, "shoppingbasket"), "discount"))
	if claims["sub"] != "batch" || claims["client_id"] != "shoppingbasket" || claims["auth_time"] != nil {
		t.Errorf("the claims are %v", claims)
	}
}

// TestExchangeEnds: an exchanged token lives for a minute at most, and no longer than what it comes from.
func TestExchangeEnds(t *testing.T) {
	i := grantstest.New(t)
	subject, _ := received(t, i)
	exp := i.Signer.Claims(t, subject, oauth.TypeAccessToken)["exp"].(float64)
	for _, step := range []struct {
		after time.Duration
		want  int64
	}{{0, 60}, {4 * time.Minute, 60}, {30 * time.Second, 30}, {29 * time.Second, 1}} {
		i.Clock.Move(step.after)
		w := exchange(i, "shoppingbasket", subject, "discount")
		a := answered(t, w)
		_, claims := exchanged(t, i, w)
		if ends := claims["exp"].(float64); a.ExpiresIn != step.want || ends != float64(i.Clock.Now().Unix()+step.want) || ends > exp {
			t.Errorf("after %s it lives for %d s, until %v; want %d s, and %v at most", step.after, a.ExpiresIn, ends, step.want, exp)
		}
	}
	i.Clock.Move(500 * time.Millisecond)
	refused(t, exchange(i, "shoppingbasket", subject, "discount"), 400, oauth.InvalidRequest) // it would end at once
	i.Clock.Move(500 * time.Millisecond)
	refused(t, exchange(i, "shoppingbasket", subject, "discount"), 400, oauth.InvalidRequest)

	// A chain does not stretch it: the last link ends with the first.
	subject, _ = received(t, i)
	first, _ := exchanged(t, i, exchange(i, "shoppingbasket", subject, "discount"))
	i.Clock.Move(50 * time.Second)
	if a := answered(t, exchange(i, "discount", first, "vouchers")); a.ExpiresIn != 10 {
		t.Errorf("an exchange of a token that ends in 10 s gives one for %d s", a.ExpiresIn)
	}
}

func TestExchangesThatAreRefused(t *testing.T) {
	i := grantstest.New(t)
	subject, a := received(t, i)
	good := []string{"grant_type", oauth.GrantTokenExchange, "subject_token", subject, "subject_token_type", oauth.TokenTypeAccessToken, "audience", "discount"}
	with := func(more ...string) []string {
		var form []string
		for n := 0; n < len(good); n += 2 {
			if good[n] != more[0] {
				form = append(form, good[n], good[n+1])
			}
		}
		return append(form, more...)
	}
	claims := i.Signer.Claims(t, subject, oauth.TypeAccessToken)
	forged := func(typ string, change func(jwt.MapClaims)) []string {
		c := maps.Clone(claims)
		change(c)
		signed, err := i.Signer.Sign(typ, c)
		if err != nil {
			t.Fatal(err)
		}
		return with("subject_token", signed)
	}
	set := func(name string, value any) []string {
		return forged(oauth.TypeAccessToken, func(c jwt.MapClaims) { c[name] = value })
	}
	parts := strings.Split(subject, ".")
	const unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0" // {"alg":"none","typ":"at+jwt"}
	for _, tc := range []struct {
		name, client string
		form         []string
		status       int
		code         string
	}{
		{"no client", "", good, 401, oauth.InvalidClient},
		{"a client without the grant type", "batch", good, 400, oauth.UnauthorizedClient},
		{"the user's own client", "web", good, 400, oauth.UnauthorizedClient},
		{"a public client", "mobile", good, 400, oauth.UnauthorizedClient},
		{"another service, whom it is not for", "discount", with("audience", "vouchers"), 400, oauth.InvalidRequest},
		{"no subject token", "shoppingbasket", with("subject_token", ""), 400, oauth.InvalidRequest},
		{"no subject token type", "shoppingbasket", with("subject_token_type", ""), 400, oauth.InvalidRequest},
		{"an ID token's type", "shoppingbasket", with("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"), 400, oauth.InvalidRequest},
		{"a refresh token asked for", "shoppingbasket", with("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), 400, oauth.InvalidRequest},
		{"an actor token", "shoppingbasket", with("actor_token", subject), 400, oauth.InvalidRequest},
		{"an actor token type alone", "shoppingbasket", with("actor_token_type", oauth.TokenTypeJWT), 400, oauth.InvalidRequest},
		{"no audience", "shoppingbasket", with("audience", ""), 400, oauth.InvalidRequest},
		{"an audience without a rule", "shoppingbasket", with("audience", "eventcatalog"), 400, oauth.InvalidTarget},
		{"its own audience", "shoppingbasket", with("audience", "shoppingbasket"), 400, oauth.InvalidTarget},
		{"an unknown audience", "shoppingbasket", with("audience", "nowhere"), 400, oauth.InvalidTarget},
		{"two audiences", "shoppingbasket", append(slices.Clone(good), "audience", "vouchers"), 400, oauth.InvalidRequest},
		{"a resource", "shoppingbasket", with("resource", "discount"), 400, oauth.InvalidTarget},
		{"a resource instead of the audience", "shoppingbasket", append(with("audience", ""), "resource", "https://discount.example.com"), 400, oauth.InvalidTarget},
		{"a scope that the rule has not", "shoppingbasket", with("scope", "discount.fullaccess vouchers.use"), 400, oauth.InvalidScope},
		{"a scope of the subject token", "shoppingbasket", with("scope", "shoppingbasket.read"), 400, oauth.InvalidScope},
		{"a broken scope", "shoppingbasket", with("scope", `"`), 400, oauth.InvalidScope},
		{"the client's reference", "shoppingbasket", with("subject_token", a.AccessToken), 400, oauth.InvalidRequest},
		{"garbage", "shoppingbasket", with("subject_token", "garbage"), 400, oauth.InvalidRequest},
		{"a changed claim", "shoppingbasket", with("subject_token", parts[0]+"."+parts[1][:len(parts[1])-1]+"A."+parts[2]), 400, oauth.InvalidRequest},
		{"no signature", "shoppingbasket", with("subject_token", unsigned+"."+parts[1]+"."), 400, oauth.InvalidRequest},
		{"an ID token", "shoppingbasket", with("subject_token", a.IDToken), 400, oauth.InvalidRequest},
		{"another typ", "shoppingbasket", forged("JWT", func(jwt.MapClaims) {}), 400, oauth.InvalidRequest},
		{"for another audience", "shoppingbasket", with("subject_token", phantom(t, i, a.AccessToken, "eventcatalog")), 400, oauth.InvalidRequest},
		{"for two audiences", "shoppingbasket", with("subject_token", i.PostAccept("application/jwt", "/oauth/introspect", "gateway", "token", a.AccessToken).Body.String()), 400, oauth.InvalidRequest},
		{"another issuer", "shoppingbasket", set("iss", "https://elsewhere.example"), 400, oauth.InvalidRequest},
		{"another tenant", "shoppingbasket", set("tenant", "other"), 400, oauth.InvalidRequest},
		{"another sub", "shoppingbasket", set("sub", "u_bob"), 400, oauth.InvalidRequest},
		{"an unknown jti", "shoppingbasket", set("jti", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 400, oauth.InvalidRequest},
		{"no jti", "shoppingbasket", set("jti", ""), 400, oauth.InvalidRequest},
		{"no exp", "shoppingbasket", forged(oauth.TypeAccessToken, func(c jwt.MapClaims) { delete(c, "exp") }), 400, oauth.InvalidRequest},
		{"expired", "shoppingbasket", set("exp", i.Clock.Now().Unix()), 400, oauth.InvalidRequest},
		{"issued in the future", "shoppingbasket", set("iat", i.Clock.Now().Unix()+6), 400, oauth.InvalidRequest},
		{"not yet valid", "shoppingbasket", set("nbf", i.Clock.Now().Unix()+6), 400, oauth.InvalidRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refused(t, i.Post("/oauth/token", tc.client, tc.form...), tc.status, tc.code)
		})
	}
	t.Run("none of these harmed it", func(t *testing.T) { exchanged(t, i, i.Post("/oauth/token", "shoppingbasket", good...)) })
	t.Run("no secret in the log", func(t *testing.T) {
		for _, secret := range []string{subject, parts[2], a.AccessToken, grantstest.Secret} {
			if strings.Contains(i.Log.String(), secret) {
				t.Error("the log has a token or a secret")
			}
		}
	})
}

// TestExchangeAsksTheConfig: what a new config no longer has ends at once.
func TestExchangeAsksTheConfig(t *testing.T) {
	for name, change := range map[string]func(*grantstest.Issuer){
		"the rule": func(i *grantstest.Issuer) {
			i.Clients.Change(t, "discount", func(c *config.Client) { c.Exchange = nil })
		},
		"the service before":    func(i *grantstest.Issuer) { i.Clients.Change(t, "shoppingbasket", nil) },
		"the user's own client": func(i *grantstest.Issuer) { i.Clients.Change(t, "web", nil) },
		"the user":              func(i *grantstest.Issuer) { i.Users.Forget(grantstest.Alice) },
	} {
		t.Run(name, func(t *testing.T) {
			i := grantstest.New(t)
			subject, _ := received(t, i)
			first, _ := exchanged(t, i, exchange(i, "shoppingbasket", subject, "discount"))
			exchanged(t, i, exchange(i, "discount", first, "vouchers"))
			change(i)
			refused(t, exchange(i, "discount", first, "vouchers"), 400, oauth.InvalidRequest)
		})
	}
}

// TestExchangeRing: services that exchange for each other come to an end.
func TestExchangeRing(t *testing.T) {
	i := grantstest.New(t)
	i.Clients.Change(t, "discount", func(c *config.Client) {
		c.Exchange = append(c.Exchange, config.Exchange{From: "discount", Audience: "shoppingbasket", Scopes: []string{"shoppingbasket.read"}})
	})
	token, _ := received(t, i)
	for n := range 8 {
		asker, audience := "shoppingbasket", "discount"
		if n%2 == 1 {
			asker, audience = audience, asker
		}
		token, _ = exchanged(t, i, exchange(i, asker, token, audience))
	}
	refused(t, exchange(i, "shoppingbasket", token, "discount"), 400, oauth.InvalidRequest)
}
