package consistency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

const (
	cacheAge  = time.Minute     // of the machine's gateway
	staleness = 5 * time.Second // its max_staleness
)

// machine is one gateway before an issuer that does what it is told, and what a model knows of both.
type machine struct {
	t       *testing.T
	issuer  *plugintest.Issuer
	way     *way
	config  gateway.Config
	gateway *gateway.Gateway
	ahead   atomic.Int64 // of the gateway's clock, in nanoseconds

	tokens  []*known
	down    bool
	silence chan struct{} // the feed is cut off until it is closed; nil: it is heard
	since   time.Time     // by the gateway's clock, when the feed was last heard at the latest, while it is not
}

// known is a token as the model knows it.
type known struct {
	reference, user string
	alive           bool
	untold          bool      // it was revoked since the gateway last heard the feed
	cached          bool      // the gateway may have it
	at              time.Time // since when, at the earliest; zero: nobody can say
}

// TestCacheMachine has rapid lead a gateway through tokens, requests, revocations and everything that befalls a feed, and holds
// every answer against the model.
func TestCacheMachine(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := newMachine(t)
		defer m.end()
		r.Repeat(map[string]func(*rapid.T){
			"issue":          m.issue,
			"ask":            func(r *rapid.T) { m.ask(r, m.draw(r)) },
			"ask again":      m.askTwice,
			"revoke":         m.revoke,
			"revoke a user":  m.revokeUser,
			"overtake":       m.overtake,
			"time passes":    m.pass,
			"cut off":        m.cutOff,
			"heal":           m.heal,
			"issuer down":    m.goDown,
			"issuer up":      m.comeUp,
			"restart":        m.restart,
			"something else": m.forget,
		})
		m.heal(nil)
		m.comeUp(nil)
		for _, k := range m.tokens {
			m.ask(r, k)
		}
	})
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, issuer: plugintest.NewIssuer(t), way: &way{network: &http.Transport{}}}
	m.way.open()
	suite := plugintest.NewConfig(m.issuer.URL)
	delete(suite.Issuer, "noFeed")
	suite.Cache = map[string]any{"maxAge": cacheAge.String(), "maxStaleness": staleness.String()}
	var err error
	if m.config, err = gateway.Parse(suite.JSON(t)); err != nil {
		t.Fatal(err)
	}
	m.start()
	return m
}

func (m *machine) now() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) }

// start starts the gateway and waits until it hears the feed, if there is one to be heard.
func (m *machine) start() {
	m.t.Helper()
	var err error
	if m.gateway, err = gateway.New(m.config, gateway.Options{Logger: slog.New(slog.DiscardHandler), Transport: m.way, Now: m.now}); err != nil {
		m.t.Fatal(err)
	}
	m.settle()
}

func (m *machine) end() {
	m.mend()
	if err := m.gateway.Close(); err != nil {
		m.t.Error(err)
	}
	m.issuer.Down()
	m.way.network.CloseIdleConnections()
}

// way leads to the issuer, and can be closed as if nobody listened there. (One that gave up its port might not get it again.)
type way struct {
	network *http.Transport

	mu    sync.Mutex
	ctx   context.Context // ends when the way is closed
	close func()
}

func (w *way) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.close = context.WithCancel(context.Background())
}

// RoundTrip sends a request. One that is under way when the way is closed breaks.
func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	opened := w.ctx
	w.mu.Unlock()
	if opened.Err() != nil {
		return nil, errors.New("nobody listens there")
	}
	ctx, cancel := context.WithCancel(r.Context())
	context.AfterFunc(opened, cancel)
	resp, err := w.network.RoundTrip(r.WithContext(ctx))
	if err != nil && opened.Err() != nil {
		return nil, errors.New("the connection broke")
	}
	return resp, err
}

func (m *machine) heard() bool { return m.silence == nil && !m.down }

