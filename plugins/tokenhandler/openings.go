package tokenhandler

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
)

// opening is what a cookie's value opened to, and read as. It is shared: nobody may write to it.
type opening struct {
	// Where it is kept, and what it is found by.
	sum     uint64
	purpose purpose
	value   string

	access access            // of an access cookie
	hash   [sha256.Size]byte // of its reference
	stamp  stamp
	text   []byte // of any other cookie: what follows the stamp
}

// readOpening reads what was sealed for p; nil when that is no text of ours.
func readOpening(p purpose, text []byte) *opening {
	o := &opening{purpose: p}
	var ok bool
	if o.text, ok = o.stamp.read(text); !ok {
		return nil
	}
	if p != forAccess {
		return o
	}
	if len(o.text) < 16 {
		return nil
	}
	o.access = access{
		expires:   int64(binary.BigEndian.Uint64(o.text)),
		renew:     int64(binary.BigEndian.Uint64(o.text[8:])),
		reference: textOf(o.text[16:]),
	}
	o.hash = sha256.Sum256(o.text[16:])
	o.text = nil
	return o
}

// openings remembers what access and CSRF cookies opened to: a browser sends the same ones for minutes, and AES over them takes
// longer than all else that is done for its request. What a value opens to never changes while the keys do not, and a
// Handler's never do. All that can change (the session's end, a logout, which cookies come together, the CSRF header) is
// judged on every request.
//
// Each value has a set in which it may stand, chosen by a hash that nobody outside can foresee; a new one takes the place of the
// older one there. So it is bounded, takes no lock, and needs no cleaning. Only what did open is kept: a flood of made-up
// values leaves nothing here. And since a value is compared with those that stand here only when its hash is theirs, the time
// that takes says nothing about them.
type openings struct {
	seed maphash.Seed
	sets [openingSets][openingWays]atomic.Pointer[opening]
}

const (
	openingSets    = 1 << 13
	openingWays    = 2
	longestOpening = 1 << 10 // bytes of a value that is kept; all of it together is below 32 MiB
)

func newOpenings() *openings { return &openings{seed: maphash.MakeSeed()} }

// kept tells whether p's cookies are remembered.
func (p purpose) kept() bool { return p == forAccess || p == forCSRF }

// get returns what value opened to as p's cookie, or nil. It allocates nothing.
func (o *openings) get(p purpose, value string) *opening {
	if len(value) > longestOpening {
		return nil
	}
	sum := maphash.String(o.seed, value)
	set := &o.sets[sum%openingSets]
	for i := range set {
		if found := set[i].Load(); found != nil && found.sum == sum && found.purpose == p && found.value == value {
			return found
		}
	}
	return nil
}

// put remembers what value opened to. found is shared from now on.
func (o *openings) put(value string, found *opening) {
	if len(value) > longestOpening {
		return
	}
	// The value is a part of a whole header. What is needed right after it stands behind it: on a hit, memory that lies apart costs
	// more than all that is done with it.
	all := value + found.access.reference + textOf(found.text)
	found.value = all[:len(value)]
	found.access.reference = all[len(value) : len(all)-len(found.text)]
	found.text = bytesOf(all[len(all)-len(found.text):])
	found.sum = maphash.String(o.seed, value)
	set := &o.sets[found.sum%openingSets]
	set[1].Store(set[0].Swap(found))
}
