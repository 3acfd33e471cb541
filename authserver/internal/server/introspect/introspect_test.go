package introspect_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

const (
	path   = "/oauth/introspect"
	asJWT  = "application/jwt"
	asJSON = "application/json"
	signed = "application/token-introspection+jwt"
)

// issue gives the tokens of a code of Alice's for those scopes.
func issue(t *testing.T, i *grantstest.Issuer, client string, scopes ...string) grants.Answer {
	t.Helper()
	r, ok := i.Clients.Find(grantstest.Tenant, client)
	if !ok {
		t.Fatalf("no client %s", client)
	}
	a, err := i.Grants.RedeemCode(t.Context(), grantstest.Tenant, r, grants.CodeRequest{
		Code: i.Code(t, client, scopes...), RedirectURI: grantstest.RedirectURI, Verifier: grantstest.Verifier,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func members(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("answered %d %q: %v", w.Code, w.Body, err)
	}
	return body
}

func TestNarrowing(t *testing.T) {
	i := grantstest.New(t)
	token := issue(t, i, "web", "openid", "profile", "offline_access", "eventcatalog.read", "eventcatalog.write", "shoppingbasket.read").AccessToken
	for _, tc := range []struct {
		name, asker, audience, scope string
		aud                          any // nil: it has nothing for the asker
		scopes                       string
		claims                       []string
	}{
		{"all the asker is registered for", "gateway", "", "", []any{"eventcatalog", "shoppingbasket"}, "eventcatalog.read eventcatalog.write shoppingbasket.read", []string{"loyalty", "region"}},
		{"one audience", "gateway", "eventcatalog", "", "eventcatalog", "eventcatalog.read eventcatalog.write", []string{"region"}},
		{"another", "gateway", "shoppingbasket", "", "shoppingbasket", "shoppingbasket.read", []string{"loyalty"}},
		{"one scope", "gateway", "eventcatalog", "eventcatalog.read", "eventcatalog", "eventcatalog.read", []string{"region"}},
		{"a scope without its audience", "gateway", "", "shoppingbasket.read", "shoppingbasket", "shoppingbasket.read", []string{"loyalty"}},
		{"some of the scopes", "gateway", "", "eventcatalog.read discount.fullaccess", "eventcatalog", "eventcatalog.read", []string{"region"}},
		{"a narrower asker", "catalog-gateway", "", "", "eventcatalog", "eventcatalog.read eventcatalog.write", []string{"region"}},
		{"a scope of another audience", "gateway", "eventcatalog", "shoppingbasket.read", nil, "", nil},
		{"a scope beyond the asker", "catalog-gateway", "", "shoppingbasket.read", nil, "", nil},
		{"the issuer's own scopes", "gateway", "", "openid profile offline_access", nil, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			form := []string{"token", token, "audience", tc.audience, "scope", tc.scope}
			asPhantom, asObject := i.PostAccept(asJWT, path, tc.asker, form...), i.PostAccept(asJSON, path, tc.asker, form...)
			if tc.aud == nil {
				if asPhantom.Code != http.StatusForbidden || members(t, asPhantom)["error"] != oauth.InsufficientScope {
					t.Errorf("as a JWT: %d %s", asPhantom.Code, asPhantom.Body)
				}
				if asObject.Body.String() != `{"active":false}` {
					t.Errorf("as JSON: %s", asObject.Body)
				}
				return
			}
			claims, object := i.Signer.Claims(t, asPhantom.Body.String(), oauth.TypeAccessToken), members(t, asObject)
			for form, got := range map[string]map[string]any{"JWT": claims, "JSON": object} {
				if !reflect.DeepEqual(got["aud"], tc.aud) || got["scope"] != tc.scopes {
					t.Errorf("%s: aud %v, scope %v; want %v, %s", form, got["aud"], got["scope"], tc.aud, tc.scopes)
				}
				for _, claim := range []string{"loyalty", "region", "name", "shoe_size"} {
					_, told := got[claim]
					if want := strings.Contains(strings.Join(tc.claims, " "), claim); told != want {
						t.Errorf("%s: the claim %s is told: %v, want %v", form, claim, told, want)
					}
				}
				if got["sub"] != grantstest.Alice || got["client_id"] != "web" || got["iss"] != grantstest.URL || got["acr"] != "password" {
					t.Errorf("%s: %v", form, got)
				}
			}
		})
	}
	t.Run("a number keeps its digits", func(t *testing.T) {
		body := i.PostAccept(asJSON, path, "gateway", "token", token).Body.String()
		if !strings.Contains(body, `"loyalty":12345678901234567`) {
			t.Error(body)
		}
	})
}

func TestForms(t *testing.T) {
	i := grantstest.New(t)
	token := issue(t, i, "web", "eventcatalog.read").AccessToken
	for accept, want := range map[string]string{
		"":                                 asJSON,
		"*/*":                              asJSON,
		"application/*":                    asJSON,
		"text/html":                        asJSON,
		"application/json":                 asJSON,
		"application/jwt":                  asJWT,
		"APPLICATION/JWT":                  asJWT,
		"application/jwt, */*":             asJWT,
		"*/*, application/jwt":             asJWT,
		"application/jwt;q=0":              asJSON,
		"application/jwt;q=0.000":          asJSON,
		"application/jwt;q=NaN":            asJSON,
		"application/jwt;q=2":              asJSON,
		"application/jwt;q=x":              asJSON,
		"application/jwt,application/json": asJWT,
		"application/json,application/jwt": asJSON,
		"application/json;q=0.5, application/jwt;q=0.9":              asJWT,
		"application/jwt; q=0.5 , application/json ; q=0.51":         asJSON,
		"application/token-introspection+jwt":                        signed,
		"application/token-introspection+jwt, application/jwt;q=0.1": signed,
		",,;q=1,": asJSON,
	} {
		t.Run(accept, func(t *testing.T) {
			w := i.PostAccept(accept, path, "gateway", "token", token)
			if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || got != want {
				t.Errorf("answered %d as %s, want %s", w.Code, got, want)
			}
			if cache := w.Header().Get("Cache-Control"); (cache == "private, max-age=300") != (want == asJWT) || want != asJWT && cache != "no-store" {
				t.Errorf("Cache-Control of %s is %q", want, cache)
			}
		})
	}
}

func TestSignedAnswerIsNoToken(t *testing.T) {
	i := grantstest.New(t)
	token := issue(t, i, "web", "eventcatalog.read").AccessToken
	claims := i.Signer.Claims(t, i.PostAccept(signed, path, "gateway", "token", token).Body.String(), oauth.TypeIntrospection)
	if claims["aud"] != "gateway" || claims["iss"] != grantstest.URL || claims["sub"] != nil || claims["exp"] != nil || claims["scope"] != nil {
		t.Errorf("RFC 9701, 5: %v", claims)
	}
	if about := claims["token_introspection"].(map[string]any); about["active"] != true || about["aud"] != "eventcatalog" {
		t.Errorf("about the token: %v", about)
	}
	claims = i.Signer.Claims(t, i.PostAccept(signed, path, "gateway", "token", "unknown").Body.String(), oauth.TypeIntrospection)
	if about := fmt.Sprint(claims["token_introspection"]); about != "map[active:false]" {
		t.Errorf("about no token: %v", about)
	}
}

func TestAskersThatAreRefused(t *testing.T) {
	i := grantstest.New(t)
	token := issue(t, i, "web", "eventcatalog.read", "shoppingbasket.read").AccessToken
	for _, tc := range []struct {
		name, asker string
		form        []string
		status      int
		code        string
	}{
		{"nobody", "", []string{"token", token}, 401, oauth.InvalidClient},
		{"an unknown client", "nobody", []string{"token", token}, 401, oauth.InvalidClient},
		{"a public client", "mobile", []string{"token", token}, 401, oauth.InvalidClient},
		{"no token", "gateway", nil, 400, oauth.InvalidRequest},
		{"two tokens", "gateway", []string{"token", token, "token", token}, 400, oauth.InvalidRequest},
		{"two audiences", "gateway", []string{"token", token, "audience", "eventcatalog", "audience", "shoppingbasket"}, 400, oauth.InvalidRequest},
		{"an audience it is not registered for", "catalog-gateway", []string{"token", token, "audience", "shoppingbasket"}, 400, oauth.InvalidTarget},
		{"an unknown audience", "gateway", []string{"token", token, "audience", "nowhere"}, 400, oauth.InvalidTarget},
		{"a client that is no gateway, for its own token", "web", []string{"token", token, "audience", "eventcatalog"}, 400, oauth.InvalidTarget},
		{"a scope with a quote", "gateway", []string{"token", token, "scope", `"`}, 400, oauth.InvalidScope},
	} {
		for _, accept := range []string{asJWT, asJSON, signed} {
			t.Run(tc.name+" "+accept, func(t *testing.T) {
				w := i.PostAccept(accept, path, tc.asker, tc.form...)
				if w.Code != tc.status || members(t, w)["error"] != tc.code || w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("answered %d %v %s, want %d %s", w.Code, w.Header(), w.Body, tc.status, tc.code)
				}
			})
		}
	}
}

