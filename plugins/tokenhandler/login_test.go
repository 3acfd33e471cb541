package tokenhandler

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestLogin(t *testing.T) {
	w := newWalk(t)
	b := w.browser()
	address, err := url.Parse(b.start())
	if err != nil {
		t.Fatal(err)
	}
	q := address.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": testClient, "redirect_uri": appPage, "scope": "openid eventcatalog.read",
		"code_challenge_method": "S256",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q; want %q", name, q.Get(name), want)
		}
	}
	if len(q.Get("state")) < 43 || len(q.Get("nonce")) < 43 || len(q.Get("code_challenge")) != 43 || q.Get("state") == q.Get("nonce") {
		t.Errorf("state, nonce or challenge is weak: %v", q)
	}

	end := b.post("/login/end", `{"pageUrl":`+quoted(w.issuer.authorize(address.String()))+`}`).is(http.StatusOK).readable()
	if len(end.json()) != 3 {
		t.Errorf("login/end answered %s; want handled, isLoggedIn and csrf", end.body)
	}
	b.csrf = end.json()["csrf"].(string)
	form := w.issuer.asked("/oauth/token")[0]
	if form.Get("redirect_uri") != appPage || !strings.Contains(form.Get("code"), "+signs&") {
		t.Errorf("the code was redeemed with %v", form)
	}
	if b.cookies["__Host-shop-login"] != "" {
		t.Error("the login cookie is still there")
	}
	reference, refusal, _ := b.api(http.MethodGet)
	if refusal != nil || !strings.HasPrefix(reference, "canary_at_") {
		t.Errorf("an API gets %q, %v", reference, refusal)
	}

	if got := b.get("/session").is(http.StatusOK).json(); got["isLoggedIn"] != true || got["csrf"] != b.csrf {
		t.Errorf("session is %v", got)
	}
	if got := b.get("/claims").is(http.StatusOK).json(); got["sub"] != "u_alice" {
		t.Errorf("claims are %v", got)
	}
	if got := b.get("/userInfo").is(http.StatusOK).json(); got["name"] != "Alice" {
		t.Errorf("userInfo is %v", got)
	}
	for name, value := range b.cookies {
		for _, canary := range w.issuer.canaries() {
			if strings.Contains(value, canary) {
				t.Errorf("cookie %s is readable", name)
			}
		}
	}
}

// A page that holds no answer of the issuer leaves the session as it is, and tells it.
func TestLoginEndOfAnotherPage(t *testing.T) {
	w := newWalk(t)
	fresh, known := w.browser(), w.loggedIn()
	for _, page := range []string{
		appPage, appPage + "?tab=1", appPage + "?code=x", appPage + "?state=x", appPage + "#code=x&state=y",
		"https://evil.example/app?code=x&state=y", appOrigin + "/other?code=x&state=y", "http://www.example.com/app?code=x&state=y",
		"https://www.example.com:444/app?code=x&state=y", appOrigin + "/app%2f?code=x&state=y",
	} {
		got := fresh.post("/login/end", `{"pageUrl":`+quoted(page)+`}`).is(http.StatusOK).json()
		if got["handled"] != false || got["isLoggedIn"] != false || got["csrf"] != nil {
			t.Errorf("%s, not logged in: %v", page, got)
		}
		got = known.post("/login/end", `{"pageUrl":`+quoted(page)+`}`).is(http.StatusOK).json()
		if got["handled"] != false || got["isLoggedIn"] != true || got["csrf"] != known.csrf {
			t.Errorf("%s, logged in: %v", page, got)
		}
	}
	for _, body := range []string{``, `{}`, `{"pageUrl":"/app"}`, `{"pageUrl":"%zz"}`, `{"pageUrl":7}`, `[]`, `x`} {
		fresh.post("/login/end", body).fails(http.StatusBadRequest, "invalid_request")
	}
	fresh.post("/login/end", `{"pageUrl":"https://www.example.com/"}`, header("Content-Type", "text/plain")).
		fails(http.StatusBadRequest, "invalid_request")
	fresh.post("/login/end", `{"pageUrl":"`+strings.Repeat("x", maxAgentBody)+`"}`).fails(http.StatusBadRequest, "invalid_request")
}

