package caddy_test

import (
	"encoding/json"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	phantomcaddy "github.com/phantomgate/phantomgate/plugins/caddy"
	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

const reloads = 100

// TestReloads: what a config held has ended when the next has taken over.
func TestReloads(t *testing.T) {
	if left, stacks := goroutinesLeft(t, server{handler: "phantom_token"}, 20*time.Second); left > 0 {
		t.Errorf("%d reloads left %d goroutines:\n%s", reloads, left, stacks)
	}
}

// TestReloadsEndTheFeed: nor does a config leave anything of the feed it heard, at the issuer either.
func TestReloadsEndTheFeed(t *testing.T) {
	if left, stacks := goroutinesLeft(t, server{handler: "phantom_token", hears: true}, 20*time.Second); left > 0 {
		t.Errorf("%d reloads left %d goroutines:\n%s", reloads, left, stacks)
	}
}

// TestLookingMakesNoStream: a config that is only looked at (caddy validate) asks the issuer for nothing.
func TestLookingMakesNoStream(t *testing.T) {
	w := &plugintest.Walk{T: t, Issuer: plugintest.NewIssuer(t), Upstream: plugintest.NewUpstream(t)}
	suite := plugintest.NewConfig(w.Issuer.URL)
	delete(suite.Issuer, "noFeed")
	document := server{}.config(t, suite.JSON(t), freeAddress(t), w.Upstream.URL, filepath.Join(t.TempDir(), "log"))
	for range 20 { // a stream that was begun is likely, not certain, to be made before it ends again
		var c caddy.Config // which Caddy empties
		if err := json.Unmarshal(document, &c); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&c); err != nil {
			t.Fatal(err)
		}
	}
	if made := w.Issuer.FeedStreamsMade(); made != 0 {
		t.Fatalf("validating a config made %d streams", made)
	}
	restart(w, server{hears: true})
	w.Passed(w.Get(plugintest.Events, w.Issuer.GrantScopes("eventcatalog.read")))
	hears(t, w.Issuer)
}

// hears waits until the gateway hears the feed.
func hears(t *testing.T, issuer *plugintest.Issuer) {
	t.Helper()
	for late := time.After(time.Minute); !issuer.FeedHeard(); runtime.Gosched() {
		select {
		case <-late:
			t.Fatal("the gateway never heard the feed")
		default:
		}
	}
}

// TestReloadsControl sees the count above rise when a handler does not clean up.
func TestReloadsControl(t *testing.T) {
	caddy.RegisterModule(leaky{})
	if left, _ := goroutinesLeft(t, server{handler: "phantom_token_leaky"}, 5*time.Second); left < reloads {
		t.Errorf("%d reloads of a handler without Cleanup left only %d goroutines", reloads, left)
	}
}

// leaky is a phantom_token that keeps what it holds.
type leaky struct{ *phantomcaddy.Handler }

func (leaky) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.phantom_token_leaky",
		New: func() caddy.Module { return &leaky{new(phantomcaddy.Handler)} }}
}

func (leaky) Cleanup() error { return nil }

// goroutinesLeft reloads Caddy with handler and counts the goroutines that were not there after the first load. It
// waits until they are gone, and the streams at the issuer with them, for connections and servers take a moment to end.
func goroutinesLeft(t *testing.T, s server, patience time.Duration) (left int, stacks string) {
	s.noKeepAlive = true
	w := walk(t, s)
	pass := func() { w.Passed(w.Get(plugintest.Events, w.Issuer.GrantScopes("eventcatalog.read"))) }
	pass()
	if s.hears {
		hears(t, w.Issuer) // or what that takes would be too many later
	}
	before, _ := goroutines()
	for range reloads {
		restart(w, s)
		pass()
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		now, all := goroutines()
		if left, stacks = now-before, all; left <= 0 && w.Issuer.FeedStreams() <= 1 {
			break
		}
	}
	if n := w.Issuer.FeedStreams(); n > 1 {
		t.Errorf("%d streams are left at the issuer", n)
	}
	return left, stacks
}

func goroutines() (n int, stacks string) {
	all := make([]byte, 8<<20)
	stacks = string(all[:runtime.Stack(all, true)])
	return strings.Count(stacks, "created by "), stacks
}
