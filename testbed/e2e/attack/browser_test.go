package attack

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// fields is what a page's form would send, with these values filled in.
func fields(t *testing.T, page *browser.Page, pairs ...string) url.Values {
	t.Helper()
	if page.Form == nil {
		t.Fatalf("no form: %d at %s", page.Status, page.URL)
	}
	return rptest.With(page.Form.Hidden, pairs...)
}

// jarOf gives a client of the world with a cookie jar that the test can look into.
func jarOf(t *testing.T, w *rptest.World) (*http.Client, *cookiejar.Jar) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *w.HTTP
	client.Jar = jar
	return &client, jar
}

// TestAFormOfAnotherSite posts our forms as another site can: in the victim's browser, with a ticket that the attacker got
// in a browser of its own, or with none (login CSRF, consent CSRF, logout CSRF).
func TestAFormOfAnotherSite(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	victim, attacker := w.Browser(t), w.Browser(t)
	tokens := w.TokensFor(t, victim, "alice", rptest.Web().Ask("openid catalogue.read"))
	w.LogIn(t, attacker, "bob", rptest.Web().Ask("openid"))
	loginPage := w.Open(t, attacker, rptest.Web().Ask("openid", "prompt", "login"))
	consentPage := w.Open(t, attacker, rptest.Web().Ask("openid catalogue.write"))
	logoutPage, err := attacker.Open(t.Context(), w.URL+"/oauth/logout")
	if err != nil {
		t.Fatal(err)
	}
	evil, err := url.Parse("https://evil.example/")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		action string
		fields url.Values
	}{
		"login with the attacker's account": {"/oauth/login", fields(t, loginPage, "login", "bob", "password", rptest.Password("bob"))},
		"login without a ticket":            {"/oauth/login", rptest.Form("login", "bob", "password", rptest.Password("bob"))},
		"consent to the attacker's request": {"/oauth/consent", fields(t, consentPage, "decision", "allow")},
		"consent without a ticket":          {"/oauth/consent", rptest.Form("decision", "allow")},
		"consent with a login's ticket":     {"/oauth/consent", fields(t, loginPage, "decision", "allow")},
		"login with a consent's ticket":     {"/oauth/login", fields(t, consentPage, "login", "bob", "password", rptest.Password("bob"))},
		"logout":                            {"/oauth/logout/confirm", fields(t, logoutPage, "decision", "leave")},
		"logout without a ticket":           {"/oauth/logout/confirm", rptest.Form("decision", "leave")},
	} {
		for _, origin := range []*url.URL{evil, mustParse(t, w.URL+"/")} { // even if the origin could be made to look like ours
			page := rptest.Submit(t, victim, &browser.Page{URL: origin, Form: &browser.Form{Action: w.URL + c.action, Method: "post", Hidden: c.fields}})
			if page.Status != http.StatusForbidden && page.Status != http.StatusBadRequest || page.URL.Host != mustParse(t, w.URL).Host {
				t.Errorf("%s from %s: %d at %s", name, origin.Host, page.Status, page.URL)
			}
		}
	}
	if !w.Active(t, tokens.Access) {
		t.Error("another site signed alice out")
	}
	a := rptest.Web().Ask("openid", "prompt", "none", "id_token_hint", tokens.ID)
	if w.Answer(t, w.Open(t, victim, a), a).Get("code") == "" {
		t.Error("the victim's browser is not alice's any more")
	}
}

// TestATicketIsForOnePage posts what one page was given as that of another, in the right browser.
func TestATicketIsForOnePage(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	w.LogIn(t, b, "alice", rptest.Web().Ask("openid"))
	pages := map[string]*browser.Page{
		"/oauth/login":   w.Open(t, b, rptest.Web().Ask("openid", "prompt", "login")),
		"/oauth/consent": w.Open(t, b, rptest.Web().Ask("openid catalogue.read")),
	}
	var err error
	if pages["/oauth/logout/confirm"], err = b.Open(t.Context(), w.URL+"/oauth/logout"); err != nil {
		t.Fatal(err)
	}
	for of, page := range pages {
		for action := range pages {
			form := fields(t, page, "login", "alice", "password", rptest.Password("alice"), "decision", "stay")
			got := rptest.Submit(t, b, &browser.Page{URL: page.URL, Form: &browser.Form{Action: action, Method: "post", Hidden: form}})
			if refused := strings.Contains(got.Body, "no longer valid"); refused == (action == of) {
				t.Errorf("the ticket of %s at %s: %d at %s", of, action, got.Status, got.URL)
			}
		}
	}
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestOriginIsChecked posts the right ticket, in the right browser, from the wrong place.
func TestOriginIsChecked(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	client, _ := jarOf(t, w)
	w.HTTP = client
	ticket := ticketOf(t, w.Do(t, mustGet(t, w, w.Address(rptest.Web().Ask("openid")))))
	for name, header := range map[string][]string{
		"another origin":       {"Origin", "https://evil.example"},
		"null":                 {"Origin", "null"},
		"a sibling":            {"Origin", strings.Replace(w.URL, "127.0.0.1", "evil.127.0.0.1", 1)},
		"another port":         {"Origin", "http://127.0.0.1:1"},
		"cross-site":           {"Sec-Fetch-Site", "cross-site"},
		"same-site only":       {"Sec-Fetch-Site", "same-site"},
		"cross-site, our name": {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
	} {
		form := rptest.Form("ticket", ticket, "login", "alice", "password", rptest.Password("alice"))
		if got := w.Post(t, "/oauth/login", rptest.App{}, form, header...); got.Status != http.StatusForbidden || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d", name, got.Status)
		}
	}
	form := rptest.Form("ticket", ticket, "login", "alice", "password", rptest.Password("alice"))
	if got := w.Post(t, "/oauth/login", rptest.App{}, form, "Origin", w.URL, "Sec-Fetch-Site", "same-origin"); got.Status != http.StatusOK { // the consent page
		t.Errorf("the control: %d", got.Status)
	}
}

func mustGet(t *testing.T, w *rptest.World, address string) *http.Request {
	t.Helper()
	return w.Request(t, http.MethodGet, strings.TrimPrefix(address, w.URL), "")
}

func ticketOf(t *testing.T, page rptest.Reply) string {
	t.Helper()
	_, rest, found := strings.Cut(page.Body, `name="ticket" value="`)
	ticket, _, _ := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("no ticket: %d %s", page.Status, page.Body)
	}
	return ticket
}

