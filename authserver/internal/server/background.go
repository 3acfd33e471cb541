package server

import (
	"context"
	"errors"
	"sync"
	"time"
)

// How expired rows go by themselves: in small batches, so that the hot path never waits for one, and without a pause
// while there is more.
const (
	sweepEvery = 10 * time.Second
	sweepBatch = 500
)

// Work rotates keys and removes expired rows until the context ends. Then it lets gateways that wait for the feed go.
func (s *Server) Work(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.ring.Run(ctx) })
	running.Go(func() { s.sweep(ctx) })
	<-ctx.Done()
	s.feed.End()
	running.Wait()
}

func (s *Server) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		removed, err := s.store.Sweep(ctx, s.now(), sweepBatch)
		if err != nil && !errors.Is(err, context.Canceled) {
			s.log.ErrorContext(ctx, "expired rows could not be removed", "error", err)
		}
		if err == nil && removed == sweepBatch {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Close ends what the server holds. Requests must have ended before.
func (s *Server) Close() error { return s.store.Close() }
