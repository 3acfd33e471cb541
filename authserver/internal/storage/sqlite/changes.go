package sqlite

import "sync"

// changes wakes those who wait for the next revocation.
type changes struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next one
}

func newChanges() *changes { return &changes{next: make(chan struct{})} }

func (c *changes) announce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
}

// Revoked gives a channel that is closed once a revocation is durable that was not when Revoked was called. So whoever calls
// it, then reads the feed and finds nothing, misses nothing by waiting.
func (s *Store) Revoked() <-chan struct{} {
	s.changed.mu.Lock()
	defer s.changed.mu.Unlock()
	return s.changed.next
}
