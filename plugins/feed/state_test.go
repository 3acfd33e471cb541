package feed

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// reachesOf packs keys with their generations.
func reachesOf(pairs ...uint64) Reaches {
	var r Reaches
	for i := 0; i < len(pairs); i += 2 {
		r = binary.LittleEndian.AppendUint64(r, pairs[i])
		r = binary.AppendUvarint(r, pairs[i+1])
	}
	return r
}

// placed returns a State whose feed stands at sequence 100 of epoch "e", and its clock.
func placed() (*State, time.Time) {
	now := time.Now()
	s := NewState(time.Minute, now)
	s.Forget("e", 100, now)
	return s, now
}

func (s *State) mustPlace(t *testing.T, sequence uint64) Position {
	t.Helper()
	p, known := s.Place("e", sequence)
	if !known {
		t.Fatal("epoch e is not known")
	}
	return p
}

func TestNothingIsFreshBeforeTheFirstAnswer(t *testing.T) {
	now := time.Now()
	s := NewState(time.Minute, now)
	if s.Fresh(now, time.Hour) || s.Fresh(now.Add(-time.Hour), time.Hour) {
		t.Error("fresh, and nobody was heard")
	}
	if _, known := s.Place("", 0); known {
		t.Error("an answer without an epoch has a place before the first answer")
	}
	s.Heard(now.Add(time.Second))
	for after, want := range map[time.Duration]bool{0: true, time.Second: true, 6 * time.Second: true, 6*time.Second + 1: false} {
		if got := s.Fresh(now.Add(after), 5*time.Second); got != want {
			t.Errorf("%v after the start: %t", after, got)
		}
	}
	s.Lose()
	if s.Fresh(now.Add(time.Second), time.Hour) {
		t.Error("fresh after all was lost")
	}
}

// TestSleepIsNotFresh: while a machine sleeps its monotonic clock stands still, and the wall's goes on. A wall clock that is set back
// makes nothing fresh.
func TestSleepIsNotFresh(t *testing.T) {
	now := time.Now()
	s := NewState(time.Minute, now)
	s.Heard(now)
	const longest = int64(5 * time.Second)
	for _, test := range []struct {
		name            string
		monotonic, wall time.Duration
		want            bool
	}{
		{"both go on", time.Second, time.Second, true},
		{"it slept", time.Second, time.Hour, false},
		{"the clock was set forward", time.Second, 5 * time.Minute, false},
		{"the clock was set back", time.Second, -5 * time.Minute, true},
		{"the clock was set back, long after", time.Minute, -5 * time.Minute, false},
	} {
		if got := s.fresh(int64(test.monotonic), now.UnixNano()+int64(test.wall), longest); got != test.want {
			t.Errorf("%s: fresh is %t", test.name, got)
		}
	}
}

