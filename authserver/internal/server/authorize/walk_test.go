package authorize_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// TestWalk is a person's whole way: sign in, allow, come back without being asked, allow more, and sign out.
func TestWalk(t *testing.T) {
	g := newRig(t)
	b := g.browser()

	page := b.get("/oauth/authorize", good())
	if page.StatusCode != 200 || page.heading() != "Sign in" || !strings.Contains(page.body, "Partner Tickets") {
		t.Fatalf("%d %q", page.StatusCode, page.heading())
	}
	page = b.signIn(page, "alice")
	if page.heading() != "Allow Partner Tickets?" || !strings.Contains(page.body, "See events") || strings.Contains(page.body, `class="new"`) {
		t.Fatalf("%d %q", page.StatusCode, page.body)
	}
	back := b.decide(page, "allow").redirected(t, partnerBack)
	if back.Get("state") != "st&te" || back.Get("iss") != issuer || len(back) != 3 {
		t.Fatalf("the answer is %v", back)
	}
	tokens, err := g.redeem("partner", back.Get("code"), partnerBack)
	check(t, err)
	claims, err := g.keys.Verify(tokens.IDToken, oauth.TypeIDToken)
	check(t, err)
	if claims["sub"] != g.subject("alice") || claims["nonce"] != "n0nce" || claims["acr"] == "" || claims["sid"] == "" {
		t.Fatalf("the ID token says %v", claims)
	}

	// Signed in and allowed before: nothing is asked, not even with prompt=none.
	b.get("/oauth/authorize", good("prompt", "none")).redirected(t, partnerBack)

	// More than before is asked again, and the page says what is new; nobody else's consent counts.
	page = b.get("/oauth/authorize", good("scope", "openid eventcatalog.read eventcatalog.write"))
	if page.heading() != "Allow Partner Tickets?" || strings.Count(page.body, `class="new"`) != 1 {
		t.Fatalf("%q\n%s", page.heading(), page.body)
	}
	if got := b.decide(page, "deny").redirected(t, partnerBack); got.Get("error") != "access_denied" || got.Get("iss") != issuer {
		t.Fatalf("deny answers %v", got)
	}

	// Signing out with the ID token ends the login and its grants.
	done := b.get("/oauth/logout", url.Values{"id_token_hint": {tokens.IDToken}, "post_logout_redirect_uri": {"https://app.example/bye"}, "state": {"x"}})
	if got := done.redirected(t, "https://app.example/bye"); got.Get("state") != "x" {
		t.Fatalf("logout answers %v", got)
	}
	if got := b.get("/oauth/authorize", good("prompt", "none")).redirected(t, partnerBack); got.Get("error") != "login_required" {
		t.Fatalf("after the logout: %v", got)
	}
	if got := b.get("/oauth/logout", url.Values{"id_token_hint": {tokens.IDToken}}); got.heading() != "You are signed out" {
		t.Fatalf("the second logout answers %q", got.heading())
	}
	for _, secret := range []string{"alice-demo", tokens.AccessToken, tokens.IDToken, back.Get("code")} {
		if strings.Contains(g.logs.String(), secret) {
			t.Errorf("a secret is in the log: %.12s…", secret)
		}
	}
}

func TestRedirectAnswerKeepsWhatIsRegistered(t *testing.T) {
	g := newRig(t)
	answer := g.browser().get("/oauth/authorize", good("redirect_uri", partnerBack+"?kept=a%20b", "prompt", "none"))
	if location := answer.Header.Get("Location"); !strings.HasPrefix(location, partnerBack+"?kept=a%20b&error=login_required") {
		t.Errorf("redirected to %q", location)
	}
}

func TestLogin(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	page := b.get("/oauth/authorize", good("login_hint", "alice"))
	if !strings.Contains(page.body, `value="alice"`) {
		t.Error("login_hint is not filled in")
	}
	ticket := page.ticket(t)
	try := func(login, password string) answer {
		return b.post("/oauth/login", url.Values{"ticket": {ticket}, "login": {login}, "password": {password}})
	}
	wrong, unknown, empty := try("alice", "nonsense"), try("nobody", "nonsense"), try("alice", "")
	if wrong.StatusCode != 422 || !strings.Contains(wrong.body, "do not match") || strings.Contains(wrong.body, "nonsense") {
		t.Errorf("a wrong password answers %d:\n%s", wrong.StatusCode, wrong.body)
	}
	if strings.ReplaceAll(cut(unknown.body), "nobody", "alice") != cut(wrong.body) || unknown.StatusCode != wrong.StatusCode {
		t.Error("the page tells whether the user exists")
	}
	if empty.StatusCode != 422 || !strings.Contains(empty.body, "Something is missing") {
		t.Errorf("an empty password answers %d", empty.StatusCode)
	}
	throttled := answer{}
	for range 200 {
		if throttled = try("alice", "nonsense"); throttled.StatusCode != 422 {
			break
		}
	}
	if throttled.StatusCode != http.StatusTooManyRequests || throttled.Header.Get("Retry-After") == "" || !strings.Contains(throttled.body, "Wait ") {
		t.Errorf("too many attempts answer %d", throttled.StatusCode)
	}
}

