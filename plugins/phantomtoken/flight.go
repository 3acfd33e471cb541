package phantomtoken

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// flights runs a piece of work once for all who ask for the same key at the same time. A caller whose context ends
// leaves; the work goes on under a deadline of its own, and is cancelled when nobody waits for it any more.
type flights[K comparable, V any] struct {
	timeout  time.Duration
	limit    int           // flights at once
	reserved int           // so many of them are for keys that are favoured
	favoured func(K) bool  // asked only when it matters; may be nil when nothing is reserved
	joinable time.Duration // how long after its start a flight can be joined; 0 sets no end
	now      func() time.Time

	ctx  context.Context // of every flight; ends with close
	stop context.CancelFunc

	mu      sync.Mutex
	calls   map[K]*flight[V] // by key the newest, which can be joined
	begun   uint64           // flights so far
	active  int              // those that have not ended, cancelled ones included
	closed  bool
	running sync.WaitGroup
}

type flight[V any] struct {
	number  uint64 // in the order of their beginnings
	started time.Time
	cancel  context.CancelFunc
	waiting int
	done    chan struct{}
	value   V // value and err are set before done is closed
	err     error
}

// errPanic: the work panicked. In a goroutine of its own that would end the whole process.
var errPanic = errors.New("panic")

func newFlights[K comparable, V any](timeout time.Duration, limit int) *flights[K, V] {
	f := &flights[K, V]{timeout: timeout, limit: limit, now: time.Now, calls: map[K]*flight[V]{}}
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f
}

// do returns what work returns, for this call or for one under way. When ctx ends first it returns ctx's error.
func (f *flights[K, V]) do(ctx context.Context, k K, work func(context.Context) (V, error)) (V, error) {
	v, _, err := f.share(ctx, k, work)
	return v, err
}

// share is do, and tells besides which flight it was: see newest.
func (f *flights[K, V]) share(ctx context.Context, k K, work func(context.Context) (V, error)) (v V, number uint64, err error) {
	fl, err := f.join(k, work)
	if err != nil {
		return v, 0, err
	}
	defer f.leave(k, fl)
	select {
	case <-fl.done:
		return fl.value, fl.number, fl.err
	case <-ctx.Done():
		return v, fl.number, ctx.Err()
	}
}

// newest returns the number of the flight that began last. One with a higher number begins after this call, so that what
// it brings is no older.
func (f *flights[K, V]) newest() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun
}

func (f *flights[K, V]) join(k K, work func(context.Context) (V, error)) (*flight[V], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, &UnavailableError{time.Second, "the gateway is closing"}
	}
	now := f.now()
	if fl := f.calls[k]; fl != nil && (f.joinable == 0 || now.Sub(fl.started) < f.joinable) {
		fl.waiting++
		return fl, nil
	}
	if free := f.limit - f.active; free <= 0 || free <= f.reserved && !f.favoured(k) {
		return nil, &UnavailableError{time.Second, "too many introspections are under way"}
	}
	ctx, cancel := context.WithTimeout(f.ctx, f.timeout)
	f.begun++
	fl := &flight[V]{number: f.begun, started: now, cancel: cancel, waiting: 1, done: make(chan struct{})}
	f.calls[k] = fl
	f.active++
	f.running.Add(1)
	go f.run(ctx, k, fl, work)
	return fl, nil
}

func (f *flights[K, V]) run(ctx context.Context, k K, fl *flight[V], work func(context.Context) (V, error)) {
	defer f.running.Done()
	defer func() {
		if p := recover(); p != nil {
			fl.err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
		f.mu.Lock()
		f.forget(k, fl)
		f.active--
		f.mu.Unlock()
		fl.cancel()
		close(fl.done)
	}()
	fl.value, fl.err = work(ctx)
}

// leave counts one caller out, and cancels the flight when it was the last. Whoever asks after that starts anew.
func (f *flights[K, V]) leave(k K, fl *flight[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl.waiting--
	if fl.waiting == 0 {
		f.forget(k, fl)
		fl.cancel()
	}
}

// forget takes fl out of the calls, unless a later flight has its place. f.mu is held.
func (f *flights[K, V]) forget(k K, fl *flight[V]) {
	if f.calls[k] == fl {
		delete(f.calls, k)
	}
}

// close cancels every flight, waits for their end, and lets none begin.
func (f *flights[K, V]) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.stop()
	f.running.Wait()
}
