package users

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// How many failed attempts are free, and how fast they come back. Guessing one login gets some 3,000 tries a day; one
// address may be an office behind a NAT.
const (
	loginBurst   = 20
	loginEvery   = 30 * time.Second
	addressBurst = 100
	addressEvery = time.Second
)

// slots is how many buckets there are for what is not known beforehand. Strangers who share one share its limit; nobody
// can choose whom to share with, since the hash is seeded at random. The memory is fixed, so a flood evicts nothing.
const slots = 1 << 14

// throttle counts failed attempts by login and by address.
type throttle struct {
	now  func() time.Time
	seed maphash.Seed

	mu        sync.Mutex
	known     map[string]*bucket // of the logins that there are: strangers cannot crowd them
	unknown   [slots]bucket
	addresses [slots]bucket
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, seed: maphash.MakeSeed(), known: map[string]*bucket{}}
}

// know gives a login a bucket of its own. It is not safe beside take.
func (t *throttle) know(login string) { t.known[login] = &bucket{} }

// take counts an attempt for both, or for neither and fails with ThrottledError. giveBack uncounts it.
func (t *throttle) take(login, remoteAddr string) (giveBack func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	byLogin := t.known[login]
	if byLogin == nil {
		byLogin = &t.unknown[maphash.String(t.seed, login)%slots]
	}
	byAddress := &t.addresses[maphash.String(t.seed, network(remoteAddr))%slots]
	now := t.now()
	if wait := max(byLogin.wait(now, loginBurst, loginEvery), byAddress.wait(now, addressBurst, addressEvery)); wait > 0 {
		return nil, ThrottledError{RetryAfter: wait}
	}
	byLogin.take(now, loginEvery)
	byAddress.take(now, addressEvery)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		byLogin.emptyAt = byLogin.emptyAt.Add(-loginEvery)
		byAddress.emptyAt = byAddress.emptyAt.Add(-addressEvery)
	}, nil
}

// bucket leaks one attempt an interval. It holds no more than the time when it will have run empty.
type bucket struct{ emptyAt time.Time }

func (b *bucket) wait(now time.Time, burst int, every time.Duration) time.Duration {
	held := max(0, b.emptyAt.Sub(now)) // a bucket never used ran empty so long ago that its distance overflows
	return max(0, held-time.Duration(burst-1)*every)
}

func (b *bucket) take(now time.Time, every time.Duration) {
	if b.emptyAt.Before(now) {
		b.emptyAt = now
	}
	b.emptyAt = b.emptyAt.Add(every)
}

// network is what one attacker is assumed to have: an IPv4 address, or a /64 of IPv6.
func network(remoteAddr string) string {
	address, err := netip.ParseAddr(remoteAddr)
	if err != nil {
		withPort, err := netip.ParseAddrPort(remoteAddr)
		if err != nil {
			return remoteAddr // not an address: all such share what they spell
		}
		address = withPort.Addr()
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return remoteAddr
	}
	return prefix.String()
}
