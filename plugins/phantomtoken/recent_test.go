package phantomtoken

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/phantomgate/phantomgate/plugins/feed"
	"github.com/phantomgate/phantomgate/plugins/policy"
)

// newTestStore returns the smallest store. It makes all recent that it finds, or nothing.
func newTestStore(t *testing.T, chosen bool) *store {
	t.Helper()
	st, err := newStore(mebibyte, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	st.chosen = func() bool { return chosen }
	return st
}

// inOneSlot is a key that shares its slot with all others of its kind, and not its hash.
func inOneSlot(n byte) key { return key{0: 64, 7: n, 8: 1} }

func (st *store) mustPut(t *testing.T, k key, header string) {
	t.Helper()
	if err := st.put(&entry{key: k, until: math.MaxInt64, header: header}); err != nil {
		t.Error(err) // not Fatal: goroutines put, too
	}
}

// header returns what get finds, "" for nothing.
func (st *store) header(k key) string {
	if token, ok := st.get(&k, 0); ok {
		return token.Header[0]
	}
	return ""
}

// isRecent tells whether k's slot is k's.
func (st *store) isRecent(k key) bool {
	e := st.slotOf(k).kept.Load()
	return e != nil && e.key == k
}

func (st *store) slotOf(k key) *slot {
	s, _ := st.recent.of(&k)
	return s
}

// TestAnEntryIsTheSameInBothStores: what is served of an entry does not depend on where it is found.
func TestAnEntryIsTheSameInBothStores(t *testing.T) {
	st := newTestStore(t, true)
	want := entry{
		key: inOneSlot(1), until: 1234,
		on:     hold{feed.Position{Era: 5, Sequence: 6}, append(make(feed.Reaches, 0, 100), "of a user, and of a client"...)},
		facts:  policy.Facts{Expires: 7, AuthTime: 8, Scopes: 1<<63 | 9, ACR: "passkey"},
		header: "Bearer x.y.z",
	}
	if err := st.put(&want); err != nil {
		t.Fatal(err)
	}
	for _, look := range []struct {
		moment         int64
		served, recent bool // recent: afterwards
	}{{1234, false, false}, {1233, true, true}, {1233, true, true}, {1234, false, true}} {
		token, ok := st.get(&want.key, look.moment)
		if ok != look.served || ok && (token.Facts != want.facts || token.Header[0] != want.header) {
			t.Errorf("%+v: %t %+v", look, ok, token)
		}
		if st.isRecent(want.key) != look.recent {
			t.Errorf("%+v: recent %t", look, !look.recent)
		}
	}
	got := st.slotOf(want.key).kept.Load()
	if !reflect.DeepEqual(*got, want) || cap(got.on.reaches) != len(got.on.reaches) {
		t.Errorf("%+v, want %+v", *got, want)
	}
}

// TestAnotherKeyInTheSameSlot: what stands in a key's slot is another's unless the whole key is the same.
func TestAnotherKeyInTheSameSlot(t *testing.T) {
	st, k := newTestStore(t, true), inOneSlot(1)
	for i := range k {
		st.mustPut(t, k, "Bearer x")
		st.header(k)
		other := k
		other[i] ^= 0x80
		s, hash := st.recent.of(&other)
		s.hash.Store(hash) // as when two keep theirs at the same moment
		if !st.isRecent(k) || st.slotOf(other) != st.slotOf(k) {
			t.Errorf("byte %d differs, and it has another slot", i)
		}
		if got := st.header(other); got != "" {
			t.Errorf("byte %d differs, and it gets %q", i, got)
		}
	}
}

// TestEachHitHasItsOwnHeader: one who changes his in place changes nobody else's.
func TestEachHitHasItsOwnHeader(t *testing.T) {
	for _, recent := range []bool{false, true} {
		st, k := newTestStore(t, recent), inOneSlot(1)
		st.mustPut(t, k, "Bearer x")
		for range 4 {
			token, _ := st.get(&k, 0)
			if token.Header[0] != "Bearer x" {
				t.Fatal(recent, token.Header)
			}
			token.Header[0] = "changed in place"
		}
	}
}

// TestTheLatestIsServed: of what was put under a key the last is served, however large, and whatever was found meanwhile.
func TestTheLatestIsServed(t *testing.T) {
	st, k := newTestStore(t, true), inOneSlot(1)
	large := strings.Repeat("x", recentLargest)
	for _, header := range []string{"Bearer first", "Bearer second", large, large + "again", "Bearer third"} {
		st.mustPut(t, k, header)
		for range 2 {
			if got := st.header(k); got != header {
				t.Errorf("%.20s: got %.20s", header, got)
			}
		}
	}
	if err := st.put(&entry{key: k, until: 1, header: strings.Repeat("x", 4<<20)}); err == nil || st.header(k) != "" {
		t.Errorf("one that cannot be put: %v, then %q is served", err, st.header(k))
	}
}

// TestAnOlderEntryDoesNotComeBack when one is put after BigCache has answered, and before the answer is in the slot.
func TestAnOlderEntryDoesNotComeBack(t *testing.T) {
	for seen, prepare := range map[string]func(*store){
		"nothing":         func(*store) {},
		"another's entry": func(st *store) { st.mustPut(t, inOneSlot(2), "Bearer other"); st.header(inOneSlot(2)) },
	} {
		st, k := newTestStore(t, true), inOneSlot(1)
		st.mustPut(t, k, "Bearer old")
		prepare(st)
		asked := false
		st.chosen = func() bool {
			asked = true
			st.mustPut(t, k, "Bearer new")
			return true
		}
		if got := st.header(k); got != "Bearer old" || !asked {
			t.Fatalf("%s was seen: %q, asked %t", seen, got, asked)
		}
		st.chosen = func() bool { return false }
		if got := st.header(k); got != "Bearer new" {
			t.Errorf("%s was seen: %q came back", seen, got)
		}
	}
}

// TestHitAllocations keeps what get's comment says.
func TestHitAllocations(t *testing.T) {
	k := inOneSlot(1)
	for _, recent := range []bool{false, true} {
		st := newTestStore(t, recent)
		st.mustPut(t, k, "Bearer x")
		want := map[bool]float64{false: 3, true: 1}[recent]
		if n := testing.AllocsPerRun(100, func() { st.get(&k, 0) }); n != want {
			t.Errorf("recent %t: %v, want %v", recent, n, want)
		}
	}
	st := newTestStore(t, true)
	st.mustPut(t, k, "Bearer x")
	if n := testing.AllocsPerRun(100, func() { st.slotOf(k).kept.Store(nil); st.get(&k, 0) }); n != 4 {
		t.Errorf("chosen: %v, want 4", n)
	}
}

// TestOneInFourIsChosen of those that BigCache has.
func TestOneInFourIsChosen(t *testing.T) {
	const times = 4_000
	chosen := 0
	for range times {
		if oneInFour() {
			chosen++
		}
	}
	if chosen < times/5 || chosen > times/3 {
		t.Errorf("%d of %d", chosen, times)
	}
}

// TestRecentIsBounded: a quarter of the cache's bytes, and 16 MiB, at most; a large entry is not there.
func TestRecentIsBounded(t *testing.T) {
	const each = recentLargest + int64(unsafe.Sizeof(entry{})) + int64(unsafe.Sizeof(slot{}))
	for mib, slots := range map[int64]int64{1: 64, 2: 128, 3: 128, 64: 4096, 2048: 4096} {
		got := int64(len(newRecent(mib * mebibyte)))
		if got != slots || got*each > mib*mebibyte/4 || got*each > 16*mebibyte {
			t.Errorf("%d MiB: %d slots of %d bytes, want %d", mib, got, each, slots)
		}
	}
	st, k := newTestStore(t, true), inOneSlot(1)
	reaches := feed.Reaches(make([]byte, 100))
	for length, want := range map[int]bool{recentLargest: true, recentLargest + 1: false} {
		e := entry{key: k, until: 1, on: hold{reaches: reaches}, header: strings.Repeat("x", length-reachesAt-len(reaches))}
		if err := st.put(&e); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := st.header(k); got != e.header || st.isRecent(k) != want {
				t.Errorf("%d bytes: recent %t, found %t", length, st.isRecent(k), got == e.header)
			}
		}
	}
}