// settle waits until the gateway has dealt with an answer of after now, and with everything that the issuer has to tell.
func (m *machine) settle() {
	m.t.Helper()
	if !m.heard() {
		return
	}
	polls := m.issuer.FeedPolls()
	eventually(m.t, "the gateway has heard the feed", func() bool { return m.issuer.FeedHeard() && m.issuer.FeedPolls() >= polls+2 })
	m.told()
}

// told waits until the gateway has applied all events, if it hears the feed. Then nothing is untold.
func (m *machine) told() {
	m.t.Helper()
	if !m.heard() {
		return
	}
	eventually(m.t, "the gateway has applied everything", m.issuer.FeedApplied)
	for _, k := range m.tokens {
		k.untold = false
		k.cached = k.cached && k.alive
	}
}

// eventually waits for what a test cannot be told of.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}

func (m *machine) draw(r *rapid.T) *known {
	if len(m.tokens) == 0 {
		r.Skip("there is no token yet")
	}
	return m.tokens[rapid.IntRange(0, len(m.tokens)-1).Draw(r, "token")]
}

func (m *machine) issue(r *rapid.T) {
	m.made(fmt.Sprint("user-", rapid.IntRange(1, 3).Draw(r, "user")))
}

func (m *machine) made(user string) *known {
	k := &known{user: user, alive: true}
	k.reference = m.issuer.Grant(plugintest.Token{Subject: user, Scopes: []string{"eventcatalog.read"}, Expires: time.Now().Add(24 * time.Hour)})
	m.tokens = append(m.tokens, k)
	return k
}

func (m *machine) send(reference string) (status int, cached bool) {
	outcome := m.gateway.Authorize(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: plugintest.Events}, Proto: "HTTP/1.1",
		ProtoMajor: 1, ProtoMinor: 1, Host: "api.example", Header: http.Header{"Authorization": {"Bearer " + reference}}})
	if refusal := outcome.Refusal(); refusal != nil {
		return refusal.Status, outcome.Cached
	}
	return http.StatusOK, outcome.Cached
}

// ask sends a request, and holds what is answered against what may be.
func (m *machine) ask(r *rapid.T, k *known) (cached bool) {
	began := m.now()
	mayHit := k.cached && (k.at.IsZero() || began.Sub(k.at) < cacheAge) && (m.heard() || began.Sub(m.since) <= staleness)
	status, cached := m.send(k.reference)
	var fits bool
	switch status {
	case http.StatusOK:
		fits = k.alive && (!m.down || mayHit) || k.untold && mayHit
	case http.StatusUnauthorized:
		fits = !k.alive
	case http.StatusServiceUnavailable:
		fits = m.down
	}
	if !fits {
		r.Fatalf("answered %d: %+v, the feed is heard: %t (since %v), the issuer is down: %t, a hit may be: %t", status, *k, m.heard(), began.Sub(m.since), m.down, mayHit)
	}
	if status == http.StatusOK && !cached {
		k.cached, k.at = true, began
	}
	return cached
}

// askTwice also wants the second answer from the cache: to ask each time would be safe, and no cache.
func (m *machine) askTwice(r *rapid.T) {
	k := m.draw(r)
	if !k.alive || !m.heard() {
		r.Skip("it need not be cached")
	}
	m.ask(r, k)
	if k.at.IsZero() || m.now().Sub(k.at) > cacheAge/2 {
		return // it may end just now
	}
	if !m.ask(r, k) {
		r.Fatalf("a living token was not cached: %+v", *k)
	}
}

// revoked notes what a revocation did.
func (m *machine) revoked(ended func(k *known) bool) {
	for _, k := range m.tokens {
		if k.alive && ended(k) {
			k.alive, k.untold = false, true
		}
	}
	m.told()
}

func (m *machine) revoke(r *rapid.T) {
	picked := m.draw(r)
	m.issuer.Revoke(picked.reference)
	m.revoked(func(k *known) bool { return k == picked })
}

