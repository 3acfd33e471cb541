package phantomtoken

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFlightsShareOneAnswer(t *testing.T) {
	f := newFlights[string, int](time.Minute, 10)
	defer f.close()
	var runs atomic.Int32
	release := make(chan struct{})
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() {
			got, err := f.do(context.Background(), "k", func(context.Context) (int, error) {
				runs.Add(1)
				<-release
				return 7, nil
			})
			if got != 7 || err != nil {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
	waitUntil(t, func() bool { return f.waitingFor("k") == 100 })
	close(release)
	callers.Wait()
	if runs.Load() != 1 {
		t.Errorf("ran %d times", runs.Load())
	}
	if len(f.calls) != 0 || f.active != 0 {
		t.Errorf("left behind: %v, %d", f.calls, f.active)
	}
}

// TestFlightOutlivesAWaiter: one client that hangs up must not cost the others their answer.
func TestFlightOutlivesAWaiter(t *testing.T) {
	f := newFlights[string, int](time.Minute, 10)
	defer f.close()
	release := make(chan struct{})
	work := func(ctx context.Context) (int, error) {
		select {
		case <-release:
			return 7, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	ctx, hangUp := context.WithCancel(context.Background())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := f.do(ctx, "k", work); first <- err }()
	waitUntil(t, func() bool { return f.waitingFor("k") == 1 })
	go func() { _, err := f.do(context.Background(), "k", work); second <- err }()
	waitUntil(t, func() bool { return f.waitingFor("k") == 2 })
	hangUp()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that hung up got %v", err)
	}
	close(release)
	if err := <-second; err != nil {
		t.Errorf("the one that waited got %v", err)
	}
}

// TestFlightIsCancelledWhenNobodyWaits, and whoever comes then starts anew.
func TestFlightIsCancelledWhenNobodyWaits(t *testing.T) {
	f := newFlights[string, int](time.Minute, 10)
	defer f.close()
	cancelled := make(chan struct{})
	hold := make(chan struct{})
	ctx, hangUp := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := f.do(ctx, "k", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			close(cancelled)
			<-hold // a cancelled flight that takes its time
			return 1, nil
		})
		done <- err
	}()
	waitUntil(t, func() bool { return f.waitingFor("k") == 1 })
	hangUp()
	<-done
	<-cancelled
	got, err := f.do(context.Background(), "k", func(context.Context) (int, error) { return 2, nil })
	if got != 2 || err != nil {
		t.Errorf("a later caller got %d, %v", got, err)
	}
	close(hold)
}

func TestFlightHasItsOwnDeadline(t *testing.T) {
	f := newFlights[string, int](time.Millisecond, 10)
	defer f.close()
	_, err := f.do(context.Background(), "k", func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestFlightPanicRefuses(t *testing.T) {
	f := newFlights[string, int](time.Minute, 10)
	defer f.close()
	_, err := f.do(context.Background(), "k", func(context.Context) (int, error) { panic("boom") })
	if !errors.Is(err, errPanic) {
		t.Errorf("got %v", err)
	}
}

func TestFlightsAreBounded(t *testing.T) {
	f := newFlights[int, int](time.Minute, 2)
	hold := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	var callers sync.WaitGroup
	for k := range 2 {
		callers.Go(func() { _, _ = f.do(context.Background(), k, hold) })
		waitUntil(t, func() bool { return f.waitingFor(k) == 1 })
	}
	_, err := f.do(context.Background(), 3, hold)
	if !isUnavailable(err) {
		t.Errorf("got %v", err)
	}
	f.close()
	callers.Wait()
	if _, err := f.do(context.Background(), 4, hold); !isUnavailable(err) {
		t.Errorf("after close: %v", err)
	}
}

func (f *flights[K, V]) waitingFor(k K) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.calls[k]; fl != nil {
		return fl.waiting
	}
	return 0
}

// waitUntil waits for a state that no channel tells of. The deadline is for a test that would hang.
func waitUntil(t *testing.T, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !reached(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("never happened")
		}
	}
}

// TestAnOldFlightIsNotJoined: the issuer read the token before it was revoked and is slow to answer. Whoever comes later
// than the longest life of a cached token must not be served from that answer.
func TestAnOldFlightIsNotJoined(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Timeout = time.Minute })
	release := make(chan struct{})
	var asked atomic.Int32
	active := f.issuer.mint()
	f.issuer.answer = func(*http.Request) *http.Response {
		if asked.Add(1) > 1 {
			return respond(http.StatusNoContent, "", "") // revoked by now
		}
		<-release
		return respond(http.StatusOK, "application/jwt", active)
	}
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, _, err := f.swap(good); first <- err }()
	waitUntil(t, func() bool { return asked.Load() == 1 })
	f.clock.advance(time.Second)
	go func() { _, _, err := f.swap(good); second <- err }()
	waitUntil(t, func() bool { return asked.Load() == 2 || f.flights.waitingFor(keyFor(good, f.ask)) == 2 })
	close(release)
	if err := <-second; !errors.Is(err, ErrInactive) {
		t.Errorf("a second after the revocation: %v", err)
	}
	if err := <-first; err != nil {
		t.Errorf("who asked before the revocation: %v", err)
	}
}
