package phantomtoken

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/feed"
)

// followed is a Swapper with a feed that stands at sequence 40 of epoch "e" and has just been heard. Its issuer says of
// every token that key 1, in its first generation, can end it.
type followed struct {
	*fixture
	state *feed.State
}

const (
	keyOfUser  = 1
	keyOfOther = 2
	staleAfter = 5 * time.Second
)

func newFollowed(t *testing.T, changes ...func(*Config)) *followed {
	t.Helper()
	f := &followed{}
	f.fixture = newFixture(t, append([]func(*Config){func(c *Config) {
		f.state = feed.NewState(10*time.Minute, c.Now())
		c.Feed, c.MaxStaleness, c.MaxAge = f.state, staleAfter, 5*time.Minute
	}}, changes...)...)
	f.state.Forget("e", 40, f.clock.now())
	f.clock.advance(refillFor) // long ago
	f.state.Heard(f.clock.now())
	f.issuer.answer = func(*http.Request) *http.Response { return f.active("e.40", 0) }
	return f
}

// active is the answer about a living token that was read at this position, when this was its user's generation.
func (f *followed) active(position string, generation uint64) *http.Response {
	resp := respond(http.StatusOK, "application/jwt", f.issuer.mint())
	resp.Header.Set("Revocation-Position", position)
	resp.Header.Set("Revocation-Keys", fmt.Sprintf("%s=%d", keyText(keyOfUser), generation))
	return resp
}

func inactive() *http.Response { return respond(http.StatusNoContent, "", "") }

// keyText is the key on the wire whose first 64 bits are n.
func keyText(n uint64) string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (f *followed) revokes(sequence, key, generation uint64) {
	f.state.Apply(sequence, key, generation, f.clock.now())
}

func (f *followed) mustHaveAsked(want int) {
	f.t.Helper()
	if n, _ := f.issuer.calls(); n != want {
		f.t.Fatalf("the issuer was asked %d times, want %d", n, want)
	}
}

func TestARevocationEndsAHit(t *testing.T) {
	f := newFollowed(t)
	f.mustSwap(good, false)
	f.mustSwap(good, true)
	f.revokes(41, keyOfOther, 1)
	f.mustSwap(good, true)
	f.revokes(42, keyOfUser, 1)
	f.issuer.answer = func(*http.Request) *http.Response { return inactive() }
	if _, cached, err := f.swap(good); !errors.Is(err, ErrInactive) || cached {
		t.Fatalf("cached %t, %v", cached, err)
	}
	f.mustHaveAsked(2)
}

// TestAnOvertakenAnswerIsAskedForAgain, neither cached nor passed on, until one is not overtaken; not for ever.
func TestAnOvertakenAnswerIsAskedForAgain(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(f *followed) // while the first answer is under way
		then      func(f *followed) *http.Response
		want      error
	}{
		"revoked": {func(f *followed) { f.revokes(41, keyOfUser, 1) },
			func(*followed) *http.Response { return inactive() }, ErrInactive},
		"another was": {func(f *followed) { f.revokes(41, keyOfOther, 1) },
			func(f *followed) *http.Response { f.t.Error("asked again"); return inactive() }, nil},
		"everything was forgotten": {func(f *followed) { f.state.Forget("e", 50, f.clock.now()) },
			func(f *followed) *http.Response { return f.active("e.50", 0) }, nil},
		"forgotten, and not alive": {func(f *followed) { f.state.Forget("e", 50, f.clock.now()) },
			func(*followed) *http.Response { return inactive() }, ErrInactive},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFollowed(t)
			f.issuer.answer = func(*http.Request) *http.Response {
				if n, _ := f.issuer.calls(); n > 1 {
					return test.then(f)
				}
				was := f.active("e.40", 0)
				test.meanwhile(f)
				return was
			}
			if _, _, err := f.swap(good); !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if test.want == nil {
				f.mustSwap(good, true)
			}
		})
	}
	f := newFollowed(t)
	sequence := uint64(40)
	f.issuer.answer = func(*http.Request) *http.Response {
		was := f.active("e.40", 0)
		sequence++
		f.revokes(sequence, keyOfUser, sequence)
		return was
	}
	if _, _, err := f.swap(good); !isUnavailable(err) {
		t.Errorf("overtaken again and again: %v", err)
	}
	f.mustHaveAsked(mostAsks)
}

