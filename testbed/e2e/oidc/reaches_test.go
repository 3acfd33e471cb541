package oidc

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// holding is what a person's login at web has led to: a family whose first refresh reference was used a moment ago, so
// that its answer is still kept, and a code that was not redeemed yet.
type holding struct {
	w             *rptest.World
	browser       *browser.Browser
	pending       rptest.Asking
	code          string
	first, second rptest.Tokens
}

const familyScope = "openid offline_access catalogue.read"

func hold(t *testing.T, w *rptest.World, login string) holding {
	t.Helper()
	h := holding{w: w, browser: w.Browser(t), pending: rptest.Web().Ask(familyScope)}
	h.first = w.TokensFor(t, h.browser, login, rptest.Web().Ask(familyScope))
	h.second = rptest.TokensOf(t, w.Refresh(t, rptest.Web(), h.first.Refresh))
	h.code = w.LogIn(t, h.browser, login, h.pending).Get("code")
	return h
}

// listed finds the operators' entry of the second access token.
func (h holding) listed(t *testing.T) rptest.Listed {
	t.Helper()
	reply := h.w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", h.second.Access))
	for _, l := range h.w.Alive(t, reply.Text("sub"), "web") {
		if l.JTI == reply.Text("jti") {
			return l
		}
	}
	t.Fatalf("the token is not in the operators' list: %s", reply.Body)
	return rptest.Listed{}
}

// paths walks every path on which a credential of the holding is honoured, and tells which of them are still open. What
// is looked at comes first; what consumes comes last.
func (h holding) paths(t *testing.T) map[string]bool {
	t.Helper()
	open := map[string]bool{}
	for name, access := range map[string]string{"first access": h.first.Access, "second access": h.second.Access} {
		for form, active := range h.w.Introspections(t, rptest.Gateway(), access) {
			open[name+" "+form] = active
		}
		open[name+" userinfo"] = opened(t, h.w.Userinfo(t, access), http.StatusUnauthorized, "invalid_token")
	}
	page := h.w.Open(t, h.browser, rptest.Web().Ask("openid", "prompt", "none"))
	if told := page.URL.Query().Get("error"); told != "" && told != "login_required" {
		t.Errorf("the cookie: %q", told)
	}
	open["cookie"] = page.URL.Query().Get("code") != ""
	open["kept answer"] = opened(t, h.w.Refresh(t, rptest.Web(), h.first.Refresh), http.StatusBadRequest, "invalid_grant")
	open["refresh"] = opened(t, h.w.Refresh(t, rptest.Web(), h.second.Refresh), http.StatusBadRequest, "invalid_grant")
	open["code"] = opened(t, h.w.Post(t, "/oauth/token", rptest.Web(), h.pending.Redemption(h.code)), http.StatusBadRequest, "invalid_grant")
	return open
}

func opened(t *testing.T, reply rptest.Reply, status int, code string) bool {
	t.Helper()
	if reply.Status == http.StatusOK {
		return true
	}
	reply.Refused(t, status, code)
	return false
}

// onlyClosed wants exactly these paths closed, where a name stands for all that begin with it.
func onlyClosed(t *testing.T, who string, open map[string]bool, closed []string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(open)) {
		want := !slices.ContainsFunc(closed, func(name string) bool { return strings.HasPrefix(path, name) })
		if open[path] != want {
			t.Errorf("%s: %s is open: %v, want %v", who, path, open[path], want)
		}
	}
}

// reach is one way to end something, and what it must end, of alice at web and of the same for bob.
type reach struct {
	name       string
	end        func(t *testing.T, h holding, l rptest.Listed)
	alice, bob []string // the paths it closes
	elsewhere  bool     // alice's token at another app, in the same login, ends as well
}

func admin(target func(h holding, l rptest.Listed) map[string]any) func(t *testing.T, h holding, l rptest.Listed) {
	return func(t *testing.T, h holding, l rptest.Listed) { h.w.Revoke(t, target(h, l)) }
}