// TestManyAtOnce: while some put ever newer entries and others look for them, nobody gets another key's, who alone looks
// for one sees it never go back, and in the end nothing but the last of each is served.
func TestManyAtOnce(t *testing.T) {
	st := newTestStore(t, true)
	const keys, versions = 4, 500
	var putting, looking sync.WaitGroup
	var done atomic.Bool
	for n := range byte(keys) {
		putting.Go(func() {
			for version := range versions {
				st.mustPut(t, inOneSlot(n), fmt.Sprintf("%d %d", n, version))
			}
		})
		looking.Go(func() {
			last := -1
			for !done.Load() {
				header := st.header(inOneSlot(n))
				if header == "" {
					runtime.Gosched()
					continue
				}
				var of byte
				var version int
				if _, err := fmt.Sscan(header, &of, &version); err != nil || of != n || version < last {
					t.Errorf("%d got %q after version %d", n, header, last)
					return
				}
				last = version
			}
		})
	}
	putting.Wait()
	done.Store(true)
	looking.Wait()
	found := 0
	for n := range byte(keys) {
		switch got := st.header(inOneSlot(n)); got {
		case "": // had to make room
		case fmt.Sprintf("%d %d", n, versions-1):
			found++
		default:
			t.Errorf("%d ends with %q", n, got)
		}
	}
	if found == 0 {
		t.Error("nothing is left")
	}
}

// TestNoHashIsZero, by which BigCache marks what was deleted.
func TestNoHashIsZero(t *testing.T) {
	for _, name := range []string{string(make([]byte, len(key{}))), strings.Repeat("x", len(key{})), "short"} {
		if (keyHasher{}).Sum64(name) == 0 {
			t.Errorf("that of %q is", name)
		}
	}
}

// TestUnpackRefusesWhatIsNotWhole: no beginning of a packed entry is one.
func TestUnpackRefusesWhatIsNotWhole(t *testing.T) {
	k := inOneSlot(1)
	e := entry{key: k, on: hold{reaches: feed.Reaches("reaches")}, facts: policy.Facts{ACR: "acr"}}
	whole, err := e.pack()
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, ok := unpack(&k, slices.Clone(whole[:n])); ok {
			t.Errorf("the first %d of %d bytes are taken", n, len(whole))
		}
	}
}