// TestWhatCannotBeFollowedIsNotCached: the issuer is asked each time, and its answer is passed on to who asked.
func TestWhatCannotBeFollowedIsNotCached(t *testing.T) {
	with := func(name string, values ...string) func(*followed) {
		return func(f *followed) {
			f.issuer.answer = func(*http.Request) *http.Response {
				resp := f.active("e.40", 0)
				if resp.Header[name] = values; values == nil {
					delete(resp.Header, name)
				}
				return resp
			}
		}
	}
	for name, test := range map[string]struct {
		change func(f *followed)
		told   bool
	}{
		"no keys":         {with("Revocation-Keys"), true},
		"malformed keys":  {with("Revocation-Keys", "alice=0"), true},
		"no position":     {with("Revocation-Position"), true},
		"two positions":   {with("Revocation-Position", "e.40", "e.40"), true},
		"malformed":       {with("Revocation-Position", "e.forty"), true},
		"another epoch":   {with("Revocation-Position", "f.40"), false},
		"too many keys":   {with("Revocation-Keys", strings.Repeat(keyText(1)+"=0,", 64)+keyText(1)+"=0"), true},
		"a header of 1MB": {with("Revocation-Keys", strings.Repeat(" ", 1<<20)+keyText(1)+"=0"), true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFollowed(t)
			test.change(f)
			for range 5 {
				f.mustSwap(good, false)
			}
			if n := strings.Count(f.log.String(), "is not cached"); n > 1 || (n == 1) != test.told {
				t.Errorf("told %d times:\n%s", n, f.log)
			}
			f.clock.advance(quietFor)
			f.state.Heard(f.clock.now())
			f.mustSwap(good, false)
			if n := strings.Count(f.log.String(), "is not cached"); test.told && n != 2 {
				t.Errorf("told %d times after a while", n)
			}
		})
	}
}

// TestBeforeTheFeedIsHeard everything is asked for.
func TestBeforeTheFeedIsHeard(t *testing.T) {
	f := newFollowed(t, func(c *Config) { c.Feed = feed.NewState(time.Minute, c.Now()) })
	for range 3 {
		f.mustSwap(good, false)
	}
	f.mustHaveAsked(3)
}

// TestASilentFeedHasTheIssuerAsked each time, as far as the route cares; once it is heard again, what is cached counts.
func TestASilentFeedHasTheIssuerAsked(t *testing.T) {
	f := newFollowed(t)
	patient := f.ask.Within(time.Minute)
	f.mustSwap(good, false)
	f.clock.advance(staleAfter)
	f.mustSwap(good, true)
	f.clock.advance(time.Millisecond)
	for range 3 {
		f.mustSwap(good, false)
	}
	f.mustHaveAsked(4)
	swapPatiently := func() (bool, error) {
		_, cached, err := f.Swap(context.Background(), good, patient, f.clock.now())
		return cached, err
	}
	if cached, err := swapPatiently(); err != nil || !cached {
		t.Errorf("a route that may go on without the feed: cached %t, %v", cached, err)
	}
	impatient := f.ask.Within(time.Millisecond)
	f.state.Heard(f.clock.now().Add(-time.Second))
	if _, cached, err := f.Swap(context.Background(), good, impatient, f.clock.now()); err != nil || cached {
		t.Errorf("a route that wants to know better: cached %t, %v", cached, err)
	}
	f.mustSwap(good, true)
	f.mustHaveAsked(5)

	// An issuer that is down: never a pass, and never "inactive", which would be a 401.
	f.clock.advance(staleAfter)
	f.issuer.answer = func(*http.Request) *http.Response { return respond(503, "", "") }
	for range 2 * breakerFailures {
		if token, _, err := f.swap(good); !isUnavailable(err) || token.Header != nil {
			t.Fatalf("no feed and no issuer: %v", err)
		}
	}
	if cached, err := swapPatiently(); err != nil || !cached {
		t.Errorf("a route that may go on without issuer: cached %t, %v", cached, err)
	}
}