// TestSessionFixation plants cookies beforehand, and looks for the planted ones afterwards.
func TestSessionFixation(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	client, jar := jarOf(t, w)
	w.HTTP = client
	site := mustParse(t, w.URL)
	jar.SetCookies(site, []*http.Cookie{{Name: "__Host-pgas-session", Value: "PLANTED", Path: "/", Secure: true}})
	ticket := ticketOf(t, w.Do(t, mustGet(t, w, w.Address(rptest.Web().Ask("openid")))))
	before := cookies(jar, site)
	reply := w.Post(t, "/oauth/login", rptest.App{}, rptest.Form("ticket", ticket, "login", "alice", "password", rptest.Password("alice")))
	after := cookies(jar, site)
	if reply.Status != http.StatusOK || after["__Host-pgas-session"] == before["__Host-pgas-session"] || len(after["__Host-pgas-session"]) < 40 {
		t.Fatalf("%d, the session's cookie before and after: equal %v", reply.Status, after["__Host-pgas-session"] == before["__Host-pgas-session"])
	}
	for _, line := range reply.Header.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		if err != nil || !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" ||
			c.SameSite != http.SameSiteLaxMode || c.MaxAge != 0 || !c.Expires.IsZero() {
			t.Errorf("the cookie %s has other attributes than it should", c.Name)
		}
	}
	// A second login is a second secret; the first one, wherever it went, is not what the browser has.
	ticket = ticketOf(t, w.Do(t, mustGet(t, w, w.Address(rptest.Web().Ask("openid", "prompt", "login")))))
	w.Post(t, "/oauth/login", rptest.App{}, rptest.Form("ticket", ticket, "login", "alice", "password", rptest.Password("alice")))
	if again := cookies(jar, site); again["__Host-pgas-session"] == after["__Host-pgas-session"] {
		t.Error("a second login kept the session's secret")
	}
	// Two cookies of one name: somebody planted theirs, and neither counts.
	planted := "__Host-pgas-session=" + cookies(jar, site)["__Host-pgas-session"] + "; __Host-pgas-session=PLANTED"
	w.HTTP.Jar = nil
	if got := w.Get(t, strings.TrimPrefix(w.Address(rptest.Web().Ask("openid", "prompt", "none")), w.URL), "Cookie", planted); !strings.Contains(got.Header.Get("Location"), "login_required") {
		t.Errorf("two cookies of one name: %q", got.Header.Get("Location"))
	}
}

func cookies(jar *cookiejar.Jar, site *url.URL) map[string]string {
	values := map[string]string{}
	for _, c := range jar.Cookies(site) {
		values[c.Name] = c.Value
	}
	return values
}

// TestTheBrowserChangesHands signs bob in where alice was: alice's login must not be left behind, or go on for bob.
func TestTheBrowserChangesHands(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	alice := w.TokensFor(t, b, "alice", rptest.Web().Ask("openid catalogue.read"))
	page := w.Open(t, b, rptest.Web().Ask("openid catalogue.write")) // a consent page for alice stands open
	if page.Form == nil || !page.Form.Fields["decision"] {
		t.Fatalf("no consent page: %d", page.Status)
	}
	other := w.TokensFor(t, b, "bob", rptest.Web().Ask("openid catalogue.read", "prompt", "login"))
	if w.Active(t, alice.Access) || !w.Active(t, other.Access) {
		t.Error("the former person's login goes on, or the new one's does not")
	}
	if next := rptest.Submit(t, b, page, "decision", "allow"); next.Form == nil || !next.Form.Fields["password"] {
		t.Errorf("bob allowed what alice was asked: %d at %s", next.Status, next.URL)
	}
}

