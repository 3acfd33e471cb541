package plugins_test

import (
	"testing"

	"github.com/phantomgate/phantomgate/plugins/controltest"
)

// cacheControls are faults in how a phantom token is remembered.
var cacheControls = [][5]string{
	{"what is recent is served for ever", "phantomtoken/store.go", "*k && st.serves(seen, now) {", "*k && (st.feed == nil || st.feed.Holds(seen.on.position, seen.on.reaches)) {", "TestAnEntryIsTheSameInBothStores"},
	{"what is recent is not held against the feed", "phantomtoken/store.go", "*k && st.serves(seen, now) {", "*k && now < seen.until {", "TestARevocationEndsAHit"},
	{"what BigCache has is served for ever", "phantomtoken/store.go", "!ok || !st.serves(&found, now)", "!ok", "TestAnEntryIsTheSameInBothStores"},
	{"what has ended is made recent", "phantomtoken/store.go", "	if !ok || !st.serves(", "	s.keep(found, hash, seen)\n	if !ok || !st.serves(", "TestAnEntryIsTheSameInBothStores"},
	{"whoever shares the slot gets what is there", "phantomtoken/store.go", "seen.key == *k && st", "st", "TestAnotherKeyInTheSameSlot"},
	{"half of the key is looked at", "phantomtoken/store.go", "seen.key == *k && st", "[24]byte(seen.key[:]) == [24]byte(k[:]) && st", "TestAnotherKeyInTheSameSlot"},
	{"most of the key is looked at", "phantomtoken/store.go", "seen.key == *k && st", "[40]byte(seen.key[:]) == [40]byte(k[:]) && st", "TestAnotherKeyInTheSameSlot"},
	{"what is recent is not found by its hash", "phantomtoken/recent.go", "		s.hash.Store(hash)\n", "		_ = hash\n", "TestHitAllocations"},
	{"a hash is as good as the key", "phantomtoken/store.go", "seen.key == *k && st", "seen.key != (key{}) && st", "TestAnotherKeyInTheSameSlot"},
	{"seven bytes of the key are not looked at", "phantomtoken/store.go", "seen.key == *k && st", "[33]byte(seen.key[:]) == [33]byte(k[:]) && [8]byte(seen.key[40:]) == [8]byte(k[40:]) && st", "TestAnotherKeyInTheSameSlot"},
	{"nothing is recent", "phantomtoken/store.go", "seen != nil && seen.key == *k", "now < 0 && seen.key == *k", "TestHitAllocations"},
	{"hits share a header", "phantomtoken/entry.go", "Token{Header: []string{e.header}", "Token{Header: unsafe.Slice(&e.header, 1)", "TestEachHitHasItsOwnHeader"},
	{"the one before stays", "phantomtoken/store.go", "	s.clear()\n", "	_ = s\n", "TestTheLatestIsServed"},
	{"the one before stays after a failure", "phantomtoken/store.go", "	s.clear()\n", "	if err == nil {\n		s.clear()\n	}\n", "TestTheLatestIsServed"},
	{"one empty slot is like the other", "phantomtoken/recent.go", "Store(&entry{})", "Store(nil)", "TestAnOlderEntryDoesNotComeBack"},
	{"an older one comes back", "phantomtoken/recent.go", "if s.kept.CompareAndSwap(seen, &e) {", "if s.kept.Store(&e); seen != &e {", "TestAnOlderEntryDoesNotComeBack"},
	{"the slot is looked at too late", "phantomtoken/store.go", "		s.keep(found, hash, seen)", "		s.keep(found, hash, s.kept.Load())", "TestAnOlderEntryDoesNotComeBack"},
	{"large entries are recent", "phantomtoken/store.go", "len(packed) <= recentLargest && ", "", "TestRecentIsBounded"},
	{"there are slots without end", "phantomtoken/recent.go", "min(uint64(maxBytes)/bytesPerSlot, mostSlots)", "uint64(maxBytes) / bytesPerSlot", "TestRecentIsBounded"},
	{"all that is found is recent", "phantomtoken/store.go", "return rand.Uint32()%4 == 0", "return true", "TestOneInFourIsChosen"},
	{"a hash may be 0", "phantomtoken/entry.go", "b[sha256.Size:]), 1)", "b[sha256.Size:]), 0)", "TestNoHashIsZero"},
	{"half an entry is read", "phantomtoken/entry.go", "if len(packed) < headerAt {", "if packed = append(packed, make([]byte, headerAt)...); false {", "TestUnpackRefusesWhatIsNotWhole"},
}

func TestCacheControls(t *testing.T) { controltest.Run(t, controltest.Table(cacheControls)) }