func TestLoginAnswers(t *testing.T) {
	set := func(name, value string) func(url.Values) { return func(q url.Values) { q.Set(name, value) } }
	failed := func(code string) func(url.Values) {
		return func(q url.Values) { q.Del("code"); q.Set("error", code); q.Set("error_description", "<script>") }
	}
	for name, c := range map[string]struct {
		change func(url.Values)
		status int
		code   string
	}{
		"state of nobody":           {set("state", "x"), 400, "invalid_request"},
		"no state in effect":        {set("state", ""), 400, "invalid_request"},
		"iss of another":            {set("iss", "https://evil.example"), 400, "invalid_request"},
		"iss missing":               {func(q url.Values) { q.Del("iss") }, 400, "invalid_request"},
		"two codes":                 {func(q url.Values) { q.Add("code", "x") }, 400, "invalid_request"},
		"empty code":                {set("code", ""), 400, "invalid_request"},
		"unknown code":              {set("code", "x"), 400, "authorization_error"},
		"error, state of nobody":    {func(q url.Values) { failed("access_denied")(q); q.Set("state", "x") }, 400, "invalid_request"},
		"error, iss of another":     {func(q url.Values) { failed("access_denied")(q); q.Set("iss", "x") }, 400, "invalid_request"},
		"error beside a code":       {set("error", "access_denied"), 400, "authorization_error"},
		"login_required":            {failed("login_required"), 401, "login_required"},
		"interaction_required":      {failed("interaction_required"), 401, "login_required"},
		"invalid_scope":             {failed("invalid_scope"), 400, "authorization_error"},
		"an error that is no error": {failed("<script>alert(1)</script>"), 400, "authorization_error"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newWalk(t).browser()
			page, _ := url.Parse(b.issuer.authorize(b.start()))
			q := page.Query()
			c.change(q)
			page.RawQuery = q.Encode()
			a := b.post("/login/end", `{"pageUrl":`+quoted(page.String())+`}`).fails(c.status, c.code).readable()
			if strings.Contains(string(a.body), "script") {
				t.Errorf("the issuer's text is passed on: %s", a.body)
			}
			if len(b.cookies) > 1 {
				t.Errorf("there are cookies: %v", b.cookies)
			}
		})
	}
}

func TestLoginIsOfOneBrowserOnceAndSoon(t *testing.T) {
	w := newWalk(t)
	victim, attacker := w.browser(), w.browser()
	victim.start()
	page := quoted(w.issuer.authorize(attacker.start()))
	victim.post("/login/end", `{"pageUrl":`+page+`}`).fails(http.StatusBadRequest, "invalid_request") // login CSRF
	if victim.cookies["__Host-shop-login"] == "" {
		t.Error("a made-up answer ended the login under way")
	}
	w.browser().post("/login/end", `{"pageUrl":`+page+`}`).fails(http.StatusUnauthorized, "unauthorized_request")

	late := w.browser()
	page = quoted(w.issuer.authorize(late.start()))
	kept := late.another()
	w.clock.advance(10 * time.Minute)
	late.post("/login/end", `{"pageUrl":`+page+`}`).fails(http.StatusBadRequest, "invalid_request")
	if late.cookies["__Host-shop-login"] != "" {
		t.Error("the login cookie outlives its login")
	}
	kept.post("/login/end", `{"pageUrl":`+page+`}`).fails(http.StatusBadRequest, "invalid_request")
}

func TestLoginWithoutIss(t *testing.T) {
	b := newWalk(t, func(c *Config) { c.WithoutIss = true }).browser()
	page := strings.Replace(b.issuer.authorize(b.start()), "iss=", "other=", 1)
	b.post("/login/end", `{"pageUrl":`+quoted(page)+`}`).is(http.StatusOK)
	page = strings.Replace(b.issuer.authorize(b.start()), "iss=", "iss=x", 1)
	b.post("/login/end", `{"pageUrl":`+quoted(page)+`}`).fails(http.StatusBadRequest, "invalid_request")
}

func TestExtraParams(t *testing.T) {
	b := newWalk(t).browser()
	address := b.post("/login/start", `{"extraParams":[{"key":"prompt","value":"login&state=evil"},{"key":"acr_values","value":"strong"}]}`).
		is(http.StatusOK).json()["authorizationRequestUrl"].(string)
	u, _ := url.Parse(address)
	if q := u.Query(); q.Get("prompt") != "login&state=evil" || q.Get("acr_values") != "strong" || len(q["state"]) != 1 {
		t.Errorf("the request is %s", address)
	}
	for _, params := range []string{
		`{"key":"ui_locales","value":"de"}`, `{"key":"redirect_uri","value":"https://evil.example"}`, `{"key":"state","value":"x"}`,
		`{"key":"prompt","value":"none"},{"key":"prompt","value":"login"}`, `{"key":"","value":""}`,
	} {
		b.post("/login/start", `{"extraParams":[`+params+`]}`).fails(http.StatusBadRequest, "invalid_request")
	}
}

