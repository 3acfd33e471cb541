package browser

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"

	"github.com/phantomgate/phantomgate/plugins/controltest"
	"github.com/phantomgate/phantomgate/testbed/chromiumtest"
	"github.com/phantomgate/phantomgate/testbed/race"
)

// signIn goes through the issuer's page as a person does.
func (p tab) signIn(user string) {
	p.T.Helper()
	p.Click("main", "Sign in")
	p.FillIn(user, user+"-demo")
	p.Sees("Midsummer Jazz on the Roof")
}

// status is what a call from the page itself is answered.
func (p tab) status(path string) string {
	p.T.Helper()
	return p.Eval(`fetch(` + chromiumtest.Quote(path) + `).then((r) => r.status)`)
}

// TestShop is the way of a customer, from the first visit to the last.
func TestShop(t *testing.T) {
	s := theShop(t)
	p := open(t, chromiumtest.Start(t), desktop, "light", s.url+"/")
	p.signIn("alice")
	if address := p.Eval(`location.href`); address != s.url+"/" {
		t.Errorf("the issuer's answer is still in the address bar: %s", address)
	}
	p.Sees("hit · 200")
	p.keep("shop-events", false)
	timing := p.Eval(`fetch("/api/eventcatalog/events").then((r) => r.headers.get("server-timing"))`)
	if !regexp.MustCompile(`^api;dur=[0-9.]+, gateway;desc=(hit|miss);dur=[0-9.]+$`).MatchString(timing) {
		t.Errorf("the gateway says of its work: %s", timing)
	}
	p.Click("main", "Add")
	p.Sees("Added (1)")
	p.Click("main", "Added (1)")
	p.Sees("Added (2)")
	p.Click("nav", "Basket")
	p.Sees("2 × Midsummer Jazz on the Roof")
	p.Sees("Discount of")
	p.Sees("discount.fullaccess")
	p.Sees(`{"sub":"shoppingbasket"}`)
	p.keep("shop-basket", true)
	p.Click("main", "To the checkout")
	p.Sees("nothing is charged")
	p.Click("nav", "Account")
	p.Sees("Alice Arendt")
	p.Click("nav", "Basket")
	p.Click("main", "Remove")
	p.Sees("Your basket is empty.")
	p.signOut(s)
	if status := p.status("/api/eventcatalog/events"); status != "401" {
		t.Errorf("after signing out: %s", status)
	}
	if left := p.cookies("demo"); len(left) != 0 {
		t.Errorf("after signing out there are still %v", left)
	}
}

// signOut leaves by the button, and says so to the issuer, should it ask.
func (p tab) signOut(s shop) {
	p.T.Helper()
	p.Click("header", "Sign out")
	p.Awaits(`location.origin === ` + chromiumtest.Quote(s.issuer) + ` && document.readyState === "complete"`)
	p.wellMadeControls("the issuer's logout")
	p.Click("main", "Sign out")
	p.Sees("Sign in to see what is on.")
}

// cookies are the browser's whose names begin with "__Host-<prefix>-".
func (p tab) cookies(prefix string) []*network.Cookie {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) (storage.GetCookiesResult, error) {
		return cdp.Call(ctx, target, storage.GetCookies, storage.GetCookiesParams{})
	})
	if err != nil {
		p.T.Fatal(err)
	}
	return slices.DeleteFunc(got.Cookies, func(c *network.Cookie) bool { return !strings.HasPrefix(c.Name, "__Host-"+prefix+"-") })
}

// TestCookies looks at what the browser has stored, which no script can read.
func TestCookies(t *testing.T) {
	s := theShop(t)
	p := open(t, chromiumtest.Start(t), phone, "light", s.url+"/")
	p.signIn("alice")
	var names []string
	size := 0
	for _, c := range p.cookies("demo") {
		names = append(names, c.Name)
		size += len(c.Name) + len(c.Value)
		if !c.Secure || !c.HTTPOnly || c.SameSite != network.CookieSameSiteStrict || c.Path != "/" || c.Domain != "localhost" || !c.Session {
			t.Errorf("%s is not as it must be: %+v", c.Name, flags(c))
		}
		if strings.Contains(c.Value, "pgat_") || strings.Contains(c.Value, "pgrt_") || strings.HasPrefix(c.Value, "eyJ") {
			t.Errorf("%s holds a token in the clear", c.Name)
		}
	}
	slices.Sort(names)
	if want := []string{"__Host-demo-at", "__Host-demo-csrf", "__Host-demo-id", "__Host-demo-rt"}; !slices.Equal(names, want) || size > 8192 {
		t.Errorf("cookies %v of %d bytes in all", names, size)
	}
	if readable := p.Eval(`document.cookie`); readable != "" {
		t.Errorf("a script can read %q", readable)
	}
	if kept := p.Eval(`localStorage.length + sessionStorage.length`); kept != "0" {
		t.Errorf("web storage holds %s entries", kept)
	}
}

// flags is a cookie without its value, for messages.
func flags(c *network.Cookie) network.Cookie {
	shown := *c
	shown.Value = "…"
	return shown
}

