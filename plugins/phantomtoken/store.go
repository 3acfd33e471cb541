package phantomtoken

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"math/bits"
	"math/rand/v2"
	"time"
	"unsafe"

	"github.com/allegro/bigcache/v3"

	"github.com/phantomgate/phantomgate/plugins/feed"
	"github.com/phantomgate/phantomgate/plugins/policy"
)

// key names one answer: the SHA-256 of the reference, then Ask.id for issuer, tenant, audience and scopes. The raw
// reference is in no key and no entry.
type key [sha256.Size + 16]byte

// keyOf hashes reference, which it reads where it stands: a copy of one of any length would be an allocation.
func keyOf(reference string, ask *Ask) (k key) {
	sum := sha256.Sum256(unsafe.Slice(unsafe.StringData(reference), len(reference)))
	copy(k[:], sum[:])
	copy(k[sha256.Size:], ask.id[:])
	return k
}

// slot holds what one look into the store allocates, in one piece: the key looked for, and the header that is found.
type slot struct {
	key    key
	header [1]string
}

// name returns the key as the string that BigCache wants, without a copy. The key is not changed afterwards.
func (s *slot) name() string { return unsafe.String(&s.key[0], len(s.key)) }

// store is the cache of verified phantom tokens: BigCache, bounded in bytes, oldest out first. Entries say themselves
// until when they are served; BigCache's own clock only decides when their room is used again.
type store struct {
	cache *bigcache.BigCache
	feed  *feed.State // nil without one
}

// hold is what an entry hangs on: where in the feed it was read, and what can end it. It is zero without a feed.
type hold struct {
	position feed.Position
	reaches  feed.Reaches
}

// An entry is six 64-bit numbers (served until, expires, auth_time, scopes; era and sequence of its position in the feed),
// the lengths of its reaches and of its acr in 16 bits each, then these two, and the ready header value.
const (
	untilAt    = 0
	expiresAt  = 8
	authTimeAt = 16
	scopesAt   = 24
	eraAt      = 32
	sequenceAt = 40
	lengthsAt  = 48
	reachesAt  = 52
)

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
	return &store{cache: cache}, nil
}

// keyHasher spreads keys, which are hashes already.
type keyHasher struct{}

func (keyHasher) Sum64(name string) uint64 {
	if len(name) != len(key{}) {
		return 0
	}
	b := unsafe.Slice(unsafe.StringData(name), len(key{}))
	return binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(b[sha256.Size:])
}

// get finds the entry of s.key that is still served at now (Unix milliseconds) and that nothing has ended which was heard
// of, and puts its header in s.
func (st *store) get(s *slot, now int64) (policy.Facts, bool) {
	entry, err := st.cache.Get(s.name())
	if err != nil || len(entry) < reachesAt {
		return policy.Facts{}, false
	}
	if now >= int64(binary.LittleEndian.Uint64(entry[untilAt:])) {
		return policy.Facts{}, false
	}
	acrAt := reachesAt + int(binary.LittleEndian.Uint16(entry[lengthsAt:]))
	headerAt := acrAt + int(binary.LittleEndian.Uint16(entry[lengthsAt+2:]))
	if st.feed != nil {
		read := feed.Position{Era: binary.LittleEndian.Uint64(entry[eraAt:]), Sequence: binary.LittleEndian.Uint64(entry[sequenceAt:])}
		if !st.feed.Holds(read, entry[reachesAt:acrAt]) {
			return policy.Facts{}, false
		}
	}
	// BigCache has made this copy for us, and nobody writes to it: strings may point into it.
	text := unsafe.String(&entry[0], len(entry))
	s.header[0] = text[headerAt:]
	return policy.Facts{
		Expires:  int64(binary.LittleEndian.Uint64(entry[expiresAt:])),
		AuthTime: int64(binary.LittleEndian.Uint64(entry[authTimeAt:])),
		Scopes:   binary.LittleEndian.Uint64(entry[scopesAt:]),
		ACR:      text[acrAt:headerAt],
	}, true
}

// knew tells whether there is an entry of k, still served or not: the issuer said yes a moment ago.
func (st *store) knew(k key) bool {
	_, err := st.cache.Get((&slot{key: k}).name())
	return err == nil
}

// put stores s.header under s.key until the given moment (Unix milliseconds), or until what it hangs on has ended.
func (st *store) put(s *slot, facts policy.Facts, on hold, until int64) error {
	if len(facts.ACR) > 1<<16-1 || len(on.reaches) > 1<<16-1 {
		return fmt.Errorf("its acr has %d bytes, its keys %d", len(facts.ACR), len(on.reaches))
	}
	entry := make([]byte, 0, reachesAt+len(on.reaches)+len(facts.ACR)+len(s.header[0]))
	entry = binary.LittleEndian.AppendUint64(entry, uint64(until))
	entry = binary.LittleEndian.AppendUint64(entry, uint64(facts.Expires))
	entry = binary.LittleEndian.AppendUint64(entry, uint64(facts.AuthTime))
	entry = binary.LittleEndian.AppendUint64(entry, facts.Scopes)
	entry = binary.LittleEndian.AppendUint64(entry, on.position.Era)
	entry = binary.LittleEndian.AppendUint64(entry, on.position.Sequence)
	entry = binary.LittleEndian.AppendUint16(entry, uint16(len(on.reaches)))
	entry = binary.LittleEndian.AppendUint16(entry, uint16(len(facts.ACR)))
	entry = append(entry, on.reaches...)
	entry = append(entry, facts.ACR...)
	entry = append(entry, s.header[0]...)
	return st.cache.Set(s.name(), entry)
}

// randomJitter is how much of the possible jitter an entry gets: [0, 1).
func randomJitter() float64 { return rand.Float64() }
