package tokenhandler

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// refresh renews s's references and returns the Set-Cookie lines that carry them. Nothing else of the session changes,
// its end least of all.
func (h *Handler) refresh(ctx context.Context, s session, j *jar) (session, []string, error) {
	got, err := h.refreshes.do(ctx, s.refresh, func(ctx context.Context) (tokens, error) {
		return h.issuer.refresh(ctx, s.refresh)
	})
	if err != nil {
		return session{}, nil, err
	}
	s.access = h.accessOf(got)
	if got.RefreshToken != "" {
		s.refresh = got.RefreshToken
	}
	if h.ended.has(&s.stamp) { // logged out while the refresh was under way
		return session{}, nil, errEnded
	}
	cookies, err := h.sealRefreshed(&s, j)
	return s, cookies, err
}

// accessOf says until when an access token is used, and from when it is renewed: never in the first three quarters of
// its life, so that a short one is not renewed on every request.
func (h *Handler) accessOf(t tokens) access {
	now, life := h.now().UnixMilli(), t.ExpiresIn*1000
	margin := min(h.cfg.RefreshMargin.Milliseconds(), life/4)
	return access{reference: t.AccessToken, expires: now + life, renew: now + life - margin}
}

// refreshes sends one refresh for all who ask with the same reference at the same time. Unlike a look-up it changes
// something at the issuer, so it goes on when those who asked have left. Other replicas, and tabs that come a moment
// later, get the same answer from the issuer, which keeps it for a grace.
type refreshes struct {
	timeout time.Duration

	mu      sync.Mutex
	calls   map[[sha256.Size]byte]*refreshCall
	closed  bool
	running sync.WaitGroup
}

type refreshCall struct {
	done   chan struct{}
	tokens tokens // tokens and err are set before done is closed
	err    error
}

// maxRefreshes bounds the refreshes under way at once.
const maxRefreshes = 256

func newRefreshes(timeout time.Duration) *refreshes {
	return &refreshes{timeout: timeout, calls: map[[sha256.Size]byte]*refreshCall{}}
}

// do returns what ask returns, for this call or for one under way. When ctx ends first it returns ctx's error.
func (f *refreshes) do(ctx context.Context, reference string, ask func(context.Context) (tokens, error)) (tokens, error) {
	call, err := f.join(sha256.Sum256([]byte(reference)), ask)
	if err != nil {
		return tokens{}, err
	}
	select {
	case <-call.done:
		return call.tokens, call.err
	case <-ctx.Done():
		return tokens{}, ctx.Err()
	}
}

func (f *refreshes) join(key [sha256.Size]byte, ask func(context.Context) (tokens, error)) (*refreshCall, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if call := f.calls[key]; call != nil {
		return call, nil
	}
	if f.closed || len(f.calls) >= maxRefreshes {
		return nil, errUnavailable
	}
	call := &refreshCall{done: make(chan struct{})}
	f.calls[key] = call
	f.running.Add(1)
	go func() {
		defer f.running.Done()
		ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
		defer cancel()
		defer func() {
			if p := recover(); p != nil { // in a goroutine of its own it would end the whole process
				call.err = fmt.Errorf("%w: panic: %v\n%s", errIssuer, p, debug.Stack())
			}
			f.mu.Lock()
			delete(f.calls, key)
			f.mu.Unlock()
			close(call.done)
		}()
		call.tokens, call.err = ask(ctx)
	}()
	return call, nil
}

// close waits for what is under way and lets no more begin.
func (f *refreshes) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.running.Wait()
}
