package plugintest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
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

func (i *Issuer) feedHandlers(mux *http.ServeMux) {
	mux.HandleFunc("POST /ssf/streams", i.makeStream)
	mux.HandleFunc("DELETE /ssf/streams", i.endStream)
	mux.HandleFunc("POST /ssf/streams/{id}/poll", i.poll)
}

// isGateway answers those that may not hear the feed.
func isGateway(w http.ResponseWriter, r *http.Request) bool {
	id, secret, _ := r.BasicAuth()
	secret, err := url.QueryUnescape(secret)
	if id == "gateway" && err == nil && secret == gatewayS {
		return true
	}
	oauthError(w, http.StatusUnauthorized, "invalid_client")
	return false
}

func (i *Issuer) makeStream(w http.ResponseWriter, r *http.Request) {
	if !isGateway(w, r) {
		return
	}
	var asked struct {
		Delivery struct{ Method string }
		Events   []string `json:"events_requested"`
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.Delivery.Method != "urn:ietf:rfc:8936" || len(asked.Events) == 0 {
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	}
	i.mu.Lock()
	i.feed.made++
	id := fmt.Sprintf("st_%d", i.feed.made)
	i.feed.streams[id] = &feedStream{position: i.feed.sequence, acked: map[string]bool{}}
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{"stream_id": id, "iss": i.URL, "aud": "gateway",
		// Where a gateway that believes it would be sent: nobody is there.
		"delivery": map[string]any{"method": asked.Delivery.Method, "endpoint_url": "http://127.0.0.1:1/poll"}})
}

func (i *Issuer) endStream(w http.ResponseWriter, r *http.Request) {
	if !isGateway(w, r) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.feed.streams, r.URL.Query().Get("stream_id"))
	w.WriteHeader(http.StatusNoContent)
}

type feedPoll struct {
	Max         int  `json:"maxEvents"`
	Immediately bool `json:"returnImmediately"`
	Position    string
	Ack         []string
	SetErrs     map[string]struct{ Err string }
}

// poll answers when there is something to say, or after a beat. An answer is
// of a moment after the poll has arrived.
func (i *Issuer) poll(w http.ResponseWriter, r *http.Request) {
	var asked feedPoll
	if !isGateway(w, r) {
		return
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	}
	i.noteAcks(r.PathValue("id"), asked)
	beat := time.NewTimer(feedBeat)
	defer beat.Stop()
	for last := asked.Immediately; ; {
		faults, gone := i.silence(r)
		if gone {
			return
		}
		i.mu.Lock()
		changed := i.feed.changed
		answer := i.page(r.PathValue("id"), asked)
		i.mu.Unlock()
		switch {
		case faults.Status != 0:
			w.WriteHeader(faults.Status)
			return
		case answer == nil:
			oauthError(w, http.StatusNotFound, "not_found")
			return
		case last || len(answer.Sets) > 0 || answer.To != answer.From:
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(answer)
			return
		}
		select {
		case <-changed:
		case <-beat.C:
			last = true
		case <-r.Context().Done():
			return
		}
	}
}

// silence waits as told, and returns what else is wrong with the feed. gone
// means that the asker has left.
func (i *Issuer) silence(r *http.Request) (faults FeedFaults, gone bool) {
	i.mu.Lock()
	faults = i.feed.faults
	i.mu.Unlock()
	if faults.Silent == nil {
		return faults, false
	}
	select {
	case <-faults.Silent:
		return faults, false
	case <-r.Context().Done():
		return faults, true
	}
}

// noteAcks moves a stream on.
func (i *Issuer) noteAcks(id string, asked feedPoll) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.feed.streams[id]
	if s == nil {
		return
	}
	s.polls++
	i.feed.polls++
	if i.feed.faults.Deaf {
		return
	}
	for _, jti := range asked.Ack {
		s.acked[jti] = true
	}
	for jti, fault := range asked.SetErrs {
		s.acked[jti], i.feed.errs[jti] = true, fault.Err
	}
	for jti := range s.acked {
		if to, ok := strings.CutPrefix(jti, i.feed.epoch()+".r"); ok {
			if n, err := strconv.ParseUint(to, 10, 63); err == nil && n >= s.position {
				s.position, s.reset = n, false
			}
		}
	}
	for i.feed.passed(s, asked.Position) {
		s.position++
	}
}

// passed tells whether a stream is done with the event that comes next. One
// of another tenant it is done with when it knows so.
func (f *feedSide) passed(s *feedStream, position string) bool {
	next := s.position + 1
	if e, there := f.events[next]; there && e.key == "" {
		known, ok := strings.CutPrefix(position, f.epoch()+".")
		n, err := strconv.ParseUint(known, 10, 63)
		return ok && err == nil && n >= next
	}
	return s.acked[f.jti(next)]
}

func (f *feedSide) jti(sequence uint64) string { return fmt.Sprintf("%s.%d", f.epoch(), sequence) }

type feedAnswer struct {
	Sets          map[string]string `json:"sets"`
	Skipped       []uint64          `json:"skipped,omitempty"`
	MoreAvailable bool              `json:"moreAvailable"`
	Epoch         string            `json:"epoch"`
	From          uint64            `json:"from"`
	To            uint64            `json:"to"`
}

// page returns what a stream has to be told; nil when there is none. i.mu is
// held.
func (i *Issuer) page(id string, asked feedPoll) *feedAnswer {
	f := &i.feed
	s := f.streams[id]
	if s == nil {
		return nil
	}
	a := &feedAnswer{Sets: map[string]string{}, Epoch: f.epoch(), From: s.position, To: f.sequence}
	if s.reset {
		jti := fmt.Sprintf("%s.r%d", f.epoch(), f.sequence)
		a.Sets[jti] = i.event(jti, id, map[string]any{eventReset: map[string]any{}})
		return a
	}
	for n := s.position + 1; n <= f.sequence; n++ {
		e := f.events[n]
		if len(a.Sets) == asked.Max {
			a.To, a.MoreAvailable = n-1, true
			break
		}
		switch {
		case e.key == "":
			a.Skipped = append(a.Skipped, n)
		case !f.faults.LeaveOut:
			a.Sets[f.jti(n)] = i.event(f.jti(n), e.key, map[string]any{
				eventRevoked: map[string]any{"event_timestamp": time.Now().Unix(), "generation": e.generation, "sequence": n}})
		}
	}
	return a
}

// event signs a SET (RFC 8417). i.mu is held.
func (i *Issuer) event(jti, key string, events map[string]any) string {
	header := map[string]any{"typ": "secevent+jwt", "alg": "ES256", "kid": i.keys.current().id}
	claims := jwt.MapClaims{"iss": i.URL, "aud": "gateway", "iat": time.Now().Unix(), "jti": jti,
		"sub_id": map[string]any{"format": "opaque", "id": key}, "events": events}
	if mint := i.feed.faults.Mint; mint != nil {
		mint(header, claims)
	}
	if sign := i.feed.faults.Sign; sign != nil {
		return sign(&i.keys, header, claims)
	}
	return i.keys.sign(header, claims)
}
