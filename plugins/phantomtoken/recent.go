package phantomtoken

import (
	"math/bits"
	"sync/atomic"
)

// recent holds entries that were found lately, decoded and ready to be served: BigCache copies what it gives, and that is
// most of what a hit allocates. Each key has one slot, which it shares with others, so that an entry may go at any time.
type recent []slot

// slot is nil at first.
type slot = atomic.Pointer[entry]

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

// of returns the slot of k.
func (r recent) of(k *key) *slot {
	return &r[keyHasher{}.Sum64(k.name())&uint64(len(r)-1)]
}
