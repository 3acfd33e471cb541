package phantomtoken

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/allegro/bigcache/v3"

	"github.com/phantomgate/phantomgate/plugins/feed"
)

// store is the cache of verified phantom tokens: BigCache, bounded in bytes, oldest out first, and before it entries that
// were found lately. Entries say themselves until when they are served; BigCache's own clock only decides when their room
// is used again.
type store struct {
	cache  *bigcache.BigCache
	recent recent
	feed   *feed.State // nil without one
	// chosen picks which of BigCache's entries are made ready among the recent.
	chosen func() bool
}

const (
	mebibyte      = 1 << 20
	leastShard    = 256 << 10 // bytes a shard has at least, so that the largest token fits with room to spare
	mostShards    = 256
	expectedEntry = 1024
	rememberedFor = 10 * time.Second // beyond its end, as known; see knew
)

func newStore(maxBytes int64, maxAge time.Duration) (*store, error) {
	mib := max(maxBytes/mebibyte, 1)
	shards := min(mib*mebibyte/leastShard, mostShards)
	shards = 1 << (bits.Len64(uint64(shards)) - 1) // a power of two
	cache, err := bigcache.New(context.Background(), bigcache.Config{
		Shards:             int(shards),
		HardMaxCacheSize:   int(mib),
		LifeWindow:         maxAge + rememberedFor, // whole seconds, rounded down
		CleanWindow:        0,                      // no goroutine: each write clears what has ended
		MaxEntriesInWindow: int(shards),
		MaxEntrySize:       expectedEntry,
		Hasher:             keyHasher{},
		Logger:             log.New(io.Discard, "", 0),
	})
	if err != nil {
		return nil, fmt.Errorf("token cache: %w", err)
	}
	return &store{cache: cache, recent: newRecent(mib * mebibyte), chosen: oneInFour}, nil
}

// get finds the token of k that is still served at now (Unix milliseconds) and that nothing has ended which was heard of.
// It makes 1 allocation for one that is recent. For one that only BigCache has it makes 3, and a fourth if it is chosen.
func (st *store) get(k *key, now int64) (Token, bool) {
	s, hash := st.recent.of(k)
	seen := s.kept.Load()
	if s.hash.Load() == hash && seen != nil && seen.key == *k && st.serves(seen, now) {
		return seen.token(), true
	}
	return st.find(k, now, s, hash, seen)
}

// find asks BigCache; seen is what stood in k's slot s before.
func (st *store) find(k *key, now int64, s *slot, hash uint64, seen *entry) (Token, bool) {
	hit := &struct { // one allocation for both
		key    key
		header [1]string
	}{key: *k}
	packed, err := st.cache.Get(hit.key.name())
	if err != nil {
		return Token{}, false
	}
	found, ok := unpack(k, packed) // BigCache has made this copy for us, and nobody writes to it
	if !ok || !st.serves(&found, now) {
		return Token{}, false
	}
	if len(packed) <= recentLargest && st.chosen() {
		s.keep(found, hash, seen)
	}
	hit.header[0] = found.header
	return Token{Header: hit.header[:], Facts: found.facts}, true
}

// serves tells whether e is still served at now. It is asked about each entry, wherever it was found.
func (st *store) serves(e *entry, now int64) bool {
	return now < e.until && (st.feed == nil || st.feed.Holds(e.on.position, e.on.reaches))
}

// knew tells whether BigCache has an entry of k, still served or not: the issuer said yes a moment ago.
func (st *store) knew(k key) bool {
	_, err := st.cache.Get(k.name())
	return err == nil
}

// put remembers e, in place of what was remembered of its key. On an error e is not remembered; the one before may be.
func (st *store) put(e *entry) error {
	packed, err := e.pack()
	if err != nil {
		return err
	}
	err = st.cache.Set(e.key.name(), packed)
	// Only after Set: whoever got the old entry from BigCache either kept it before this, which removes it, or fails to
	// keep it, since the slot has changed.
	s, _ := st.recent.of(&e.key)
	s.clear()
	return err
}

// oneInFour says yes once in four times, by chance: where most tokens come but once in a while, making them ready for the
// next time costs more than it gives.
func oneInFour() bool { return rand.Uint32()%4 == 0 }

// randomJitter is how much of the possible jitter an entry gets: [0, 1).
func randomJitter() float64 { return rand.Float64() }
