package phantomtoken

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/phantomgate/phantomgate/plugins/feed"
	"github.com/phantomgate/phantomgate/plugins/policy"
)

// key names one answer: the SHA-256 of the reference, then Ask.id for issuer, tenant, audience and scopes. The raw
// reference is in no key and no entry.
type key [sha256.Size + 16]byte

// hashOf reads reference where it stands: a copy of one of any length would be an allocation.
func hashOf(reference string) [sha256.Size]byte {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(reference), len(reference)))
}

func keyOf(hash *[sha256.Size]byte, ask *Ask) (k key) {
	copy(k[:], hash[:])
	copy(k[sha256.Size:], ask.id[:])
	return k
}

// name returns k as the string that BigCache wants, without a copy: k must not be changed while it is used.
func (k *key) name() string { return unsafe.String(&k[0], len(k)) }

// keyHasher spreads keys, which are hashes already.
type keyHasher struct{}

// Sum64 never returns 0, by which BigCache (3.1.0) marks what was deleted: when an entry with that hash has had to
// make room, putting it again may panic, or write into another's.
func (keyHasher) Sum64(name string) uint64 {
	if len(name) != len(key{}) {
		return 1
	}
	b := unsafe.Slice(unsafe.StringData(name), len(key{}))
	return max(binary.LittleEndian.Uint64(b)^binary.LittleEndian.Uint64(b[sha256.Size:]), 1)
}

// entry is a phantom token as it is remembered.
type entry struct {
	key    key
	until  int64 // the moment, in Unix milliseconds, from which it is not served
	on     hold
	facts  policy.Facts
	header string // the value of Authorization
}

// hold is what an entry hangs on: where in the feed it was read, and what can end it. It is zero without a feed.
type hold struct {
	position feed.Position
	reaches  feed.Reaches
}

// token returns e as a caller gets it: with a header of its own, as some programs change headers in place.
func (e *entry) token() Token { return Token{Header: []string{e.header}, Facts: e.facts} }

// A packed entry is six 64-bit numbers (served until, expires, auth_time, scopes; era and sequence of its position in the
// feed), the lengths of its reaches and of its acr in 16 bits each, then these two, and the header. Its key is not in it.
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

// pack returns e as bytes that nobody else holds.
func (e *entry) pack() ([]byte, error) {
	reaches, acr := e.on.reaches, e.facts.ACR
	if len(acr) > 1<<16-1 || len(reaches) > 1<<16-1 {
		return nil, fmt.Errorf("its acr has %d bytes, its keys %d", len(acr), len(reaches))
	}
	packed := make([]byte, 0, reachesAt+len(reaches)+len(acr)+len(e.header))
	packed = binary.LittleEndian.AppendUint64(packed, uint64(e.until))
	packed = binary.LittleEndian.AppendUint64(packed, uint64(e.facts.Expires))
	packed = binary.LittleEndian.AppendUint64(packed, uint64(e.facts.AuthTime))
	packed = binary.LittleEndian.AppendUint64(packed, e.facts.Scopes)
	packed = binary.LittleEndian.AppendUint64(packed, e.on.position.Era)
	packed = binary.LittleEndian.AppendUint64(packed, e.on.position.Sequence)
	packed = binary.LittleEndian.AppendUint16(packed, uint16(len(reaches)))
	packed = binary.LittleEndian.AppendUint16(packed, uint16(len(acr)))
	packed = append(packed, reaches...)
	packed = append(packed, acr...)
	return append(packed, e.header...), nil
}

// unpack reads what pack made of the entry of k. The entry points into packed, to which nobody may write any more.
func unpack(k *key, packed []byte) (e entry, ok bool) {
	if len(packed) < reachesAt {
		return entry{}, false
	}
	acrAt := reachesAt + int(binary.LittleEndian.Uint16(packed[lengthsAt:]))
	headerAt := acrAt + int(binary.LittleEndian.Uint16(packed[lengthsAt+2:]))
	if len(packed) < headerAt {
		return entry{}, false
	}
	text := unsafe.String(&packed[0], len(packed))
	return entry{
		key:   *k,
		until: int64(binary.LittleEndian.Uint64(packed[untilAt:])),
		on: hold{
			position: feed.Position{Era: binary.LittleEndian.Uint64(packed[eraAt:]), Sequence: binary.LittleEndian.Uint64(packed[sequenceAt:])},
			reaches:  feed.Reaches(packed[reachesAt:acrAt:acrAt]),
		},
		facts: policy.Facts{
			Expires:  int64(binary.LittleEndian.Uint64(packed[expiresAt:])),
			AuthTime: int64(binary.LittleEndian.Uint64(packed[authTimeAt:])),
			Scopes:   binary.LittleEndian.Uint64(packed[scopesAt:]),
			ACR:      text[acrAt:headerAt],
		},
		header: text[headerAt:],
	}, true
}
