package phantomtoken

import (
	"math/bits"
	"sync/atomic"
)

// recent holds entries that were found lately, decoded and ready to be served: BigCache copies what it gives, and that is
// most of what a hit allocates. Each key has one slot, which it shares with others, so that an entry may go at any time.
type recent []slot

type slot struct {
	// hash is that of the key whose entry stands here, as a rule. It keeps one who has another key from looking at
	// the entry, which is seldom in the processor's cache; it decides nothing else.
	hash atomic.Uint64
	kept atomic.Pointer[entry] // nil at first
}

const (
	// bytesPerSlot of the cache's bound give it one slot more, up to mostSlots.
	bytesPerSlot = 16 << 10
	mostSlots    = 4096
	// recentLargest is how long a packed entry may be to stand here. With what it is decoded to it is a quarter of
	// bytesPerSlot at most, so that all here is a quarter of the cache's bound at most, and 16 MiB at most.
	recentLargest = 3 << 10
)

// newRecent makes room beside a cache of so many bytes, which are a MiB at least.
func newRecent(maxBytes int64) recent {
	slots := min(uint64(maxBytes)/bytesPerSlot, mostSlots)
	return make(recent, 1<<(bits.Len64(slots)-1)) // a power of two
}

// of returns the slot of k, and the hash of k.
func (r recent) of(k *key) (s *slot, hash uint64) {
	hash = keyHasher{}.Sum64(k.name())
	return &r[hash&uint64(len(r)-1)], hash
}

// keep leaves e here, which BigCache had, if what is here is still what was seen before BigCache was asked. Otherwise an
// entry was put since, perhaps a newer one of the same key, or another was kept.
func (s *slot) keep(e entry, hash uint64, seen *entry) {
	if s.kept.CompareAndSwap(seen, &e) {
		s.hash.Store(hash)
	}
}

// clear leaves an empty entry here, a new one each time, so that keep sees the difference.
func (s *slot) clear() { s.kept.Store(&entry{}) }
