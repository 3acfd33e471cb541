package compose

import (
	"net/http"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/chromiumtest"
)

// TestCompose is one stack's life: its parts build upon one another, and each leaves it running.
func TestCompose(t *testing.T) {
	s := start(t)
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"Walk", s.walk},
		{"Refuses", s.refuses},
		{"Privileges", s.privileges},
		{"Secrets", s.secrets},
		{"Networks", s.networks},
		{"Docs", s.docs},
		{"Shop", s.shop},
		{"Revocation", s.revocation},
		{"Restarts", s.restarts},
		{"Logs", s.quiet},
		{"Again", s.again},
		{"LogsAgain", s.quiet},
	} {
		t.Run(part.name, part.test)
	}
}

// shop is a person at a browser: in, shopping, out.
func (s *stack) shop(t *testing.T) {
	p := chromiumtest.Open(t, chromiumtest.Start(t), chromiumtest.Desktop, "light", s.gateway+"/")
	s.signIn(p)
	p.Click("main", "Add")
	p.Sees("Added (1)")
	p.Click("nav", "Basket")
	p.Sees("1 × Midsummer Jazz on the Roof")
	p.Click("nav", "Account")
	p.Sees("Bob Bennett")
	p.Click("header", "Sign out")
	p.Awaits(`location.origin === ` + chromiumtest.Quote(s.issuer) + ` && document.readyState === "complete"`)
	p.Click("main", "Sign out")
	p.Sees("Sign in to see what is on.")

	s.signIn(p)
	p.Click("nav", "Account")
	p.Click("main", "Revoke me")
	p.Sees("Your session has ended")
}

// signIn signs bob in.
func (s *stack) signIn(p *chromiumtest.Tab) {
	p.T.Helper()
	p.Click("main", "Sign in")
	p.FillIn("bob", s.passwords["bob"])
	p.Sees("Midsummer Jazz on the Roof")
}

// restarts each part, the issuer by a kill: what was answered before still holds.
func (s *stack) restarts(t *testing.T) {
	p := chromiumtest.Open(t, chromiumtest.Start(t), chromiumtest.Desktop, "light", s.gateway+"/")
	s.signIn(p)
	alice, revoked := s.shopper(t, "alice"), s.shopper(t, "bob")
	s.phantomctl(t, "revoke", "--user", "bob", "--client", "mobile", "--wait")

	holds := func(after string) {
		t.Helper()
		if got := s.api(t, basketPath, alice, `{"event":"e1","quantity":1}`); got.status != http.StatusOK {
			t.Errorf("%s: alice's token: status %d: %s", after, got.status, got.body)
		}
		if got := s.api(t, events, revoked, ""); got.status != http.StatusUnauthorized {
			t.Errorf("%s: the revoked token: status %d", after, got.status)
		}
		if status := p.Eval(`fetch("/api/eventcatalog/events").then((r) => r.status)`); status != "200" {
			t.Errorf("%s: bob's cookies: status %s", after, status)
		}
	}
	holds("before")
	begun := time.Now()
	s.do(t, "kill", "issuer")
	s.do(t, "up", "--detach")
	s.awaitHealthy(t, "issuer", begun)
	holds("the issuer was killed")
	for _, service := range running {
		if service == "issuer" {
			continue
		}
		begun := time.Now()
		s.do(t, "restart", service)
		s.awaitHealthy(t, service, begun)
		holds(service + " restarted")
	}
}

// again takes all containers away and starts them anew from their volumes: the passwords are the same, and what was answered
// holds.
func (s *stack) again(t *testing.T) {
	alice, before := s.shopper(t, "alice"), s.passwords
	s.do(t, "down", "--timeout", "10")
	begun := time.Now()
	s.do(t, "up", "--detach")
	s.find(t)
	for _, service := range running {
		s.awaitHealthy(t, service, begun)
	}
	if got := s.api(t, events, alice, ""); got.status != http.StatusOK {
		t.Errorf("alice's token: status %d: %s", got.status, got.body)
	}
	s.learnPasswords(t)
	for name, password := range before {
		if s.passwords[name] != password {
			t.Errorf("%s has another password", name)
		}
	}
	s.walk(t)
}