func TestIDToken(t *testing.T) {
	claim := func(name string, value any) func(*fakeIssuer) {
		return func(i *fakeIssuer) { i.claims = func(c jwt.MapClaims) { c[name] = value } }
	}
	without := func(name string) func(*fakeIssuer) {
		return func(i *fakeIssuer) { i.claims = func(c jwt.MapClaims) { delete(c, name) } }
	}
	past, future := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC).Unix(), time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC).Unix()
	for name, c := range map[string]struct {
		change func(*fakeIssuer)
		ok     bool
	}{
		"well":            {func(*fakeIssuer) {}, true},
		"no at_hash":      {without("at_hash"), true},
		"azp of this app": {claim("azp", testClient), true},
		"two audiences": {func(i *fakeIssuer) {
			i.claims = func(c jwt.MapClaims) { c["aud"], c["azp"] = []string{testClient, "b"}, testClient }
		}, true},
		"no azp":           {claim("aud", []string{testClient, "b"}), false},
		"azp of another":   {claim("azp", "b"), false},
		"iss of another":   {claim("iss", "https://evil.example"), false},
		"no iss":           {without("iss"), false},
		"aud of another":   {claim("aud", "b"), false},
		"no aud":           {without("aud"), false},
		"no sub":           {without("sub"), false},
		"expired":          {claim("exp", past), false},
		"no exp":           {without("exp"), false},
		"not yet":          {claim("nbf", future), false},
		"from the future":  {claim("iat", future), false},
		"no iat":           {without("iat"), false},
		"nonce of another": {claim("nonce", "x"), false},
		"Nonce for nonce": {func(i *fakeIssuer) {
			i.claims = func(c jwt.MapClaims) { c["Nonce"] = c["nonce"]; delete(c, "nonce") }
		}, false},
		"a letter like the s of sub": {claim("ſub", ""), true},
		"Sub for sub": {func(i *fakeIssuer) {
			i.claims = func(c jwt.MapClaims) { c["Sub"] = c["sub"]; delete(c, "sub") }
		}, false},
		"no nonce":           {without("nonce"), false},
		"at_hash of another": {claim("at_hash", accessHash("ES256", "x")), false},
		"an access token":    {func(i *fakeIssuer) { i.header = func(h map[string]any) { h["typ"] = "at+jwt" } }, false},
		"a logout token":     {func(i *fakeIssuer) { i.header = func(h map[string]any) { h["typ"] = "logout+jwt" } }, false},
		"unknown kid":        {func(i *fakeIssuer) { i.header = func(h map[string]any) { h["kid"] = "k2" } }, false},
		"another's key":      {func(i *fakeIssuer) { i.signer = newFakeIssuer(t, i.now).key }, false},
		"none":               {func(i *fakeIssuer) { i.respond = func(m map[string]any) { delete(m, "id_token") } }, false},
		"no JWT":             {func(i *fakeIssuer) { i.respond = func(m map[string]any) { m["id_token"] = "x" } }, false},
		"alg none": {func(i *fakeIssuer) {
			i.respond = func(m map[string]any) {
				parts := strings.Split(m["id_token"].(string), ".")
				m["id_token"] = "eyJhbGciOiJub25lIn0." + parts[1] + "."
			}
		}, false},
		"token_type": {func(i *fakeIssuer) { i.respond = func(m map[string]any) { m["token_type"] = "DPoP" } }, false},
		"expires_in": {func(i *fakeIssuer) { i.respond = func(m map[string]any) { delete(m, "expires_in") } }, false},
		"too large":  {claim("address", strings.Repeat("x", 9000)), false},
		"in chunks":  {claim("address", strings.Repeat("x", 4000)), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWalk(t)
			c.change(w.issuer)
			b := w.browser()
			a := b.post("/login/end", `{"pageUrl":`+quoted(w.issuer.authorize(b.start()))+`}`)
			if c.ok {
				a.is(http.StatusOK)
				return
			}
			a.fails(http.StatusBadGateway, "authorization_server_error")
			if len(b.cookies) > 0 {
				t.Errorf("there are cookies: %v", b.cookies)
			}
			w.issuer.mu.Lock()
			defer w.issuer.mu.Unlock()
			if name != "token_type" && name != "expires_in" && len(w.issuer.refresh) > 0 {
				t.Error("the grant that nobody will use lives on")
			}
		})
	}
}

// A new login replaces the old one, at the issuer too, and shares nothing with it.
func TestLoginReplacesSession(t *testing.T) {
	b := newWalk(t).loggedIn()
	old := b.another()
	b.login()
	if b.csrf == old.csrf {
		t.Error("the CSRF token outlives its login")
	}
	if revoked := b.issuer.asked("/oauth/revoke"); len(revoked) != 1 {
		t.Errorf("%d references were revoked; want the old one", len(revoked))
	}
}
