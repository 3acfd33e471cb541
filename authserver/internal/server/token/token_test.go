package token_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// answered is a token answer, which the test demands to be one.
func answered(t *testing.T, w *httptest.ResponseRecorder) grants.Answer {
	t.Helper()
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("answered %d, Cache-Control %q: %s", w.Code, w.Header().Get("Cache-Control"), w.Body)
	}
	var a grants.Answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// refused demands an error of RFC 6749, 5.2 and nothing besides.
func refused(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if w.Code != status || body["error"] != code {
		t.Errorf("answered %d %s, want %d %s", w.Code, w.Body, status, code)
	}
	if body["access_token"] != nil || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("an error that may be stored, or that has a token: %v %s", w.Header(), w.Body)
	}
	if status == http.StatusUnauthorized && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("401 without a Basic challenge: %v", w.Header())
	}
}

func redeem(i *grantstest.Issuer, client, code string, more ...string) *httptest.ResponseRecorder {
	form := append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", grantstest.RedirectURI,
		"code_verifier", grantstest.Verifier}, more...)
	return i.Post("/oauth/token", client, form...)
}

func refresh(i *grantstest.Issuer, client, reference string, more ...string) *httptest.ResponseRecorder {
	return i.Post("/oauth/token", client, append([]string{"grant_type", "refresh_token", "refresh_token", reference}, more...)...)
}

func active(t *testing.T, i *grantstest.Issuer, reference string) bool {
	t.Helper()
	w := i.PostAccept("application/jwt", "/oauth/introspect", "gateway", "token", reference)
	switch w.Code {
	case http.StatusOK:
		return true
	case http.StatusNoContent:
		return false
	}
	t.Fatalf("introspection answered %d %s", w.Code, w.Body)
	return false
}

