package attack

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// TestNoAnswerIsOlderThanTheRevocation asks about a token from many sides while it is revoked: a question that is asked
// after the revocation was answered is never answered with "active".
func TestNoAnswerIsOlderThanTheRevocation(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	for _, kind := range []string{"token", "user", "client", "tenant", "everything"} {
		tokens := w.TokensFor(t, w.Browser(t), "alice", rptest.Web().Ask("openid catalogue.read"))
		target := map[string]map[string]any{"token": {"token": tokens.Access}, "user": {"user": "alice"}, "client": {"client": "web"},
			"tenant": {"tenant": "default"}, "everything": {"everything": true}}[kind]
		var answered, done atomic.Bool
		var before, after, stale atomic.Int64
		asked := make(chan struct{}, 1)
		var askers sync.WaitGroup
		for i := range 4 {
			askers.Go(func() {
				for !done.Load() {
					late := answered.Load()
					active := w.Active(t, tokens.Access)
					if i%2 == 1 {
						active = w.Userinfo(t, tokens.Access).Status == http.StatusOK
					}
					switch {
					case late && active:
						stale.Add(1)
					case late:
						after.Add(1)
					case active:
						before.Add(1)
					}
					select {
					case asked <- struct{}{}:
					default:
					}
				}
			})
		}
		for range 8 {
			<-asked
		}
		w.Revoke(t, target)
		answered.Store(true)
		for after.Load()+stale.Load() < 20 {
			<-asked
		}
		done.Store(true)
		askers.Wait()
		if stale.Load() != 0 || before.Load() == 0 {
			t.Errorf("%s: %d answers before it, %d active answers after it", kind, before.Load(), stale.Load())
		}
	}
}

// TestNothingSlipsThroughALogout has an app log in silently, over and over, while the person signs out: whatever it was
// given, none of it lives once the logout was answered.
func TestNothingSlipsThroughALogout(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	plain := w.HTTP
	for range 10 {
		client, _ := jarOf(t, w)
		w.HTTP = client
		front := rptest.Front()
		ticket := ticketOf(t, w.Do(t, mustGet(t, w, w.Address(front.Ask("openid catalogue.read")))))
		w.Post(t, "/oauth/login", rptest.App{}, rptest.Form("ticket", ticket, "login", "alice", "password", rptest.Password("alice")))
		first, code := silently(t, w, front)
		if code == "" {
			t.Fatal("no silent login")
		}
		id := rptest.TokensOf(t, w.Post(t, "/oauth/token", front, first.Redemption(code))).ID

		var mu sync.Mutex
		var given []string
		started := make(chan struct{}, 1)
		var apps sync.WaitGroup
		for range 3 {
			apps.Go(func() {
				for {
					a, code := silently(t, w, front)
					if code == "" {
						return
					}
					if got := w.Post(t, "/oauth/token", front, a.Redemption(code)); got.Status == http.StatusOK {
						mu.Lock()
						given = append(given, got.Text("access_token"))
						mu.Unlock()
						select {
						case started <- struct{}{}:
						default:
						}
					}
				}
			})
		}
		<-started
		bye := w.Get(t, "/oauth/logout?"+rptest.Form("id_token_hint", id).Encode())
		apps.Wait() // the cookie is gone, and with it the silent logins
		w.HTTP = plain
		if bye.Status != http.StatusOK {
			t.Fatalf("logout: %d %s", bye.Status, bye.Body)
		}
		for _, access := range given {
			if w.Active(t, access) {
				t.Error("a token outlives the login that it came from")
			}
		}
	}
}

// silently asks with prompt none, and gives the code if there is one.
func silently(t *testing.T, w *rptest.World, app rptest.App) (rptest.Asking, string) {
	t.Helper()
	a := app.Ask("openid catalogue.read", "prompt", "none")
	to, err := url.Parse(w.Do(t, mustGet(t, w, w.Address(a))).Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return a, to.Query().Get("code")
}
