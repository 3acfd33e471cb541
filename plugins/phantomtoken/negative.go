package phantomtoken

import (
	"sync"
	"time"
)

// negativeStore remembers the issuer's "no", in a room of its own, so that a flood of made-up references cannot push
// good tokens out of the cache. It keeps two generations: when the young one is full or old it becomes the old one,
// and what was old is forgotten. So it is bounded, and costs nothing to clean.
type negativeStore struct {
	limit  int // entries a generation may hold
	maxAge time.Duration

	mu         sync.Mutex
	young, old map[key]refused
}

type refused struct {
	reason error
	until  time.Time
}

func newNegativeStore(entries int, maxAge time.Duration) *negativeStore {
	return &negativeStore{limit: max(entries/2, 1), maxAge: maxAge, young: map[key]refused{}}
}

// get returns why k was refused, or nil when that is not known, or no longer.
func (n *negativeStore) get(k key, now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	found, ok := n.young[k]
	if !ok {
		found, ok = n.old[k]
	}
	if !ok || !now.Before(found.until) {
		return nil
	}
	return found.reason
}

func (n *negativeStore) put(k key, reason error, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.young) >= n.limit {
		n.old, n.young = n.young, make(map[key]refused)
	}
	n.young[k] = refused{reason, now.Add(n.maxAge)}
}