// TestTwoTabsRefresh lets two tabs renew the session at once, with one refresh token between them. Neither is thrown out.
// That they did use the same one is seen at the issuer, where both together made one new access token, not one each.
func TestTwoTabsRefresh(t *testing.T) {
	s := theShop(t)
	browser, one, two := s.twoTabs(t)
	for range 2 {
		before := s.alive(t, "alice")
		// Both begin when they hear of it, so that neither waits for the other's answer.
		go_ := `new Promise((done) => { const c = new BroadcastChannel("test-go"); c.onmessage = (e) => { if (e.data !== "go") return; c.close(); ` + renewal + `.then(done, (e) => done("failed: " + e.message)); }; c.postMessage("listening"); })`
		results := make(chan string, 2)
		ready := open(t, browser, phone, "light", s.url+"/shop/mark.svg")
		ready.Eval(`(window.heard = 0, window.c = new BroadcastChannel("test-go"), window.c.onmessage = () => { window.heard++; window.told?.(); }, 0)`)
		for _, p := range []tab{one, two} {
			go func() { results <- p.Eval(go_) }()
		}
		ready.Eval(`new Promise((done) => { window.told = () => window.heard === 2 && done(); window.told(); })`)
		ready.Eval(`window.c.postMessage("go")`)
		for range 2 {
			if result := <-results; result != "true" {
				t.Errorf("a refresh ended with %s", result)
			}
		}
		s.goOn(t, before, one, two)
	}
}

// TestTwoTabsRefreshApart: the issuer has answered the first tab before the second one begins, so no gateway can join the
// two. The first tab's answer comes late, and so the browser still has the old cookies. Neither tab is thrown out here either.
func TestTwoTabsRefreshApart(t *testing.T) {
	s := theShop(t)
	_, one, two := s.twoTabs(t)
	const late = 10 * time.Second
	one.lag(late)
	before := s.alive(t, "alice")
	first := make(chan string, 1)
	go func() { first <- one.Eval(renewal) }()
	for s.madeSince(t, before) == 0 {
		select {
		case result := <-first:
			t.Fatalf("the first tab's refresh ended with %s, and the issuer made nothing", result)
		default:
		}
	}
	if result := two.Eval(renewal); result != "true" {
		t.Errorf("the second tab's refresh ended with %s", result)
	}
	select {
	case <-first:
		t.Error("the second tab began too late: the first one had its answer")
	default:
	}
	if result := <-first; result != "true" {
		t.Errorf("the first tab's refresh ended with %s", result)
	}
	one.lag(0)
	s.goOn(t, before, one, two)
}

// twoTabs opens two tabs of one browser at alice's account, each of whose answers lags a second.
func (s shop) twoTabs(t *testing.T) (browser context.Context, one, two tab) {
	t.Helper()
	browser = chromiumtest.Start(t)
	one = open(t, browser, desktop, "light", s.url+"/")
	one.signIn("alice")
	two = open(t, browser, desktop, "light", s.url+"/#/account")
	two.Sees("Alice Arendt")
	one.Click("nav", "Account")
	one.Sees("Alice Arendt")
	one.lag(time.Second)
	two.lag(time.Second)
	return browser, one, two
}

// renewal is a tab's own refresh.
const renewal = `import("/shop/agent.js").then((a) => a.refresh())`

// goOn wants calls of these tabs to be answered, and alice to have one living access token that she had not before.
func (s shop) goOn(t *testing.T, before []string, tabs ...tab) {
	t.Helper()
	for _, p := range tabs {
		if status := p.status("/api/eventcatalog/events"); status != "200" {
			t.Errorf("afterwards a call is answered %s", status)
		}
	}
	if made := s.madeSince(t, before); made != 1 {
		t.Errorf("two tabs' refreshes made %d access tokens; want 1", made)
	}
}

// madeSince counts alice's living access tokens that are not among those. Others may have come to their end meanwhile.
func (s shop) madeSince(t *testing.T, before []string) (made int) {
	t.Helper()
	for _, jti := range s.alive(t, "alice") {
		if !slices.Contains(before, jti) {
			made++
		}
	}
	return made
}

// TestTwoTabsNeedTheGrace is the control: without the issuer's grace, the second tab is thrown out, and the first one with it.
func TestTwoTabsNeedTheGrace(t *testing.T) {
	chromiumtest.Binary(t)
	t.Setenv("GOFLAGS", race.BuildFlag)
	controltest.Run(t, []controltest.Control{{
		Fault: "no grace", File: "../../../authserver/internal/grants/refresh.go",
		Old: "const grace = 10 * time.Second", New: "const grace = 0 * time.Second", Test: "TestTwoTabsRefreshApart", In: ".",
		Says: "the second tab's refresh ended with ",
	}})
}

// lag keeps every answer from this tab for so long: what it sends meanwhile goes with the cookies it has.
func (p tab) lag(d time.Duration) {
	p.T.Helper()
	lag := network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{
		{Latency: float64(d.Milliseconds()), DownloadThroughput: -1, UploadThroughput: -1}}} // of every address
	p.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, network.EmulateNetworkConditionsByRule, lag)
		return err
	}))
}