// cut takes the ticket out, which differs every time.
func cut(body string) string {
	before, after, _ := strings.Cut(body, `name="ticket" value="`)
	_, after, _ = strings.Cut(after, `"`)
	return before + after
}

func TestPrompts(t *testing.T) {
	for name, c := range map[string]struct {
		changes []string
		wait    time.Duration
		want    string // a heading, or an error, or "code"
	}{
		"nothing asked":              {nil, 0, "code"},
		"none":                       {[]string{"prompt", "none"}, 0, "code"},
		"none, more scopes":          {[]string{"prompt", "none", "scope", "openid profile"}, 0, "consent_required"},
		"login":                      {[]string{"prompt", "login"}, 0, "Sign in"},
		"select_account":             {[]string{"prompt", "select_account"}, 0, "Sign in"},
		"consent":                    {[]string{"prompt", "consent"}, 0, "Allow Partner Tickets?"},
		"consent and login":          {[]string{"prompt", "consent login"}, 0, "Sign in"},
		"max_age held":               {[]string{"max_age", "60"}, 59 * time.Second, "code"},
		"max_age over":               {[]string{"max_age", "60"}, 60 * time.Second, "Sign in"},
		"max_age over, none":         {[]string{"max_age", "60", "prompt", "none"}, time.Hour, "login_required"},
		"max_age 0":                  {[]string{"max_age", "0"}, 0, "Sign in"},
		"the session's end":          {nil, 8 * time.Hour, "Sign in"},
		"a stricter client":          {[]string{"client_id", "spa", "redirect_uri", "https://spa.example/"}, 10 * time.Minute, "Sign in"},
		"a client that skips":        {[]string{"client_id", "spa", "redirect_uri", "https://spa.example/"}, 0, "code"},
		"skips, but asks itself":     {[]string{"client_id", "spa", "redirect_uri", "https://spa.example/", "prompt", "consent"}, 0, "Allow Demo shop?"},
		"acr, claims: left aside":    {[]string{"acr_values", "x", "claims", `{"id_token":{"acr":{"essential":true}}}`, "ui_locales", "de", "display", "page"}, 0, "code"},
		"unknown parameter: ignored": {[]string{"whatever", "x"}, 0, "code"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			b := g.browser()
			b.decide(b.signIn(b.get("/oauth/authorize", good()), "alice"), "allow").redirected(t, partnerBack)
			g.pass(c.wait)
			params := good(c.changes...)
			got := b.get("/oauth/authorize", params)
			if got.heading() != "" {
				if got.heading() != c.want {
					t.Errorf("shows %q, not %q", got.heading(), c.want)
				}
				return
			}
			back := got.redirected(t, params.Get("redirect_uri"))
			if back.Get("error") != c.want && (c.want != "code" || back.Get("code") == "") {
				t.Errorf("answers %v, not %s", back, c.want)
			}
		})
	}
}

// TestPromptLoginDoesNotLoop: a new login is enough, also where the request asks for one each time.
func TestPromptLoginDoesNotLoop(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	page := b.signIn(b.get("/oauth/authorize", good("prompt", "login", "max_age", "0")), "alice")
	b.decide(page, "allow").redirected(t, partnerBack)
}