// TestPagesCannotBeFramedOrKept wants the same guard around every page that a person can be shown.
func TestPagesCannotBeFramedOrKept(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	pages := map[string]*browser.Page{"failure": w.Open(t, b, rptest.App{ID: "nobody"}.Ask("openid")), "sign-in": w.Open(t, b, rptest.Web().Ask("openid"))}
	pages["wrong password"] = rptest.Submit(t, b, pages["sign-in"], "login", "alice", "password", "wrong")
	pages["consent"] = rptest.Submit(t, b, pages["sign-in"], "login", "alice", "password", rptest.Password("alice"))
	var err error
	if pages["sign-out"], err = b.Open(t.Context(), w.URL+"/oauth/logout"); err != nil {
		t.Fatal(err)
	}
	pages["stayed"] = rptest.Submit(t, b, pages["sign-out"], "decision", "stay")
	pages["signed out"] = rptest.Submit(t, b, pages["sign-out"], "decision", "leave")
	for name, page := range pages {
		h := page.Header
		policy := h.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, directive) {
				t.Errorf("%s: no %s in %q", name, directive, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(page.Body, "<script") {
			t.Errorf("%s: scripts, or a policy that lets everything pass: %q", name, policy)
		}
		if h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Referrer-Policy") != "same-origin" || !strings.HasPrefix(h.Get("Content-Type"), "text/html; charset=utf-8") || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", name, h)
		}
	}
}

// TestAnswersAreRedirectedSafely looks at the redirect that carries a code: nobody keeps it, nothing tells the next page
// where it came from, and no browser repeats a POST with the password in it.
func TestAnswersAreRedirectedSafely(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	client, _ := jarOf(t, w)
	w.HTTP = client
	ticket := ticketOf(t, w.Do(t, mustGet(t, w, w.Address(rptest.Front().Ask("openid")))))
	reply := w.Post(t, "/oauth/login", rptest.App{}, rptest.Form("ticket", ticket, "login", "alice", "password", rptest.Password("alice")))
	again := w.Do(t, mustGet(t, w, w.Address(rptest.Front().Ask("openid"))))
	for name, got := range map[string]rptest.Reply{"after the password": reply, "with a session": again, "an error": w.Do(t, mustGet(t, w, w.Address(rptest.Front().Ask("none"))))} {
		if got.Status != http.StatusSeeOther || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Referrer-Policy") != "no-referrer" || got.Body != "" {
			t.Errorf("%s: %d %v %q", name, got.Status, got.Header, got.Body)
		}
		if strings.Contains(got.Header.Get("Location"), "password") {
			t.Errorf("%s: the password is in the address", name)
		}
	}
}

// TestNoOtherOriginReadsAnything asks as scripts of other origins do. Only what is public anyway may be read by them.
func TestNoOtherOriginReadsAnything(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	for path, public := range map[string]bool{
		"/oauth/jwks": true, "/.well-known/openid-configuration": true, "/.well-known/oauth-authorization-server": true,
		"/oauth/authorize": false, "/oauth/token": false, "/oauth/introspect": false, "/oauth/revoke": false, "/oauth/userinfo": false,
		"/oauth/logout": false, "/oauth/login": false, "/oauth/consent": false, "/healthz": false,
	} {
		for _, method := range []string{http.MethodOptions, http.MethodGet, http.MethodPost} {
			reply := w.Do(t, w.Request(t, method, path, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"))
			allowed := reply.Header.Get("Access-Control-Allow-Origin")
			if reply.Header.Get("Access-Control-Allow-Credentials") != "" || allowed != "" && (!public || allowed != "*") {
				t.Errorf("%s %s: Access-Control-Allow-Origin %q", method, path, allowed)
			}
		}
	}
}

// TestNativeAppsAreNotAuthorisedBehindOnesBack asks as any program on the device can, in the name of a native app that was
// allowed before (RFC 8252, 8.6).
func TestNativeAppsAreNotAuthorisedBehindOnesBack(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	w.LogIn(t, b, "alice", rptest.Native().Ask("openid"))
	for _, uri := range []string{"http://127.0.0.1:6666/callback", "http://[::1]:6666/callback", "com.example.app:/callback"} {
		a := rptest.Native().Ask("openid", "redirect_uri", uri)
		if page := w.Open(t, b, a); page.Form == nil || !page.Form.Fields["decision"] {
			t.Errorf("%s: nobody was asked: %d at %s", uri, page.Status, page.URL)
		}
		a = rptest.Native().Ask("openid", "redirect_uri", uri, "prompt", "none")
		if page := w.Open(t, b, a); page.URL.Query().Get("error") != "consent_required" {
			t.Errorf("%s, prompt none: %s", uri, page.URL)
		}
	}
	w.LogIn(t, b, "alice", rptest.Kiosk().Ask("openid", "prompt", "login")) // who signs in for it has acted: no second page
	if page := w.Open(t, b, rptest.Kiosk().Ask("openid")); page.Form == nil || !page.Form.Fields["decision"] {
		t.Errorf("an app whose consent is skipped: nobody was asked: %d at %s", page.Status, page.URL)
	}
}