// heldFlight starts a swap whose question the issuer has read, and whose answer waits for release. Later questions are
// answered by then.
func (f *followed) heldFlight(then func() *http.Response) (release func() error) {
	f.t.Helper()
	hold, reached := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	was := f.issuer.answer(nil)
	f.issuer.answer = func(*http.Request) *http.Response {
		if first.Swap(true) {
			return then()
		}
		close(reached)
		<-hold
		return was
	}
	done := make(chan error, 1)
	go func() { _, _, err := f.swap(good); done <- err }()
	<-reached
	return func() error { close(hold); return <-done }
}

// TestWhoComesLaterSharesAnAnswerOnlyIfTheFeedVouches: it may have been read before a revocation that was answered before
// they came.
func TestWhoComesLaterSharesAnAnswerOnlyIfTheFeedVouches(t *testing.T) {
	for name, test := range map[string]struct {
		before  func(f *followed) // the first question
		between func(f *followed) // the first question and those who come later
		shared  bool
		first   error // what who asked first gets
	}{
		"heard":                {between: func(*followed) {}, shared: true},
		"heard, others ended":  {between: func(f *followed) { f.revokes(41, keyOfOther, 1) }, shared: true},
		"heard, and ended":     {between: func(f *followed) { f.revokes(41, keyOfUser, 1) }, first: ErrInactive},
		"silent":               {between: func(f *followed) { f.clock.advance(staleAfter + 1) }},
		"lost":                 {between: func(f *followed) { f.state.Lose() }},
		"a new epoch":          {between: func(f *followed) { f.state.Forget("f", 1, f.clock.now().Add(-refillFor)) }},
		"not followed":         {before: func(f *followed) { f.unfollowed() }, between: func(*followed) {}},
		"forgotten everything": {between: func(f *followed) { f.state.Forget("e", 41, f.clock.now().Add(-refillFor)) }, first: ErrInactive},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFollowed(t, func(c *Config) { c.Timeout = time.Minute })
			if test.before != nil {
				test.before(f)
			}
			const later = 20
			release := f.heldFlight(func() *http.Response {
				// The answer to a later question, when all wait for it.
				waitUntil(t, func() bool { return f.flights.waitingFor(keyFor(good, f.ask)) >= later })
				return inactive()
			})
			test.between(f)
			var all sync.WaitGroup
			var refused atomic.Int32
			for range later {
				all.Go(func() {
					if _, _, err := f.swap(good); errors.Is(err, ErrInactive) {
						refused.Add(1)
					} else if err != nil {
						t.Error(err)
					}
				})
			}
			waitUntil(t, func() bool { return f.flights.waitingFor(keyFor(good, f.ask)) == 1+later })
			if err := release(); !errors.Is(err, test.first) {
				t.Errorf("who asked first got %v, want %v", err, test.first)
			}
			all.Wait()
			if n := refused.Load(); n != 0 && test.shared || n != later && !test.shared {
				t.Errorf("%d of %d were refused", n, later)
			}
			if n, _ := f.issuer.calls(); n > 2 {
				t.Errorf("asked %d times: those who come together share", n)
			}
		})
	}
}

// unfollowed has the issuer leave the headers out.
func (f *followed) unfollowed() {
	f.issuer.answer = func(*http.Request) *http.Response { return respond(200, "application/jwt", f.issuer.mint()) }
}

// TestWhoComesAsAFlightLands: the flight has seen that nothing had ended its answer; then the event is applied; then
// somebody comes, and the flight is still there to be joined.
func TestWhoComesAsAFlightLands(t *testing.T) {
	f := newFollowed(t)
	later := make(chan error, 1)
	f.jitter = func() float64 { // which is called between the two
		f.jitter = func() float64 { return 0 }
		f.revokes(41, keyOfUser, 1)
		f.issuer.answer = func(*http.Request) *http.Response { return inactive() }
		go func() { _, _, err := f.swap(good); later <- err }()
		waitUntil(t, func() bool { return f.flights.waitingFor(keyFor(good, f.ask)) == 2 })
		return 0
	}
	if _, _, err := f.swap(good); err != nil {
		t.Errorf("who asked before the revocation: %v", err)
	}
	if err := <-later; !errors.Is(err, ErrInactive) {
		t.Errorf("who came after it was applied: %v", err)
	}
}

