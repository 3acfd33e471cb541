package feed

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// State is what is known of revocations at this moment: up to where the feed has been applied, which keys have moved on
// since, and when the issuer was last heard. One Feed writes it, any number of requests read it: mostly without a lock.
//
// It promises that Holds never says yes of what an applied event has ended. It may say no of what still holds: when too
// much was revoked to remember it all, or when it is not certain that nothing was missed.
type State struct {
	began time.Time     // what the monotonic times count from
	keep  time.Duration // how long an event is remembered at least, unless there are too many
	limit int           // keys that are remembered

	foreign bool // the transmitter is not phantomgate's

	heard     atomic.Int64 // when the last answered poll was sent, in nanoseconds from began; never until then
	heardWall atomic.Int64 // the same by the wall clock, in Unix nanoseconds
	forgotten atomic.Int64 // when everything was last forgotten, the same

	// The position: how often everything was forgotten, and the last sequence applied since.
	era, applied atomic.Uint64

	mu         sync.RWMutex
	epoch      string // the issuer's name for the time in which sequences can be compared; "" before the first answer
	floor      uint64 // of what was read before this sequence nothing is known any more
	young, old generations
}

// Position is a place in the feed as one State counts: no other State understands it.
type Position struct {
	// Era is how often that State had forgotten everything.
	Era uint64
	// Sequence is the issuer's.
	Sequence uint64
}

// generations are some of the keys that have moved on, each with the highest generation that was applied.
type generations struct {
	byKey  map[uint64]uint64
	anyone uint64 // the same of all keys there are (Flush)
	last   uint64 // the highest sequence among their events
	since  time.Time
}

const (
	// never is the time of what has not happened.
	never = math.MinInt64
	// mostKeys bounds the keys that are remembered: some 5 MB. When more are revoked while cached answers live, the older
	// half of the keys is forgotten, and with it every answer that was read before the last of those events.
	mostKeys = 1 << 17
)

// NewState returns a State that knows nothing yet, so that nothing is fresh. Events are remembered for keep: no shorter
// than an answer is cached and the question for it takes, or else answers are asked for again early. now is any time
// with a monotonic reading.
func NewState(keep time.Duration, now time.Time) *State {
	s := &State{began: now, keep: keep, limit: mostKeys}
	s.heard.Store(never)
	s.forgotten.Store(never)
	return s
}

// NewForeignState is NewState for a transmitter that is not phantomgate's.
func NewForeignState(keep time.Duration, now time.Time) *State {
	s := NewState(keep, now)
	s.foreign = true
	return s
}

// Fresh tells whether the issuer has been heard within longest of now: whatever was revoked before that has been applied.
func (s *State) Fresh(now time.Time, longest time.Duration) bool {
	return s.fresh(int64(now.Sub(s.began)), now.UnixNano(), int64(longest))
}

// fresh goes by both clocks. The monotonic one is set by nobody, but stands still while a machine sleeps; the wall clock does
// not, and whoever sets it forward makes nothing fresh that was not.
func (s *State) fresh(monotonic, wall, longest int64) bool {
	heard := s.heard.Load()
	return heard != never && monotonic-heard <= longest && wall-s.heardWall.Load() <= longest
}

// JustForgot tells whether everything was forgotten within the given time before now.
func (s *State) JustForgot(now time.Time, within time.Duration) bool {
	forgotten := s.forgotten.Load()
	return forgotten != never && int64(now.Sub(s.began))-forgotten < int64(within)
}

// Place returns the Position of an answer that the issuer gave at sequence of epoch. Nothing is known about an answer of
// an epoch that is not the present one.
func (s *State) Place(epoch string, sequence uint64) (p Position, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Position{s.era.Load(), sequence}, s.epoch != "" && s.epoch == epoch
}

// Foreign tells whether the events are those of a transmitter that is not phantomgate's. Then answers have no position of
// their own: Here gives one.
func (s *State) Foreign() bool { return s.foreign }

