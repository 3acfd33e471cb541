package browser

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/phantomgate/phantomgate/testbed/chromiumtest"
)

const (
	eventsCall  = "GET /api/eventcatalog/events"
	refreshCall = "POST /oauth-agent/refresh"
)

// TestPage goes through the shop against the stand-in.
func TestPage(t *testing.T) {
	browser := chromiumtest.Start(t)
	s := newStandIn(t)
	p := open(t, browser, desktop, "light", s.url+"/")
	p.Sees("Tickets for twelve evenings")
	p.Click("main", "Sign in")
	p.Sees("Midsummer Jazz on the Roof")
	if address := p.Eval(`location.href`); address != s.url+"/" {
		t.Errorf("the issuer's answer is still in the address bar: %s", address)
	}
	p.Sees("<img src=x onerror=alert(1)>") // as text
	p.Click("main", "Add")
	p.Sees("Added (")
	p.Click("nav", "Basket")
	p.Sees("€81.00")
	p.Click("main", "To the checkout")
	p.Sees("nothing is charged")
	p.Click("nav", "Account")
	p.Sees("Alice Arendt")
	p.Sees("43 µs") // 0.241 ms - 0.198 ms
	p.Click("header", "Sign out")
	p.Sees("Sign in to see what is on.")
}

// TestRefusedOnce lets an API refuse for ever although the session goes on: the page refreshes and tries once more, no
// oftener.
func TestRefusedOnce(t *testing.T) {
	browser := chromiumtest.Start(t)
	s := newStandIn(t)
	s.set(401, eventsCall)
	p := open(t, browser, desktop, "light", s.url+"/?code=c&state=s")
	p.Sees("The gateway refuses this session. Sign in again.")
	if tries, refreshes := s.count(eventsCall), s.count(refreshCall); tries != 2 || refreshes != 1 {
		t.Errorf("%d tries and %d refreshes", tries, refreshes)
	}
	s.set(503, eventsCall)
	p.Do(chromedp.Reload())
	p.Sees("The issuer is not available. Wait a moment, then try again.")
	p.wellMadeControls("a view that failed")
	if refreshes := s.count(refreshCall); refreshes != 1 {
		t.Errorf("a 503 was followed by a refresh")
	}
	s.set(0, eventsCall)
	p.Click("main", "Try again")
	p.Sees("Midsummer Jazz on the Roof")
}

// TestLoginFails shows a login that the agent does not take, with the next step.
func TestLoginFails(t *testing.T) {
	browser := chromiumtest.Start(t)
	s := newStandIn(t)
	s.set(400, "POST /oauth-agent/login/end")
	p := open(t, browser, phone, "light", s.url+"/?code=c&state=other")
	p.Sees("That did not work")
	if address := p.Eval(`location.search`); address != "" {
		t.Errorf("a code is left in the address bar: %s", address)
	}
}

// TestKeyboard goes through the shop with Tab and Enter alone, and sees at each step where it is.
func TestKeyboard(t *testing.T) {
	s := newStandIn(t)
	p := open(t, chromiumtest.Start(t), desktop, "light", s.url+"/")
	p.Sees("Tickets for twelve evenings")
	press := func(label string) {
		t.Helper()
		var passed []string
		for range 40 {
			p.Do(chromedp.KeyEvent("\t"))
			at := p.Eval(`document.activeElement.ariaLabel || document.activeElement.innerText`)
			if p.Eval(`document.activeElement === document.body`) == "true" {
				continue // past the last one, on the way to the first
			}
			if outline := p.Eval(`getComputedStyle(document.activeElement).outlineStyle`); outline != "solid" {
				t.Errorf("it is not seen that %q has the focus: outline %s", at, outline)
			}
			if at == label {
				p.Do(chromedp.KeyEvent("\r"))
				return
			}
			passed = append(passed, at)
		}
		t.Fatalf("Tab never came to %q, but to %q", label, passed)
	}
	press("Skip to the shop")
	press("Sign in")
	p.Sees("Midsummer Jazz on the Roof")
	press("Add Midsummer Jazz on the Roof to your basket")
	p.Sees("Added (")
	press("Basket")
	p.Sees("Your basket")
	press("Skip to the shop") // and the basket is still there
	press("To the checkout")
	p.Sees("nothing is charged")
	press("Sign out")
	p.Sees("Sign in to see what is on.")
}

// TestLooks keeps what the views look like, to be looked at: nothing is wider than the screen.
func TestLooks(t *testing.T) {
	browser := chromiumtest.Start(t)
	s := newStandIn(t)
	for _, screen := range []chromiumtest.Size{phone, desktop} {
		for _, scheme := range []string{"light", "dark"} {
			name := screen.Name + "-" + scheme + "-"
			p := open(t, browser, screen, scheme, s.url+"/")
			p.Sees("Tickets for twelve evenings")
			p.wellMadeControls(name + "welcome")
			p.keep(name+"welcome", false)
			p.Click("main", "Sign in")
			p.Sees("Midsummer Jazz")
			p.wellMadeControls(name + "events")
			p.keep(name+"events", false)
			p.Click("main", "Add")
			p.Sees("Added (")
			p.wellMadeControls(name + "events, one added")
			p.keep(name+"added", false)
			p.Eval(`document.getElementById('panel').open = true`)
			for _, view := range []string{"Basket", "Checkout", "Account"} {
				p.Click("nav", view)
				p.Awaits(`document.querySelector('nav [aria-current]').textContent === '` + view + `' && document.querySelector('main').ariaBusy === 'false'`)
				if p.Eval(`document.documentElement.scrollWidth > innerWidth`) != "false" {
					t.Errorf("%s%s is wider than the screen", name, view)
				}
				p.wellMadeControls(name + view)
				p.keep(name+view, true)
			}
			p.Click("main", "Renew now")
			p.Sees("Renewed ✓")
			p.wellMadeControls(name + "Account, renewed")
			p.Click("header", "Sign out")
			p.Sees("Sign in to see what is on.")
		}
	}
}
