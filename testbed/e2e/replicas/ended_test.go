package replicas

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// TestIssuerEndsTheSessionAtEveryReplica: whatever ends a session at the issuer, every replica refuses its cookies, though each
// has its token in its cache for minutes. They hear it by the revocation feed: one that was cut off from it, and is told to
// believe its cache for minutes, goes on (the control). That the session has ended the app learns from the refresh.
func TestIssuerEndsTheSessionAtEveryReplica(t *testing.T) {
	for name, c := range map[string]struct {
		end func(w *rptest.World, a *app, r *replica)
		// the session goes on, only the access token has ended
		refreshes bool
	}{
		"the person logs out at the issuer": {func(w *rptest.World, a *app, _ *replica) {
			page, err := a.person.Open(a.t.Context(), w.URL+"/oauth/logout?"+url.Values{"client_id": {"spa"}}.Encode())
			if err != nil {
				a.t.Fatal(err)
			}
			rptest.Submit(a.t, a.person, page, "decision", "leave")
		}, false},
		"the app logs out at one replica": {func(_ *rptest.World, a *app, r *replica) {
			if answer := a.tab().post(r, "/logout", ""); answer.Code != http.StatusOK {
				a.t.Fatal(answer.Code, answer.Body)
			}
		}, false},
		"an operator revokes the session": {func(w *rptest.World, a *app, _ *replica) {
			w.Revoke(a.t, map[string]any{"session": w.Alive(a.t, "alice", "spa")[0].Session})
		}, false},
		"an operator revokes the grant": {func(w *rptest.World, a *app, _ *replica) {
			w.Revoke(a.t, map[string]any{"grant": w.Alive(a.t, "alice", "spa")[0].Grant})
		}, false},
		"an operator revokes the user": {func(w *rptest.World, a *app, _ *replica) {
			w.Revoke(a.t, map[string]any{"user": "alice"})
		}, false},
		"an operator revokes the access token": {func(w *rptest.World, a *app, _ *replica) {
			w.Revoke(a.t, map[string]any{"token": w.Alive(a.t, "alice", "spa")[0].JTI})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := rptest.New(t, rptest.Options{})
			cut := &link{down: make(chan struct{})}
			east, west, deaf := newReplica(t, w, nil), newReplica(t, w, nil), newReplica(t, w, cut)
			a := logIn(t, w, east)
			for _, r := range []*replica{east, west, deaf} {
				a.caches(r)
			}
			cut.cut()
			c.end(w, a, east)
			for _, r := range []*replica{west, east} {
				a.refusedBy(r)
			}
			if answer := a.tab().api(deaf); answer.Code != http.StatusOK {
				t.Errorf("the control: a replica that is cut off from the feed answers %d %s", answer.Code, answer.Body)
			}
			for _, r := range []*replica{west, east} {
				tab := a.tab()
				answer := tab.post(r, "/refresh", "")
				switch ended := answer.Code == http.StatusUnauthorized && strings.Contains(answer.Body.String(), "session_expired"); {
				case c.refreshes && (answer.Code != http.StatusNoContent || tab.api(r).Code != http.StatusOK):
					t.Errorf("the session should go on; the refresh is answered %d %s", answer.Code, answer.Body)
				case !c.refreshes && (!ended || len(tab.cookies) > 0):
					t.Errorf("the refresh is answered %d %s and leaves %d cookies", answer.Code, answer.Body, len(tab.cookies))
				}
			}
		})
	}
}

// refusedBy waits until a replica refuses the app's cookies.
func (a *app) refusedBy(r *replica) {
	a.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		answer := a.tab().api(r)
		switch {
		case answer.Code == http.StatusUnauthorized:
			return
		case answer.Code != http.StatusOK:
			a.t.Fatalf("the replica answers %d %s", answer.Code, answer.Body)
		}
		select {
		case <-tick.C:
		case <-limit:
			a.t.Fatal("the replica still takes the cookies of a session that has ended")
		}
	}
}

// link is a replica's way to the issuer. Once it is cut, nothing of the revocation feed comes through.
type link struct {
	down  chan struct{} // closed when it is cut
	polls sync.RWMutex  // read while one is under way
}

// cut cuts the feed off and returns when no poll is under way any more.
func (l *link) cut() {
	close(l.down)
	l.polls.Lock()
	defer l.polls.Unlock()
}

// RoundTrip does what http.RoundTripper says.
func (l *link) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.Contains(req.URL.Path, "/ssf/") {
		return http.DefaultTransport.RoundTrip(req)
	}
	l.polls.RLock()
	defer l.polls.RUnlock()
	ctx, cancel := context.WithCancel(req.Context())
	select {
	case <-l.down:
		cancel()
		return nil, errors.New("the link is cut")
	default:
	}
	go func() {
		defer cancel()
		select {
		case <-l.down:
		case <-req.Context().Done():
		}
	}()
	return http.DefaultTransport.RoundTrip(req.WithContext(ctx))
}