func TestHolds(t *testing.T) {
	s, now := placed()
	before, after := s.mustPlace(t, 100), s.mustPlace(t, 101)
	mine, others := reachesOf(1, 7, 2, 0), reachesOf(3, 0)
	if !s.Holds(before, mine) || !s.Holds(before, others) {
		t.Fatal("nothing has been revoked")
	}
	s.Apply(101, 2, 1, now)
	for name, test := range map[string]struct {
		p    Position
		r    Reaches
		want bool
	}{
		"one of its keys":             {before, mine, false},
		"another's key":               {before, others, true},
		"read with the event":         {after, reachesOf(1, 7, 2, 1), true},
		"behind, with the generation": {before, reachesOf(2, 1), true},
		"behind, and a later one":     {before, reachesOf(2, 9), true},
		"behind, no keys at all":      {before, nil, false},
		"behind, keys cut off":        {before, others[:8], false},
		"behind, keys with a rest":    {before, append(others[:len(others):len(others)], 1), false},
		"another era":                 {Position{before.Era + 1, 200}, others, false},
		"the era before":              {Position{before.Era - 1, 200}, others, false},
	} {
		if got := s.Holds(test.p, test.r); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	s.Apply(102, 2, 1, now) // once more, and out of its generation's order
	if s.Holds(before, mine) || !s.Holds(before, others) {
		t.Error("a generation that was applied twice")
	}
	s.Skip(110)
	if s.Holds(before, mine) || !s.Holds(s.mustPlace(t, 105), others) {
		t.Error("what was skipped changed what holds")
	}
}

func TestForget(t *testing.T) {
	s, now := placed()
	old := s.mustPlace(t, 500) // read ahead of the feed
	s.Forget("e", 200, now)
	if s.Holds(old, reachesOf(1, 0)) {
		t.Error("what was cached before everything was forgotten holds")
	}
	// An answer that was under way meanwhile: it counts by when it was read.
	if s.Holds(s.mustPlace(t, 199), reachesOf(1, 0)) || !s.Holds(s.mustPlace(t, 200), reachesOf(1, 0)) {
		t.Error("the floor is not where it should be")
	}
	s.Forget("f", 3, now)
	if _, known := s.Place("e", 300); known {
		t.Error("an answer of the epoch before has a place")
	}
	if p, known := s.Place("f", 3); !known || !s.Holds(p, reachesOf(1, 0)) {
		t.Error("an answer of the new epoch has none")
	}
	if !s.JustForgot(now.Add(time.Second-1), time.Second) || s.JustForgot(now.Add(time.Second), time.Second) {
		t.Error("JustForgot")
	}
}

// TestEventsAreKeptLongEnough: an event is remembered for as long as an answer that was read before it may be cached; and
// when it is forgotten, such an answer holds no more, whatever clock it was kept by.
func TestEventsAreKeptLongEnough(t *testing.T) {
	s, now := placed()
	before := s.mustPlace(t, 100)
	s.Apply(101, 1, 1, now)
	between := s.mustPlace(t, 101)
	s.Apply(102, 2, 1, now.Add(59*time.Second))
	if s.Holds(before, reachesOf(1, 0)) || !s.Holds(before, reachesOf(9, 0)) {
		t.Error("after a minute")
	}
	s.Apply(103, 3, 1, now.Add(60*time.Second)) // the first two are the older half now
	if s.Holds(before, reachesOf(1, 0)) || s.Holds(between, reachesOf(2, 0)) || !s.Holds(before, reachesOf(9, 0)) {
		t.Error("in the older half")
	}
	s.Apply(104, 4, 1, now.Add(120*time.Second)) // and are gone
	if s.Holds(before, reachesOf(9, 0)) || s.Holds(between, reachesOf(2, 0)) {
		t.Error("an answer holds of which nothing is known any more")
	}
	if !s.Holds(s.mustPlace(t, 102), reachesOf(9, 0)) || s.Holds(s.mustPlace(t, 102), reachesOf(3, 0)) {
		t.Error("an answer that was read after them")
	}
}

// TestAFloodOfRevocationsIsBounded in memory, and lets nothing pass that it ended.
func TestAFloodOfRevocationsIsBounded(t *testing.T) {
	s, now := placed()
	s.limit = 1000
	first, held := s.mustPlace(t, 100), 0
	for n := range uint64(10_000) {
		sequence := 101 + n
		mine := s.mustPlace(t, sequence-1)
		s.Apply(sequence, n, 1, now)
		if keys := len(s.young.byKey) + len(s.old.byKey); keys > 1000 {
			t.Fatalf("%d keys after %d events", keys, n+1)
		}
		if s.Holds(mine, reachesOf(n, 0)) {
			t.Fatalf("event %d is not obeyed", n)
		}
		if s.Holds(first, reachesOf(0, 0)) {
			t.Fatalf("the first event is forgotten, and not what it ended, after %d", n+1)
		}
		if recent := s.mustPlace(t, sequence-min(n, 400)); s.Holds(recent, reachesOf(1<<40, 0)) {
			held++
		}
	}
	if held != 10_000 {
		t.Errorf("of answers that are 400 events old, %d of 10,000 hold: too much is forgotten", held)
	}
}

// TestNothingEndedHolds walks through random histories beside a model that forgets nothing.
func TestNothingEndedHolds(t *testing.T) {
	type entry struct {
		p          Position
		key, until uint64
	}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		s, now := placed()
		s.limit = 2 + random.IntN(20)
		sequence, generations := uint64(100), map[uint64]uint64{} // what the issuer knows
		ended := func(e entry) bool { return generations[e.key] > e.until }
		var entries []entry
		for range 400 {
			key := random.Uint64N(12)
			switch random.IntN(8) {
			case 0, 1, 2:
				sequence++
				generations[key]++
				s.Apply(sequence, key, generations[key], now)
			case 3:
				sequence += random.Uint64N(3) // missed
				generations[key]++
				s.Forget("e", sequence, now)
			case 4:
				now = now.Add(time.Duration(random.IntN(int(2 * time.Minute))))
			default:
				entries = append(entries, entry{s.mustPlace(t, sequence), key, generations[key]})
			}
			for _, e := range entries {
				if ended(e) && s.Holds(e.p, reachesOf(e.key, e.until)) {
					t.Fatalf("seed %d: %+v holds; the state is at %d, %d", seed, e, s.era.Load(), s.applied.Load())
				}
			}
		}
		// and not by saying no to everything
		if e := (entry{s.mustPlace(t, sequence), 99, 0}); !s.Holds(e.p, reachesOf(e.key, e.until)) {
			t.Fatalf("seed %d: what was just read does not hold", seed)
		}
	}
}

// BenchmarkHolds is what a hit costs in the State: when nothing was revoked since, when something was, and beside all the
// keys that are remembered.
func BenchmarkHolds(b *testing.B) {
	eight := reachesOf(1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0)
	for _, revoked := range []uint64{0, 1, mostKeys} {
		s, now := placed()
		p, _ := s.Place("e", 100)
		for n := range revoked {
			s.Apply(101+n, 1000+n*0x9e3779b97f4a7c15, 1, now)
		}
		s.Heard(now)
		b.Run(fmt.Sprint(revoked), func(b *testing.B) {
			for b.Loop() {
				if !s.Fresh(now, time.Second) || !s.Holds(p, eight) {
					b.Fatal("it does not hold")
				}
			}
		})
	}
}