// TestARefillIsSpread: when everything was forgotten, what was cached is asked for again a little later, by chance; what
// was not cached is asked for at once.
func TestARefillIsSpread(t *testing.T) {
	f := newFollowed(t)
	f.mustSwap(good, false)
	f.state.Forget("e", 50, f.clock.now())
	f.issuer.answer = func(*http.Request) *http.Response { return f.active("e.50", 0) }
	f.jitter = func() float64 { return 0.75 }
	waits, over := make(chan time.Duration, 10), make(chan time.Time)
	f.after = func(d time.Duration) <-chan time.Time { waits <- d; return over }

	f.mustSwap(other, false) // never seen
	var all sync.WaitGroup
	var done atomic.Int32
	for range 3 {
		all.Go(func() {
			if _, _, err := f.swap(good); err != nil {
				t.Error(err)
			}
			done.Add(1)
		})
	}
	waitUntil(t, func() bool { return len(waits) == 3 || done.Load() > 0 })
	if done.Load() > 0 {
		t.Fatal("somebody did not wait")
	}
	for range 3 {
		if d := <-waits; d != refillSpread*3/4 {
			t.Errorf("waits %v", d)
		}
	}
	f.mustHaveAsked(2)
	close(over)
	all.Wait()
	f.mustHaveAsked(3) // the others found it, or shared it
	f.mustSwap(good, true)

	// Who leaves does not wait; a gateway that closes does not either.
	f.state.Forget("e", 60, f.clock.now())
	over = nil
	ctx, leave := context.WithCancel(context.Background())
	left := make(chan error, 1)
	go func() { _, _, err := f.Swap(ctx, good, f.ask, f.clock.now()); left <- err }()
	<-waits
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	go func() { _, _, err := f.swap(good); left <- err }()
	<-waits
	f.Close()
	if err := <-left; !isUnavailable(err) {
		t.Errorf("closing: %v", err)
	}
}

// TestARefillIsSpreadForASecond and no longer.
func TestARefillIsSpreadForASecond(t *testing.T) {
	f := newFollowed(t)
	f.mustSwap(good, false)
	f.state.Forget("e", 50, f.clock.now())
	f.clock.advance(refillFor)
	f.after = func(time.Duration) <-chan time.Time { t.Error("waits"); return nil }
	f.issuer.answer = func(*http.Request) *http.Response { return f.active("e.50", 0) }
	f.mustSwap(good, false)
}

func TestAFeedIsForOurOwnIssuer(t *testing.T) {
	var cfg Config
	newFollowed(t, func(c *Config) { cfg = *c })
	for name, change := range map[string]func(*Config){
		"foreign": func(c *Config) { c.Answer = AnswerJWT }, "a foreign one": func(c *Config) { c.Feed = feed.NewForeignState(time.Minute, c.Now()) }, "staleness": func(c *Config) { c.MaxStaleness = 0 },
	} {
		changed := cfg
		change(&changed)
		if _, err := New(changed); err == nil || !strings.Contains(err.Error(), "Feed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAHitAllocatesNoMoreWithAFeed, whether or not something was revoked since.
func TestAHitAllocatesNoMoreWithAFeed(t *testing.T) {
	allocations := func(f *fixture) float64 {
		f.mustSwap(good, false)
		now := f.clock.now()
		return testing.AllocsPerRun(100, func() {
			if _, cached, err := f.Swap(context.Background(), good, f.ask, now); err != nil || !cached {
				t.Fatal(cached, err)
			}
		})
	}
	without := allocations(newFixture(t))
	f := newFollowed(t)
	with := allocations(f.fixture)
	f.revokes(41, keyOfOther, 1)
	behind := allocations(&fixture{Swapper: f.Swapper, t: t, issuer: f.issuer, clock: f.clock, ask: f.Ask("orders", []string{"orders.read"})})
	if with > without || behind > without {
		t.Errorf("%v without a feed, %v with one, %v when something was revoked since", without, with, behind)
	}
}