// alive lists a user's living access tokens at the shop, as the operator sees them.
func (s shop) alive(t *testing.T, user string) (jtis []string) {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"operator"}, "client_secret": {"operator-demo-secret"}}
	var token struct {
		Access string `json:"access_token"`
	}
	answer, err := http.PostForm(s.issuer+"/oauth/token", form)
	read(t, answer, err, &token)
	for after := ""; ; {
		var page struct {
			Tokens []struct{ JTI string }
			Next   string
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.admin+"/admin/v1/tokens?client=spa&user="+user+"&after="+after, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token.Access)
		answer, err := http.DefaultClient.Do(request)
		read(t, answer, err, &page)
		for _, one := range page.Tokens {
			jtis = append(jtis, one.JTI)
		}
		if after = page.Next; after == "" {
			return jtis
		}
	}
}

// read decodes an answer that must be a success.
func read(t *testing.T, answer *http.Response, err error, into any) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %v", answer.StatusCode, err)
	}
}

// TestSignOutIsSeenElsewhere signs out in one tab, and another one says so by itself.
func TestSignOutIsSeenElsewhere(t *testing.T) {
	s := theShop(t)
	browser := chromiumtest.Start(t)
	one := open(t, browser, desktop, "dark", s.url+"/")
	one.signIn("alice")
	two := open(t, browser, phone, "dark", s.url+"/#/account")
	two.Sees("Alice Arendt")
	one.Click("header", "Sign out")
	two.Sees("You signed out in another tab.")
	if text := two.Text(); strings.Contains(text, "Alice") {
		t.Errorf("the other tab still shows whose account it was:\n%s", text)
	}
	two.wellMadeControls("signed out elsewhere")
	two.keep("shop-signed-out-elsewhere", false)
	if status := two.status("/api/eventcatalog/events"); status != "401" {
		t.Errorf("the other tab's call is answered %s", status)
	}
}

// TestRevokedMidUse presses "revoke me" in one browser, which ends the session there and in another browser.
func TestRevokedMidUse(t *testing.T) {
	s := theShop(t)
	one := open(t, chromiumtest.Start(t), desktop, "light", s.url+"/")
	one.signIn("alice")
	other := open(t, chromiumtest.Start(t), desktop, "light", s.url+"/")
	other.signIn("alice")
	bob := open(t, chromiumtest.Start(t), desktop, "light", s.url+"/")
	bob.signIn("bob")
	one.Click("nav", "Account")
	one.Click("main", "Revoke me")
	one.Sees("Your session has ended")
	one.Sees("refused · 401")
	one.wellMadeControls("revoked")
	one.keep("shop-revoked", false)
	if left := one.cookies("demo"); len(left) != 0 {
		t.Errorf("after the revocation there are still %d cookies", len(left))
	}
	other.Click("nav", "Basket")
	other.Sees("Your session has ended")
	if status := bob.status("/api/eventcatalog/events"); status != "200" {
		t.Errorf("bob, whom nobody revoked, is answered %s", status)
	}
	one.signIn("alice") // and may come back
}

// TestSignOutAtTheIssuer leaves at the issuer's own page, of which the shop is not told: the gateway hears of it by the feed.
func TestSignOutAtTheIssuer(t *testing.T) {
	s := theShop(t)
	browser := chromiumtest.Start(t)
	shop := open(t, browser, desktop, "light", s.url+"/")
	shop.signIn("alice")
	issuer := open(t, browser, phone, "light", s.issuer+"/oauth/logout")
	issuer.Click("main", "Sign out")
	issuer.Awaits(`!document.querySelector("main button")`)
	for deadline := time.Now().Add(patience); shop.status("/api/eventcatalog/events") != "401"; {
		if time.Now().After(deadline) {
			t.Fatal("the shop's session goes on after its login has ended")
		}
	}
	shop.Click("nav", "Basket")
	shop.Sees("Your session has ended")
	if left := shop.cookies("demo"); len(left) != 0 {
		t.Errorf("there are still %d cookies", len(left))
	}
}

// TestConsent is somebody else's application: the issuer's page asks, and a no goes back to it.
func TestConsent(t *testing.T) {
	s := theShop(t)
	address := serve(t, page("came back"))
	callback := "http://127.0.0.1" + strings.TrimPrefix(address, "localhost") + "/callback"
	p := open(t, chromiumtest.Start(t), phone, "light", s.issuer+"/oauth/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"partner"}, "redirect_uri": {callback}, "scope": {"openid eventcatalog.read"}, "state": {"s"},
		"code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"},
	}.Encode())
	p.FillIn("bob", "bob-demo")
	p.Sees("Allow Partner Travel?")
	p.wellMadeControls("the issuer's question")
	p.keep("issuer-consent", false)
	p.Click("main", "Deny")
	p.Sees("came back")
	if query := p.Eval(`location.search`); !strings.Contains(query, "error=access_denied") || strings.Contains(query, "code=") {
		t.Errorf("it came back with %s", query)
	}
}
