package authorize_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/sessions"
)

// TestLoginCSRF: a form that an attacker has fetched with a browser of theirs is worth nothing in the victim's, which
// would else be signed in as the attacker and fill the attacker's account.
func TestLoginCSRF(t *testing.T) {
	g := newRig(t)
	attacker, victim := g.browser(), g.browser()
	victim.get("/oauth/authorize", good())
	page := attacker.get("/oauth/authorize", good())
	if got := victim.signIn(page, "bob"); got.StatusCode != 400 || got.heading() != "This page is no longer valid" {
		t.Fatalf("LOGIN CSRF: the victim's browser posted the attacker's form and was answered %d %q", got.StatusCode, got.heading())
	}
	bare := g.browser() // one that has no cookie at all
	if got := bare.signIn(page, "bob"); got.StatusCode != 400 {
		t.Fatalf("LOGIN CSRF: a browser without the cookie was answered %d", got.StatusCode)
	}
	consent := attacker.signIn(page, "bob")
	if got := victim.decide(consent, "allow"); got.StatusCode != 400 {
		t.Fatalf("the victim's browser posted the attacker's consent and was answered %d", got.StatusCode)
	}
}

func TestFormsAreOurOwn(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	page := b.get("/oauth/authorize", good())
	form := url.Values{"ticket": {page.ticket(t)}, "login": {"alice"}, "password": {"alice-demo"}}
	for name, headers := range map[string][]string{
		"another site":      {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		"a sibling":         {"Sec-Fetch-Site", "same-site", "Origin", "https://evil.example"},
		"an older browser":  {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"a sandboxed frame": {"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		for _, path := range []string{"/oauth/login", "/oauth/consent"} {
			if got := b.post(path, form, headers...); got.StatusCode != 403 {
				t.Errorf("%s: %s answers %d", path, name, got.StatusCode)
			}
		}
	}
	if got := b.post("/oauth/login", form, "Sec-Fetch-Site", "", "Origin", issuer); got.heading() != "Allow Partner Tickets?" {
		t.Errorf("an older browser at our own page: %d %q", got.StatusCode, got.heading())
	}
}

func TestTicketsAreForOnePage(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	page := b.get("/oauth/authorize", good())
	ticket := page.ticket(t)
	flipped := []byte(ticket)
	flipped[len(flipped)/2] ^= 1
	for name, c := range map[string]struct{ path, ticket string }{
		"the login's at consent": {"/oauth/consent", ticket},
		"the login's at logout":  {"/oauth/logout/confirm", ticket},
		"altered":                {"/oauth/login", string(flipped)},
		"none":                   {"/oauth/login", ""},
		"nonsense":               {"/oauth/login", "!"},
	} {
		got := b.post(c.path, url.Values{"ticket": {c.ticket}, "decision": {"allow"}, "login": {"alice"}, "password": {"alice-demo"}})
		if got.StatusCode != 400 || got.Header.Get("Location") != "" {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	g.pass(sessions.TicketLife - time.Second)
	consent := b.signIn(page, "alice")
	if consent.heading() != "Allow Partner Tickets?" {
		t.Errorf("shortly before its end: %d %q", consent.StatusCode, consent.heading())
	}
	if got := b.post("/oauth/login", url.Values{"ticket": {consent.ticket(t)}, "login": {"alice"}, "password": {"alice-demo"}}); got.StatusCode != 400 {
		t.Errorf("the consent's at login: %d", got.StatusCode)
	}
	g.pass(time.Second)
	if got := b.signIn(page, "alice"); got.StatusCode != 400 {
		t.Errorf("after its end: %d", got.StatusCode)
	}
}

// TestFixation: a session cookie that was in the browser before the login is not the login's.
func TestFixation(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	cookies := map[string]bool{}
	for range 3 {
		page := b.get("/oauth/authorize", good("prompt", "login"))
		answer := b.signIn(page, "alice")
		for _, c := range answer.Cookies() {
			if c.Name != sessions.CookieName {
				continue
			}
			if cookies[c.Value] {
				t.Fatal("two logins have one cookie")
			}
			cookies[c.Value] = true
			if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite == 0 || c.MaxAge != 0 || !strings.HasPrefix(c.Name, "__Host-") {
				t.Errorf("the cookie is %v", c)
			}
		}
	}
	if len(cookies) != 3 {
		t.Fatalf("3 logins gave %d cookies", len(cookies))
	}
}

// TestTwoTabs: the second page does not make the first one stale.
func TestTwoTabs(t *testing.T) {
	g := newRig(t)
	b := g.browser()
	first, second := b.get("/oauth/authorize", good("state", "1")), b.get("/oauth/authorize", good("state", "2"))
	b.decide(b.signIn(second, "alice"), "allow").redirected(t, partnerBack)
	if back := b.signIn(first, "alice").redirected(t, partnerBack); back.Get("state") != "1" || back.Get("code") == "" {
		t.Errorf("the first tab's answer is %v", back)
	}
}

// TestControls builds this package with one protection taken out at a time, and sees the test of it fail.
func TestControls(t *testing.T) {
	if os.Getenv("PHANTOMGATE_CONTROL") != "" {
		return // this is such a build
	}
	for name, c := range map[string]struct{ file, with, without, test, says string }{
		"the browser's binding": {"../../sessions/tickets.go",
			`return hex.EncodeToString(hash(browser)) + " " + tenant`, `return hex.EncodeToString(hash("")) + " " + tenant`,
			"TestLoginCSRF", "LOGIN CSRF"},
		"generations before the password": {"login.go",
			"	if err != nil {\n		h.loginFailed(v, name, err)\n		return\n	}\n",
			"	if err != nil {\n		h.loginFailed(v, name, err)\n		return\n	}\n	births, _ = h.Store.Generations(r.Context(), h.Tenant, v.client.ID, known.Subject)\n",
			"TestRevocationOvertakes", "OVERTAKEN"},
		"generations before the consent": {"authorize.go",
			"	v.births.Client, v.births.UserClient = client, own.UserClient\n",
			"	v.births = own\n	_ = client\n",
			"TestSessionBirthsAreKept", "NEWER BIRTHS"},
	} {
		t.Run(name, func(t *testing.T) {
			out := runWithout(t, c.file, c.with, c.without, c.test)
			if !strings.Contains(out, c.says) || !strings.Contains(out, "--- FAIL: "+c.test) {
				t.Errorf("without the protection %s does not fail with %q:\n%s", c.test, c.says, out)
			}
		})
	}
}

// runWithout runs one test in a build in which a piece of a file is replaced, and gives what it prints.
func runWithout(t *testing.T, file, with, without, test string) string {
	t.Helper()
	path, err := filepath.Abs(file)
	check(t, err)
	source, err := os.ReadFile(path)
	check(t, err)
	if !bytes.Contains(source, []byte(with)) {
		t.Fatalf("%s has no %q any more: this control controls nothing", file, with)
	}
	changed := filepath.Join(t.TempDir(), filepath.Base(file))
	check(t, os.WriteFile(changed, bytes.Replace(source, []byte(with), []byte(without), 1), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	check(t, err)
	list := filepath.Join(t.TempDir(), "overlay.json")
	check(t, os.WriteFile(list, overlay, 0o600))
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", list, "-count=1", "-run", "^"+test+"$", ".")
	cmd.Env = append(os.Environ(), "PHANTOMGATE_CONTROL=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "it passes"
	}
	return string(out)
}