func TestRequestsThatAreRefused(t *testing.T) {
	i := grantstest.New(t)
	code := i.Code(t, "web", "openid", "eventcatalog.read")
	good := []string{"grant_type", "authorization_code", "code", code, "redirect_uri", grantstest.RedirectURI, "code_verifier", grantstest.Verifier}
	without := func(name string) []string {
		var form []string
		for n := 0; n < len(good); n += 2 {
			if good[n] != name {
				form = append(form, good[n], good[n+1])
			}
		}
		return form
	}
	with := func(more ...string) []string { return append(without(more[0]), more...) }
	for _, tc := range []struct {
		name, client string
		form         []string
		status       int
		code         string
	}{
		{"no grant type", "web", without("grant_type"), 400, oauth.InvalidRequest},
		{"an empty grant type", "web", with("grant_type", ""), 400, oauth.InvalidRequest},
		{"the password grant", "web", with("grant_type", "password"), 400, oauth.UnsupportedGrantType},
		{"the implicit grant", "web", with("grant_type", "implicit"), 400, oauth.UnsupportedGrantType},
		{"a parameter twice", "web", append(good, "scope", "openid", "scope", "openid"), 400, oauth.InvalidRequest},
		{"no client", "", good, 401, oauth.InvalidClient},
		{"an unknown client", "nobody", good, 401, oauth.InvalidClient},
		{"a confidential client by its id only", "", append(good, "client_id", "web"), 401, oauth.InvalidClient},
		{"a wrong secret", "", append(good, "client_id", "web", "client_secret", "guess"), 401, oauth.InvalidClient},
		{"secrets in two places", "web", append(good, "client_id", "web", "client_secret", "web"+grantstest.Secret), 401, oauth.InvalidClient},
		{"two clients", "web", append(good, "client_id", "other"), 401, oauth.InvalidClient},
		{"a grant type the client has not", "batch", good, 400, oauth.UnauthorizedClient},
		{"credentials of a code client", "web", []string{"grant_type", "client_credentials"}, 400, oauth.UnauthorizedClient},
		{"refresh of a client without", "once", []string{"grant_type", "refresh_token", "refresh_token", "x"}, 400, oauth.UnauthorizedClient},
		{"no code", "web", without("code"), 400, oauth.InvalidRequest},
		{"no redirect_uri", "web", without("redirect_uri"), 400, oauth.InvalidRequest},
		{"no verifier", "web", without("code_verifier"), 400, oauth.InvalidRequest},
		{"an unknown code", "web", with("code", strings.Repeat("A", 43)), 400, oauth.InvalidGrant},
		{"a code of another shape", "web", with("code", "AAAA"), 400, oauth.InvalidGrant},
		{"another client's code", "other", good, 400, oauth.InvalidGrant},
		{"another port", "web", with("redirect_uri", "http://127.0.0.1:4712/callback"), 400, oauth.InvalidGrant},
		{"a redirect_uri in capitals", "web", with("redirect_uri", strings.ToUpper(grantstest.RedirectURI)), 400, oauth.InvalidGrant},
		{"a wrong verifier", "web", with("code_verifier", strings.Repeat("a", 43)), 400, oauth.InvalidGrant},
		{"the challenge as the verifier (plain)", "web", with("code_verifier", grantstest.Challenge(grantstest.Verifier)), 400, oauth.InvalidGrant},
		{"a verifier too short", "web", with("code_verifier", grantstest.Verifier[:42]), 400, oauth.InvalidGrant},
		{"an unknown audience", "web", append(good, "resource", "nowhere"), 400, oauth.InvalidTarget},
		{"two audiences", "web", append(good, "resource", "eventcatalog", "audience", "shoppingbasket"), 400, oauth.InvalidTarget},
		{"an audience the grant has nothing of", "web", append(good, "resource", "shoppingbasket"), 400, oauth.InvalidTarget},
		{"no refresh reference", "web", []string{"grant_type", "refresh_token"}, 400, oauth.InvalidRequest},
		{"garbage for a refresh reference", "web", []string{"grant_type", "refresh_token", "refresh_token", "pgrt_"}, 400, oauth.InvalidGrant},
		{"an access reference to refresh with", "web", []string{"grant_type", "refresh_token", "refresh_token",
			"pgat_DzEA6JvDTPdyybiV5XVzV5by0CcPZx6lPeTrFo8W53Q0c9gfd"}, 400, oauth.InvalidGrant},
		{"a scope with a quote", "batch", []string{"grant_type", "client_credentials", "scope", `"`}, 400, oauth.InvalidScope},
		{"a scope nobody has", "batch", []string{"grant_type", "client_credentials", "scope", "root"}, 400, oauth.InvalidScope},
		{"a scope the client has not", "batch", []string{"grant_type", "client_credentials", "scope", "eventcatalog.read eventcatalog.write"}, 400, oauth.InvalidScope},
		{"openid for a machine", "batch", []string{"grant_type", "client_credentials", "scope", "openid"}, 400, oauth.InvalidScope},
		{"an audience a machine has nothing of", "batch", []string{"grant_type", "client_credentials", "audience", "discount"}, 400, oauth.InvalidTarget},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refused(t, i.Post("/oauth/token", tc.client, tc.form...), tc.status, tc.code)
		})
	}
	t.Run("none of these harmed the code", func(t *testing.T) {
		answered(t, i.Post("/oauth/token", "web", good...))
	})
}

func TestWrongMessagesAreRefused(t *testing.T) {
	i := grantstest.New(t)
	send := func(method, target, media, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, grantstest.URL+target, strings.NewReader(body))
		r.Header.Set("Content-Type", media)
		w := httptest.NewRecorder()
		i.Mux.ServeHTTP(w, r)
		return w
	}
	const form = "application/x-www-form-urlencoded"
	secret := "grant_type=client_credentials&client_id=batch&client_secret=batch" + grantstest.Secret
	answered(t, send("POST", "/oauth/token", form, secret))
	if w := send("GET", "/oauth/token?"+secret, "", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered %d", w.Code)
	}
	refused(t, send("POST", "/oauth/token?"+secret, form, ""), 400, oauth.InvalidRequest)
	refused(t, send("POST", "/oauth/token", "application/json", `{"grant_type":"client_credentials"}`), 400, oauth.InvalidRequest)
	refused(t, send("POST", "/oauth/token", form, "grant_type=%zz"), 400, oauth.InvalidRequest)
	refused(t, send("POST", "/oauth/token", form, secret+"&x="+strings.Repeat("x", 64<<10)), 400, oauth.InvalidRequest)
}

func TestCodeFlowAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, client string
		scopes       []string
		refresh, id  bool
	}{
		{"all", "web", []string{"openid", "offline_access", "eventcatalog.read"}, true, true},
		{"public", "mobile", []string{"openid", "offline_access", "eventcatalog.read"}, true, true},
		{"without offline_access", "web", []string{"openid", "eventcatalog.read"}, false, true},
		{"a policy that always refreshes", "eager", []string{"eventcatalog.read"}, true, false},
		{"a client that may not refresh", "once", []string{"offline_access", "eventcatalog.read"}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i := grantstest.New(t)
			a := answered(t, redeem(i, tc.client, i.Code(t, tc.client, tc.scopes...)))
			if a.TokenType != "Bearer" || a.ExpiresIn != 900 || a.Scope != strings.Join(tc.scopes, " ") {
				t.Errorf("answered %s %d %q", a.TokenType, a.ExpiresIn, a.Scope)
			}
			if (a.RefreshToken != "") != tc.refresh || (a.IDToken != "") != tc.id {
				t.Errorf("refresh reference: %v, ID token: %v", a.RefreshToken != "", a.IDToken != "")
			}
			if !active(t, i, a.AccessToken) {
				t.Error("what was answered is not active")
			}
		})
	}
}

func TestIDToken(t *testing.T) {
	i := grantstest.New(t)
	a := answered(t, redeem(i, "web", i.Code(t, "web", "openid", "offline_access", "eventcatalog.read")))
	first := i.Signer.Claims(t, a.IDToken, oauth.TypeIDToken)
	for claim, want := range map[string]any{"iss": grantstest.URL, "sub": grantstest.Alice, "aud": "web", "nonce": "n-0S6_WzA2Mj", "acr": "password"} {
		if first[claim] != want {
			t.Errorf("%s is %v, want %v", claim, first[claim], want)
		}
	}
	i.Clock.Move(time.Minute)
	second := i.Signer.Claims(t, answered(t, refresh(i, "web", a.RefreshToken)).IDToken, oauth.TypeIDToken)
	if second["nonce"] != nil || second["auth_time"] != first["auth_time"] || second["sid"] != first["sid"] || second["iat"] == first["iat"] {
		t.Errorf("after a refresh: %v, before: %v (OpenID Connect Core, 12.2)", second, first)
	}
}

func TestCodeEnds(t *testing.T) {
	t.Run("after a minute", func(t *testing.T) {
		i := grantstest.New(t)
		code := i.Code(t, "web", "eventcatalog.read")
		i.Clock.Move(time.Minute)
		refused(t, redeem(i, "web", code), 400, oauth.InvalidGrant)
	})
	t.Run("not before", func(t *testing.T) {
		i := grantstest.New(t)
		code := i.Code(t, "web", "eventcatalog.read")
		i.Clock.Move(time.Minute - time.Millisecond)
		answered(t, redeem(i, "web", code))
	})
	for name, after := range map[string]time.Duration{"at once": 0, "after half a minute": 30 * time.Second, "after its end": 2 * time.Minute} {
		t.Run("used twice "+name, func(t *testing.T) {
			i := grantstest.New(t)
			code := i.Code(t, "web", "offline_access", "eventcatalog.read")
			a := answered(t, redeem(i, "web", code))
			i.Clock.Move(after)
			refused(t, redeem(i, "other", code), 400, oauth.InvalidGrant)
			if !active(t, i, a.AccessToken) {
				t.Error("another client's attempt ended the grant")
			}
			refused(t, redeem(i, "web", code), 400, oauth.InvalidGrant)
			if active(t, i, a.AccessToken) {
				t.Error("the access token outlives the code's second use")
			}
			refused(t, refresh(i, "web", a.RefreshToken), 400, oauth.InvalidGrant)
		})
	}
}