func TestIDTokenHint(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	alice := g.keys.idToken(t, "partner", g.subject("alice"), "")
	bob := g.keys.idToken(t, "partner", g.subject("bob"), "")
	b.decide(b.signIn(b.get("/oauth/authorize", good()), "alice"), "allow").redirected(t, partnerBack)

	if got := b.get("/oauth/authorize", good("id_token_hint", alice, "prompt", "none")).redirected(t, partnerBack); got.Get("code") == "" {
		t.Errorf("the user who is meant: %v", got)
	}
	if got := b.get("/oauth/authorize", good("id_token_hint", bob, "prompt", "none")).redirected(t, partnerBack); got.Get("error") != "login_required" {
		t.Errorf("another user: %v", got)
	}
	page := b.get("/oauth/authorize", good("id_token_hint", bob))
	if got := b.signIn(page, "alice").redirected(t, partnerBack); got.Get("error") != "login_required" {
		t.Errorf("another user signs in: %v", got)
	}
	foreign := g.keys.idToken(t, "mobile", g.subject("alice"), "")
	for name, hint := range map[string]string{"garbage": "x.y.z", "another client's": foreign} {
		if got := b.get("/oauth/authorize", good("id_token_hint", hint)).redirected(t, partnerBack); got.Get("error") != "invalid_request" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestLoopbackClientIsNeverSilent: any program on the device can open the port and say that it is the app.
func TestLoopbackClientIsNeverSilent(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	params := good("client_id", "mobile", "redirect_uri", "http://127.0.0.1:43210/callback")
	page := b.signIn(b.get("/oauth/authorize", params), "alice")
	if csp := page.Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' http: https:") {
		t.Errorf("the redirect that answers the form would be blocked by %q", csp)
	}
	b.decide(page, "allow").redirected(t, "http://127.0.0.1:43210/callback")
	if got := b.get("/oauth/authorize", params); got.heading() != "Allow mobile?" {
		t.Errorf("the second time shows %q", got.heading())
	}
	params.Set("prompt", "login") // with a password typed just now it need not ask twice
	b.signIn(b.get("/oauth/authorize", params), "alice").redirected(t, "http://127.0.0.1:43210/callback")
}

func TestSwitchUser(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	page := b.signIn(b.get("/oauth/authorize", good()), "alice")
	back := b.decide(page, "allow").redirected(t, partnerBack)
	alices, err := g.redeem("partner", back.Get("code"), partnerBack)
	check(t, err)

	page = b.get("/oauth/authorize", good("prompt", "consent"))
	stale := page
	page = b.decide(page, "switch")
	if page.heading() != "Sign in" || strings.Contains(page.body, `value="alice"`) {
		t.Fatalf("%q", page.heading())
	}
	page = b.signIn(page, "bob")
	if !strings.Contains(page.body, "<strong>bob</strong>") {
		t.Fatalf("%s", page.body)
	}
	if live := g.access(alices.AccessToken); live.Alive {
		t.Error("alice's login outlived the switch, and nobody can sign it out any more")
	}
	// The page that alice was shown is still open in another tab: it cannot speak for bob.
	if got := b.decide(stale, "allow"); got.heading() != "Sign in" {
		t.Errorf("alice's page answered for bob: %d %s", got.StatusCode, got.Header.Get("Location"))
	}
	if consent, err := g.store.FindConsent(t.Context(), oauth.DefaultTenant, g.subject("bob"), "partner"); err == nil {
		t.Errorf("bob has consented to %v", consent)
	}
}

// TestRevocationOvertakes: whatever is revoked while a person signs in or allows, ends what comes of it.
func TestRevocationOvertakes(t *testing.T) {
	for name, reach := range map[string]func(g *rig) (storage.Kind, string){
		"everything": func(*rig) (storage.Kind, string) { return storage.KindEverything, "" },
		"tenant":     func(*rig) (storage.Kind, string) { return storage.KindTenant, oauth.DefaultTenant },
		"client":     func(*rig) (storage.Kind, string) { return storage.KindClient, "partner" },
		"user":       func(g *rig) (storage.Kind, string) { return storage.KindUser, g.subject("alice") },
		"user+client": func(g *rig) (storage.Kind, string) {
			return storage.KindUserClient, storage.UserClientID(g.subject("alice"), "partner")
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			b := g.browser()
			b.decide(b.signIn(b.get("/oauth/authorize", good()), "alice"), "allow").redirected(t, partnerBack) // allowed before
			b = g.browser()
			page := b.get("/oauth/authorize", good())
			g.during = func() { // the password has been found right, and nothing is written yet
				kind, id := reach(g)
				_, err := g.revoker.Revoke(t.Context(), oauth.DefaultTenant, kind, id, "test")
				check(t, err)
			}
			back := b.signIn(page, "alice").redirected(t, partnerBack)
			if back.Get("error") != "" {
				return // refused at once is as good
			}
			if tokens, err := g.redeem("partner", back.Get("code"), partnerBack); err == nil && g.access(tokens.AccessToken).Alive {
				t.Error("OVERTAKEN: a revocation that came while the login was checked did not end its tokens")
			}
		})
	}
}

// TestSessionBirthsAreKept: a session's later grants are born under what the session was born under. A revocation of
// everything, the tenant or the user that comes between the look at the session and the grant ends them.
func TestSessionBirthsAreKept(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	b.decide(b.signIn(b.get("/oauth/authorize", good()), "alice"), "allow").redirected(t, partnerBack)
	// The window is between two statements of one request: the first read of the generations opens it, and the look at the
	// session comes after, so the revocation is put behind that look.
	g.afterSession = func() {
		_, err := g.revoker.Revoke(t.Context(), oauth.DefaultTenant, storage.KindUser, g.subject("alice"), "test")
		check(t, err)
	}
	back := b.get("/oauth/authorize", good()).redirected(t, partnerBack)
	if back.Get("error") != "" {
		return
	}
	if tokens, err := g.redeem("partner", back.Get("code"), partnerBack); err == nil && g.access(tokens.AccessToken).Alive {
		t.Error("NEWER BIRTHS: a user was revoked after the session was looked at, and a token of that session lives")
	}
}