func (m *machine) revokeUser(r *rapid.T) {
	user := m.draw(r).user
	m.issuer.RevokeUser(user)
	m.revoked(func(k *known) bool { return k.user == user })
}

// overtake has the issuer read a token, then a revocation end it and reach the gateway, and only then the issuer's answer come.
func (m *machine) overtake(r *rapid.T) {
	if m.down {
		r.Skip("nobody reads")
	}
	k, hold, answered := m.made("user-1"), make(chan struct{}), make(chan int)
	m.issuer.Behave(plugintest.Behaviour{Hold: hold})
	go func() {
		status, _ := m.send(k.reference)
		answered <- status
	}()
	eventually(m.t, "the issuer is asked", func() bool { return m.issuer.AskedAbout(k.reference) > 0 })
	m.issuer.Revoke(k.reference)
	k.alive, k.untold, k.cached = false, true, true // since when nobody can say: the question is on its way
	m.told()
	m.issuer.Behave(plugintest.Behaviour{})
	close(hold)
	if status := <-answered; status == http.StatusOK && m.heard() {
		r.Fatal("an answer passed that a revocation had overtaken")
	}
	m.ask(r, k)
}

// pass has the gateway's clock go on, by less or by more than each of its limits.
func (m *machine) pass(r *rapid.T) {
	m.ahead.Add(int64(rapid.SampledFrom([]time.Duration{time.Second, staleness / 2, 2 * staleness, cacheAge / 2, 2 * cacheAge}).Draw(r, "time")))
	m.settle()
}

func (m *machine) cutOff(r *rapid.T) {
	if !m.heard() {
		r.Skip("it is not heard")
	}
	m.silence, m.since = make(chan struct{}), m.now()
	m.issuer.Feed(plugintest.FeedFaults{Silent: m.silence})
}

func (m *machine) heal(r *rapid.T) {
	if m.silence == nil {
		if r != nil {
			r.Skip("it is not cut off")
		}
		return
	}
	m.mend()
	m.settle()
}

func (m *machine) mend() {
	if m.silence != nil {
		m.issuer.Feed(plugintest.FeedFaults{})
		close(m.silence)
		m.silence = nil
	}
}

func (m *machine) goDown(r *rapid.T) {
	if !m.heard() {
		r.Skip("it is not heard")
	}
	m.down, m.since = true, m.now()
	m.way.close()
}

func (m *machine) comeUp(r *rapid.T) {
	if !m.down {
		if r != nil {
			r.Skip("it is not down")
		}
		return
	}
	m.way.open()
	m.down = false
	m.ahead.Add(int64(2 * time.Second)) // a pause of the breaker is over
	m.settle()
}

// restart replaces the gateway. One that has ended at an issuer which is down leaves its stream behind.
func (m *machine) restart(r *rapid.T) {
	if m.silence != nil {
		r.Skip("its stream could not be ended")
	}
	if err := m.gateway.Close(); err != nil {
		r.Fatal(err)
	}
	if m.down {
		m.issuer.ForgetStreams()
	}
	for _, k := range m.tokens {
		k.cached = false
	}
	m.start()
}

// forget is what befalls a feed so that a gateway may have missed something: then it may use nothing that it had cached before.
func (m *machine) forget(r *rapid.T) {
	if m.down {
		r.Skip("nobody tells")
	}
	switch rapid.SampledFrom([]string{"events are lost", "a reset", "a new epoch", "the stream is gone"}).Draw(r, "what") {
	case "events are lost":
		m.issuer.LoseEvents()
	case "a reset":
		m.issuer.ResetStreams()
	case "a new epoch":
		m.issuer.NewEpoch()
	default:
		m.issuer.ForgetStreams()
	}
	m.settle()
	m.ahead.Add(int64(2 * time.Second)) // the refill is over, which is spread by real time
	for _, k := range m.tokens {
		if m.heard() {
			k.at = time.Time{} // asked for again, or nothing was missed
		}
	}
	m.settle()
}