func reaches() []reach {
	everything := []string{""}
	family := []string{"first access", "second access", "kept answer", "refresh"}
	allButCookie := append(slices.Clone(family), "code")
	return []reach{
		{"nothing", func(*testing.T, holding, rptest.Listed) {}, nil, nil, false}, // the control: all paths are open
		{"token", admin(func(h holding, _ rptest.Listed) map[string]any { return map[string]any{"token": h.second.Access} }), []string{"second access"}, nil, false},
		{"token by jti", admin(func(_ holding, l rptest.Listed) map[string]any { return map[string]any{"token": l.JTI} }), []string{"second access"}, nil, false},
		{"token by its owner", func(t *testing.T, h holding, _ rptest.Listed) {
			h.w.Post(t, "/oauth/revoke", rptest.Web(), rptest.Form("token", h.second.Access))
		}, []string{"second access"}, nil, false},
		{"grant", admin(func(_ holding, l rptest.Listed) map[string]any { return map[string]any{"grant": l.Grant} }), family, nil, false},
		{"refresh token", admin(func(h holding, _ rptest.Listed) map[string]any { return map[string]any{"token": h.second.Refresh} }), family, nil, false},
		{"consumed refresh token by its owner", func(t *testing.T, h holding, _ rptest.Listed) {
			h.w.Post(t, "/oauth/revoke", rptest.Web(), rptest.Form("token", h.first.Refresh))
		}, family, nil, false},
		{"session", admin(func(_ holding, l rptest.Listed) map[string]any { return map[string]any{"session": l.Session} }), everything, nil, true},
		{"user", admin(func(holding, rptest.Listed) map[string]any { return map[string]any{"user": "alice"} }), everything, nil, true},
		{"user by sub", admin(func(_ holding, l rptest.Listed) map[string]any { return map[string]any{"user": l.User} }), everything, nil, true},
		{"client", admin(func(holding, rptest.Listed) map[string]any { return map[string]any{"client": "web"} }), allButCookie, allButCookie, false},
		{"user+client", admin(func(holding, rptest.Listed) map[string]any { return map[string]any{"user": "alice", "client": "web"} }), allButCookie, nil, false},
		{"tenant", admin(func(holding, rptest.Listed) map[string]any { return map[string]any{"tenant": "default"} }), everything, everything, true},
		{"everything", admin(func(holding, rptest.Listed) map[string]any { return map[string]any{"everything": true} }), everything, everything, true},
	}
}

// TestEveryReachEndsEveryPath revokes by each reach and looks at every path at once, in the very next requests. The clock
// stands, so that nothing ends by itself and the grace of a refresh lasts. The build tag fault_births is its control.
func TestEveryReachEndsEveryPath(t *testing.T) {
	w := rptest.New(t, rptest.Options{Clock: rptest.NewClock()})
	for _, c := range reaches() {
		t.Run(c.name, func(t *testing.T) {
			alice, bob := hold(t, w, "alice"), hold(t, w, "bob")
			elsewhere := w.TokensFor(t, alice.browser, "alice", rptest.Other().Ask("openid offline_access catalogue.read"))
			machine := w.Machine(t, rptest.Job())
			c.end(t, alice, alice.listed(t))

			onlyClosed(t, "alice", alice.paths(t), c.alice)
			onlyClosed(t, "bob", bob.paths(t), c.bob)
			if active := w.Active(t, elsewhere.Access); active == c.elsewhere {
				t.Errorf("alice's token at another app is active: %v", active)
			}
			if active := w.Active(t, machine); active != (c.name != "tenant" && c.name != "everything") {
				t.Errorf("a machine's token is active: %v", active)
			}
			again := w.TokensFor(t, w.Browser(t), "alice", rptest.Web().Ask(familyScope))
			if !w.Active(t, again.Access) || w.Refresh(t, rptest.Web(), again.Refresh).Status != http.StatusOK {
				t.Error("a login after the revocation is revoked too")
			}
		})
	}
}

