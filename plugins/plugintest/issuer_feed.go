package plugintest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// feedSide is the revocation feed of the fake issuer (docs/revocation-feed.md).
type feedSide struct {
	epochs      int    // the present one's number
	sequence    uint64 // of the last event
	events      map[uint64]feedEvent
	generations map[string]uint64 // by key
	streams     map[string]*feedStream
	made        int // streams so far
	polls       int // that have arrived
	faults      FeedFaults
	errs        map[string]string // jti that a gateway said it could not use, and why
	changed     chan struct{}     // closed and replaced at every event
}

type feedEvent struct {
	key        string // "" when it is another tenant's
	generation uint64
}

type feedStream struct {
	position uint64 // everything up to it is acknowledged
	acked    map[string]bool
	reset    bool // it is to be told to forget everything
	polls    int  // that have arrived
}

// FeedFaults are what is wrong with the feed. The zero value is a healthy one.
type FeedFaults struct {
	// Silent keeps every answer of the feed back until it is closed.
	Silent <-chan struct{}
	// Status, when set, is all that polls are answered.
	Status int
	// Mint changes an event's header and claims before they are signed.
	Mint func(header map[string]any, claims jwt.MapClaims)
	// Sign replaces the signing; k holds the issuer's keys.
	Sign func(k *keyring, header map[string]any, claims jwt.MapClaims) string
	// LeaveOut leaves the events out of answers that go on behind them.
	LeaveOut bool
	// Deaf forgets what is acknowledged, so that it comes again.
	Deaf bool
}

const (
	// firstSequence is such that the order of the next ids as text is not that of the events.
	firstSequence = 97
	// feedBeat is after how long an empty answer comes.
	feedBeat = 50 * time.Millisecond

	eventRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	eventReset   = "https://phantomgate.dev/secevent/event-type/reset"
)

func newFeedSide() feedSide {
	return feedSide{epochs: 1, sequence: firstSequence, events: map[uint64]feedEvent{}, generations: map[string]uint64{},
		streams: map[string]*feedStream{}, errs: map[string]string{}, changed: make(chan struct{})}
}

func (f *feedSide) epoch() string { return fmt.Sprintf("epoch-%d", f.epochs) }

// keyOf names a reach as the feed does: opaque, 22 characters.
func keyOf(kind, id string) string {
	sum := sha256.Sum256([]byte(kind + " " + id))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// followed returns the headers that a gateway's cache follows a token by. i.mu is held.
func (f *feedSide) followed(reference string, token Token) map[string]string {
	var keys []string
	for _, key := range []string{keyOf("everything", ""), keyOf("user", token.Subject), keyOf("token", reference)} {
		keys = append(keys, fmt.Sprintf("%s=%d", key, f.generations[key]))
	}
	return map[string]string{
		"Revocation-Keys":     strings.Join(keys, ", "),
		"Revocation-Position": fmt.Sprintf("%s.%d", f.epoch(), f.sequence),
	}
}

// revoked makes an event. i.mu is held.
func (f *feedSide) revoked(key string) {
	f.sequence++
	f.generations[key]++
	f.events[f.sequence] = feedEvent{key, f.generations[key]}
	f.wake()
}

func (f *feedSide) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// RevokeUser ends every token of a user.
func (i *Issuer) RevokeUser(subject string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, token := range i.tokens {
		if token.Subject == subject {
			token.Expires = time.Time{}
		}
	}
	i.feed.revoked(keyOf("user", subject))
}

// RevokeElsewhere is a revocation in another tenant, of which a gateway
// hears nothing but that it took a sequence.
func (i *Issuer) RevokeElsewhere() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.sequence++
	i.feed.events[i.feed.sequence] = feedEvent{}
	i.feed.wake()
}

// Feed sets what is wrong with the feed from now on; FeedFaults{} is nothing.
func (i *Issuer) Feed(faults FeedFaults) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.faults = faults
	i.feed.wake()
}

// LoseEvents takes what has been revoked so far for acknowledged, so that
// whoever has not heard of it never will.
func (i *Issuer) LoseEvents() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.feed.streams {
		s.position = i.feed.sequence
	}
}

// ResetStreams has every stream be told to forget everything, in place of
// what it has not heard yet.
func (i *Issuer) ResetStreams() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.sequence++
	for _, s := range i.feed.streams {
		s.reset = true
	}
	i.feed.wake()
}

// NewEpoch begins a new epoch, as after a restored backup, in which nothing
// that was revoked before is known.
func (i *Issuer) NewEpoch() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.epochs++
	for _, s := range i.feed.streams {
		s.position, s.acked = i.feed.sequence, map[string]bool{}
	}
	i.feed.wake()
}

// ForgetStreams removes every stream.
func (i *Issuer) ForgetStreams() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.feed.streams)
	i.feed.wake()
}

// FeedHeard tells whether somebody hears the feed: every stream has been
// polled twice, so that the first answer has been dealt with.
func (i *Issuer) FeedHeard() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.feed.streams {
		if s.polls < 2 {
			return false
		}
	}
	return len(i.feed.streams) > 0
}

// FeedStreams counts the streams that have not been ended.
func (i *Issuer) FeedStreams() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.feed.streams)
}

// FeedStreamsMade counts the streams that were ever made.
func (i *Issuer) FeedStreamsMade() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.feed.made
}

// FeedPolls counts the polls that have arrived. When the next but one has,
// an answer of after this call has been dealt with.
func (i *Issuer) FeedPolls() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.feed.polls
}

// FeedApplied tells whether every stream has acknowledged everything.
func (i *Issuer) FeedApplied() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.feed.streams {
		if s.position < i.feed.sequence || s.reset {
			return false
		}
	}
	return len(i.feed.streams) > 0
}

// FeedErrors returns the events that a gateway said it could not use.
func (i *Issuer) FeedErrors() map[string]string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.feed.errs)
}