func TestRefreshNarrowsTheAccessTokenOnly(t *testing.T) {
	i := grantstest.New(t)
	all := "openid offline_access eventcatalog.read shoppingbasket.read"
	a := answered(t, redeem(i, "web", i.Code(t, "web", strings.Fields(all)...), "resource", "shoppingbasket"))
	if a.Scope != "openid offline_access shoppingbasket.read" {
		t.Errorf("the code's access token has %q", a.Scope)
	}
	a = answered(t, refresh(i, "web", a.RefreshToken, "scope", "eventcatalog.read"))
	if a.Scope != "eventcatalog.read" || a.IDToken != "" {
		t.Errorf("narrowed to %q, ID token: %v", a.Scope, a.IDToken != "")
	}
	refused(t, refresh(i, "web", a.RefreshToken, "scope", "eventcatalog.write"), 400, oauth.InvalidScope)
	refused(t, refresh(i, "web", a.RefreshToken, "audience", "discount"), 400, oauth.InvalidTarget)
	if a = answered(t, refresh(i, "web", a.RefreshToken)); a.Scope != all {
		t.Errorf("the successor has %q, want the family's scope %q", a.Scope, all)
	}
}

func TestRefreshGraceAndReuse(t *testing.T) {
	begin := func(t *testing.T) (*grantstest.Issuer, grants.Answer) {
		i := grantstest.New(t)
		return i, answered(t, redeem(i, "web", i.Code(t, "web", "openid", "offline_access", "eventcatalog.read")))
	}
	t.Run("within the grace: the same answer", func(t *testing.T) {
		i, a := begin(t)
		first := refresh(i, "web", a.RefreshToken)
		answered(t, first)
		i.Clock.Move(10*time.Second - time.Millisecond)
		if again := refresh(i, "web", a.RefreshToken); again.Body.String() != first.Body.String() {
			t.Error("another answer than the first")
		}
		refused(t, refresh(i, "web", a.RefreshToken, "scope", "eventcatalog.read"), 400, oauth.InvalidGrant)
		refused(t, refresh(i, "other", a.RefreshToken), 400, oauth.InvalidGrant)
		if !active(t, i, answered(t, first).AccessToken) {
			t.Error("the grace ended the family")
		}
	})
	t.Run("after the grace: the family ends", func(t *testing.T) {
		i, a := begin(t)
		next := answered(t, refresh(i, "web", a.RefreshToken))
		i.Clock.Move(10 * time.Second)
		refused(t, refresh(i, "web", a.RefreshToken), 400, oauth.InvalidGrant)
		refused(t, refresh(i, "web", next.RefreshToken), 400, oauth.InvalidGrant)
		if active(t, i, a.AccessToken) || active(t, i, next.AccessToken) {
			t.Error("an access token outlives its family")
		}
	})
	t.Run("a revocation within the grace: no answer", func(t *testing.T) {
		i, a := begin(t)
		next := answered(t, refresh(i, "web", a.RefreshToken))
		i.Post("/oauth/revoke", "web", "token", next.RefreshToken)
		refused(t, refresh(i, "web", a.RefreshToken), 400, oauth.InvalidGrant)
	})
}

func TestRefreshEndsWhenUnused(t *testing.T) {
	i := grantstest.New(t)
	a := answered(t, redeem(i, "web", i.Code(t, "web", "offline_access", "eventcatalog.read")))
	i.Clock.Move(24*time.Hour - time.Millisecond)
	a = answered(t, refresh(i, "web", a.RefreshToken))
	i.Clock.Move(24 * time.Hour)
	refused(t, refresh(i, "web", a.RefreshToken), 400, oauth.InvalidGrant)
}