// Here returns the Position of what is asked now. It is not known before the feed has begun.
func (s *State) Here() (p Position, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Position{s.era.Load(), s.applied.Load()}, s.epoch != ""
}

// Untouched tells whether no event that is remembered ends what hangs on reaches, however long ago it came: what a foreign
// issuer's answer says may be older than the answer.
func (s *State) Untouched(reaches Reaches) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	anyone := max(s.young.anyone, s.old.anyone)
	for {
		key, generation, rest, ok := reaches.next()
		if !ok || anyone > generation || max(s.young.byKey[key], s.old.byKey[key]) > generation {
			return false
		}
		if len(rest) == 0 {
			return true
		}
		reaches = rest
	}
}

// Holds tells whether no event that has been applied ended what was read at p and hangs on reaches. It says no, too, when
// that cannot be told any more.
func (s *State) Holds(p Position, reaches Reaches) bool {
	if p.Era != s.era.Load() {
		return false
	}
	// What was read later than everything that has been applied needs no further look.
	return p.Sequence >= s.applied.Load() || s.holdsBehind(p, reaches)
}

func (s *State) holdsBehind(p Position, reaches Reaches) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p.Era != s.era.Load() || p.Sequence < s.floor {
		return false
	}
	for {
		key, generation, rest, ok := reaches.next()
		if !ok || s.young.byKey[key] > generation || p.Sequence < s.old.last && s.old.byKey[key] > generation {
			return false
		}
		if len(rest) == 0 {
			return true
		}
		reaches = rest
	}
}

// Apply notes an event: of key, every generation below this one has ended. When it returns, Holds obeys. The events of an
// answer come in the order of their sequences.
func (s *State) Apply(sequence, key, generation uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	s.young.byKey[key] = max(s.young.byKey[key], generation)
	s.young.last = sequence
	s.applied.Store(sequence)
}

// turn makes the young keys the old ones when it is time, or when they are too many.
func (s *State) turn(now time.Time) {
	if s.young.byKey == nil || len(s.young.byKey) >= s.limit/2 || now.Sub(s.young.since) >= s.keep {
		s.floor = max(s.floor, s.old.last)
		s.old, s.young = s.young, generations{byKey: map[uint64]uint64{}, since: now}
	}
}

// Turn lets go of what was noted long ago, which Apply does too. Without it an event on everything would be remembered until
// others come.
func (s *State) Turn(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
}

// Flush notes an event of a foreign transmitter that may be on any key: whatever was read before holds no more, and every
// generation below this one is touched.
func (s *State) Flush(sequence, generation uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	s.young.anyone = max(s.young.anyone, generation)
	s.young.last = sequence
	s.forget(s.epoch, sequence, now)
}

// Skip notes that the event of this sequence, and all before it, end nothing that is known here.
func (s *State) Skip(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied.Store(sequence)
}

// Forget says that events may have been missed: whatever was read before sequence of epoch holds no more. The feed goes on
// from there. What a foreign transmitter's events named is remembered all the same, since its issuer's answers may lag.
func (s *State) Forget(epoch string, sequence uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.foreign {
		s.young, s.old = generations{}, generations{}
	}
	s.forget(epoch, sequence, now)
}

func (s *State) forget(epoch string, sequence uint64, now time.Time) {
	s.era.Add(1)
	s.epoch, s.floor = epoch, sequence
	s.applied.Store(sequence)
	s.forgotten.Store(int64(now.Sub(s.began)))
}

// Heard says that the poll which was sent then has been answered, that nothing else had been revoked, and that all of it
// has been applied.
func (s *State) Heard(sent time.Time) {
	s.heardWall.Store(sent.UnixNano()) // first: who sees the other one sees this
	s.heard.Store(int64(sent.Sub(s.began)))
}

// Lose says that nobody knows any more what was revoked: nothing is fresh until the issuer is heard again.
func (s *State) Lose() { s.heard.Store(never) }