func TestInactive(t *testing.T) {
	for _, tc := range []struct {
		name, asker string
		end         func(t *testing.T, i *grantstest.Issuer, a grants.Answer) (token string)
	}{
		{"garbage", "gateway", func(*testing.T, *grantstest.Issuer, grants.Answer) string { return "garbage" }},
		{"never handed out", "gateway", func(*testing.T, *grantstest.Issuer, grants.Answer) string {
			return "pgat_DzEA6JvDTPdyybiV5XVzV5by0CcPZx6lPeTrFo8W53Q0c9gfd"
		}},
		{"a refresh reference", "gateway", func(_ *testing.T, _ *grantstest.Issuer, a grants.Answer) string { return a.RefreshToken }},
		{"expired", "gateway", func(_ *testing.T, i *grantstest.Issuer, a grants.Answer) string {
			i.Clock.Move(15 * time.Minute)
			return a.AccessToken
		}},
		{"its user gone", "gateway", func(_ *testing.T, i *grantstest.Issuer, a grants.Answer) string {
			i.Users.Forget(grantstest.Alice)
			return a.AccessToken
		}},
		{"its client gone", "gateway", func(t *testing.T, i *grantstest.Issuer, a grants.Answer) string {
			i.Clients.Change(t, "web", nil)
			return a.AccessToken
		}},
		{"revoked", "gateway", func(_ *testing.T, i *grantstest.Issuer, a grants.Answer) string {
			i.Post("/oauth/revoke", "web", "token", a.AccessToken)
			return a.AccessToken
		}},
		{"asked by a client that is no gateway", "other", func(_ *testing.T, _ *grantstest.Issuer, a grants.Answer) string { return a.AccessToken }},
		{"asked by the client that holds it", "web", func(_ *testing.T, _ *grantstest.Issuer, a grants.Answer) string { return a.AccessToken }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i := grantstest.New(t)
			token := tc.end(t, i, issue(t, i, "web", "offline_access", "eventcatalog.read"))
			if w := i.PostAccept(asJWT, path, tc.asker, "token", token); w.Code != http.StatusNoContent || w.Body.Len() != 0 || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("as a JWT: %d %v %s", w.Code, w.Header(), w.Body)
			}
			if w := i.PostAccept(asJSON, path, tc.asker, "token", token); w.Code != http.StatusOK || w.Body.String() != `{"active":false}` {
				t.Errorf("as JSON: %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestAScopeTakenFromTheClientIsGone(t *testing.T) {
	i := grantstest.New(t)
	token := issue(t, i, "web", "eventcatalog.read", "shoppingbasket.read").AccessToken
	i.Clients.Change(t, "web", func(c *config.Client) { c.Scopes = []string{"shoppingbasket.read"} })
	if got := members(t, i.PostAccept(asJSON, path, "gateway", "token", token)); got["scope"] != "shoppingbasket.read" || got["region"] != nil {
		t.Errorf("answered %v", got)
	}
}

// TestPhantomNeverOutlivesItsToken: neither the JWT nor the time that a cache may keep it.
func TestPhantomNeverOutlivesItsToken(t *testing.T) {
	i := grantstest.New(t)
	token := issue(t, i, "web", "eventcatalog.read").AccessToken
	for _, tc := range []struct {
		after time.Duration
		lives int64
	}{{0, 300}, {10 * time.Minute, 300}, {2 * time.Minute, 180}, {179*time.Second + 500*time.Millisecond, 0}} {
		i.Clock.Move(tc.after)
		w := i.PostAccept(asJWT, path, "gateway", "token", token)
		claims := i.Signer.Claims(t, w.Body.String(), oauth.TypeAccessToken)
		ends := time.Unix(int64(claims["exp"].(float64)), 0)
		if ends.After(grantstest.Start.Add(15 * time.Minute)) {
			t.Errorf("the JWT ends %v, after its token", ends)
		}
		if got, want := w.Header().Get("Cache-Control"), fmt.Sprintf("private, max-age=%d", tc.lives); got != want {
			t.Errorf("Cache-Control: %s, want %s", got, want)
		}
	}
}

// TestWire pins requests and answers to the letter: gateways of many makes read them.
func TestWire(t *testing.T) {
	i := grantstest.New(t)
	tr := i.Transcript()
	token := issue(t, i, "web", "openid", "eventcatalog.read", "eventcatalog.write", "shoppingbasket.read").AccessToken
	for _, form := range []string{asJWT, asJSON, signed} {
		tr.Send("everything", form, path, "gateway", "token", token)
		tr.Send("one audience and scope", form, path, "gateway", "token", token, "audience", "eventcatalog", "scope", "eventcatalog.read")
		tr.Send("nothing for the asker", form, path, "gateway", "token", token, "scope", "discount.fullaccess")
		tr.Send("inactive", form, path, "gateway", "token", "unknown")
	}
	tr.Send("a bad asker", asJWT, path, "nobody", "token", token)
	tr.Send("a foreign audience", asJWT, path, "catalog-gateway", "token", token, "audience", "shoppingbasket")
	tr.Send("no token", asJWT, path, "gateway")
	tr.Compare(t, "testdata/introspect.golden")
}

// BenchmarkIntrospect is one question and its phantom token, without HTTP: the read, the opened value, the signature.
func BenchmarkIntrospect(b *testing.B) {
	i := grantstest.New(b)
	client, _ := i.Clients.Find(grantstest.Tenant, "web")
	a, err := i.Grants.RedeemCode(b.Context(), grantstest.Tenant, client, grants.CodeRequest{
		Code: i.Code(b, "web", "eventcatalog.read"), RedirectURI: grantstest.RedirectURI, Verifier: grantstest.Verifier,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if w := i.PostAccept(asJWT, path, "gateway", "token", a.AccessToken, "audience", "eventcatalog", "scope", "eventcatalog.read"); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