// TestRotationNeverMovesTheEnd: the grant ends after 30 days, however often it is refreshed.
func TestRotationNeverMovesTheEnd(t *testing.T) {
	i := grantstest.New(t)
	a := answered(t, redeem(i, "web", i.Code(t, "web", "offline_access", "eventcatalog.read")))
	for range 30 {
		i.Clock.Move(24*time.Hour - time.Second)
		a = answered(t, refresh(i, "web", a.RefreshToken))
	}
	if a.ExpiresIn != 30 {
		t.Errorf("an access token 30 s before the grant's end lives %d s", a.ExpiresIn)
	}
	i.Clock.Move(30 * time.Second)
	refused(t, refresh(i, "web", a.RefreshToken), 400, oauth.InvalidGrant)
	if active(t, i, a.AccessToken) {
		t.Error("an access token outlives its grant")
	}
}

func TestWhatTheConfigNoLongerKnows(t *testing.T) {
	for name, forget := range map[string]func(*testing.T, *grantstest.Issuer){
		"the user": func(_ *testing.T, i *grantstest.Issuer) { i.Users.Forget(grantstest.Alice) },
		"the scope": func(t *testing.T, i *grantstest.Issuer) {
			i.Clients.Change(t, "web", func(c *config.Client) { c.Scopes = nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := grantstest.New(t)
			code := i.Code(t, "web", "offline_access", "eventcatalog.read")
			a := answered(t, redeem(i, "web", i.Code(t, "web", "offline_access", "eventcatalog.read")))
			next := answered(t, refresh(i, "web", a.RefreshToken))
			forget(t, i)
			for what, w := range map[string]*httptest.ResponseRecorder{
				"code": redeem(i, "web", code), "refresh": refresh(i, "web", next.RefreshToken), "refresh within the grace": refresh(i, "web", a.RefreshToken),
			} {
				if w.Code != http.StatusBadRequest {
					t.Errorf("%s: answered %d %s", what, w.Code, w.Body)
				}
			}
		})
	}
}

func TestClaimsAreReadAfreshAtRefresh(t *testing.T) {
	i := grantstest.New(t)
	a := answered(t, redeem(i, "web", i.Code(t, "web", "offline_access", "eventcatalog.read")))
	i.Users.Set("region", "us")
	region := func(reference string) any {
		w := i.PostAccept("application/jwt", "/oauth/introspect", "gateway", "token", reference)
		return i.Signer.Claims(t, w.Body.String(), oauth.TypeAccessToken)["region"]
	}
	if got := region(a.AccessToken); got != "eu" {
		t.Errorf("before the refresh: %v", got)
	}
	if got := region(answered(t, refresh(i, "web", a.RefreshToken)).AccessToken); got != "us" {
		t.Errorf("after the refresh: %v", got)
	}
}

func TestClientCredentials(t *testing.T) {
	i := grantstest.New(t)
	a := answered(t, i.Post("/oauth/token", "batch", "grant_type", "client_credentials"))
	if a.Scope != "eventcatalog.read shoppingbasket.read" || a.RefreshToken != "" || a.IDToken != "" {
		t.Errorf("answered %q, refresh %v, ID token %v", a.Scope, a.RefreshToken != "", a.IDToken != "")
	}
	a = answered(t, i.Post("/oauth/token", "batch", "grant_type", "client_credentials", "resource", "shoppingbasket"))
	if a.Scope != "shoppingbasket.read" {
		t.Errorf("narrowed to %q", a.Scope)
	}
	w := i.PostAccept("application/jwt", "/oauth/introspect", "gateway", "token", a.AccessToken)
	claims := i.Signer.Claims(t, w.Body.String(), oauth.TypeAccessToken)
	if claims["sub"] != "batch" || claims["client_id"] != "batch" || claims["auth_time"] != nil {
		t.Errorf("a machine's claims: %v", claims)
	}
}