// TestNoDescendantOutlivesARevocation revokes while a client refreshes as fast as it can. Whatever it was
// given, before or after: once the revocation is answered, all of it is dead. The build tag fault_births is its control.
func TestNoDescendantOutlivesARevocation(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	for _, target := range []func(l rptest.Listed) map[string]any{
		func(l rptest.Listed) map[string]any { return map[string]any{"grant": l.Grant} },
		func(l rptest.Listed) map[string]any { return map[string]any{"session": l.Session} },
		func(rptest.Listed) map[string]any { return map[string]any{"user": "alice"} },
		func(rptest.Listed) map[string]any { return map[string]any{"client": "web"} },
		func(rptest.Listed) map[string]any { return map[string]any{"user": "alice", "client": "web"} },
		func(rptest.Listed) map[string]any { return map[string]any{"everything": true} },
	} {
		h := hold(t, w, "alice")
		body := target(h.listed(t))
		given := make(chan string, 10_000)
		var client sync.WaitGroup
		stop, started := make(chan struct{}), make(chan struct{}, 1)
		client.Go(func() {
			reference := h.second.Refresh
			for range cap(given) {
				select {
				case <-stop:
					return
				default:
				}
				reply := w.Refresh(t, rptest.Web(), reference)
				if reply.Status != http.StatusOK {
					return
				}
				given <- reply.Text("access_token")
				reference = reply.Text("refresh_token")
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
		<-started
		w.Revoke(t, body)
		close(stop)
		client.Wait()
		close(given)
		n := 0
		for access := range given {
			n++
			if w.Active(t, access) {
				t.Errorf("%v: a token that was refreshed meanwhile outlives it", body)
			}
		}
		if n == 0 {
			t.Errorf("%v: nothing was refreshed meanwhile", body)
		}
	}
}

// TestProtocolEndsTheFamily is what clients end without an operator: logout, a code used twice, a refresh reference used
// again after the grace.
func TestProtocolEndsTheFamily(t *testing.T) {
	clock := rptest.NewClock()
	w := rptest.New(t, rptest.Options{Clock: clock})
	t.Run("logout ends what is not offline", func(t *testing.T) {
		b := w.Browser(t)
		online := w.TokensFor(t, b, "alice", rptest.Web().Ask("openid catalogue.read"))
		offline := w.TokensFor(t, b, "alice", rptest.Web().Ask(familyScope))
		pending := rptest.Web().Ask("openid catalogue.read")
		code := w.LogIn(t, b, "alice", pending).Get("code")
		if _, err := b.Open(t.Context(), w.URL+"/oauth/logout?id_token_hint="+online.ID); err != nil {
			t.Fatal(err)
		}
		if w.Active(t, online.Access) || w.Userinfo(t, online.Access).Status != http.StatusUnauthorized {
			t.Error("an access token survives the logout")
		}
		w.Post(t, "/oauth/token", rptest.Web(), pending.Redemption(code)).Refused(t, http.StatusBadRequest, "invalid_grant")
		if !w.Active(t, offline.Access) || w.Refresh(t, rptest.Web(), offline.Refresh).Status != http.StatusOK {
			t.Error("an offline grant ended with the login")
		}
	})
	t.Run("a refresh reference again, after the grace", func(t *testing.T) {
		h := hold(t, w, "bob")
		clock.Advance(10*time.Second - time.Millisecond)
		if same := rptest.TokensOf(t, w.Refresh(t, rptest.Web(), h.first.Refresh)); same.Access != h.second.Access || same.Refresh != h.second.Refresh {
			t.Error("within the grace the answer is another one")
		}
		clock.Advance(time.Millisecond)
		w.Refresh(t, rptest.Web(), h.first.Refresh).Refused(t, http.StatusBadRequest, "invalid_grant")
		onlyClosed(t, "bob", h.paths(t), []string{"first access", "second access", "kept answer", "refresh"})
	})
}
