package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// acks are what a poll acknowledges: the events by their jti, and the position that the receiver says it is at; "" when it
// does not say.
type acks struct {
	jtis     map[string]bool
	position string
}

func acknowledged(r Request) acks {
	a := acks{jtis: make(map[string]bool, len(r.Ack)+len(r.SetErrs)), position: r.Position}
	for _, jti := range r.Ack {
		a.jtis[jti] = true
	}
	for jti := range r.SetErrs {
		a.jtis[jti] = true
	}
	return a
}

// knows gives the last sequence that the receiver has dealt with by its own account. A receiver that does not say, or that
// speaks of another epoch, does not compare positions.
func (a acks) knows(epoch string) int64 {
	number, found := strings.CutPrefix(a.position, epoch+".")
	sequence, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil {
		return math.MaxInt64
	}
	return sequence
}

// through tells up to where a stream has acknowledged everything without a gap. What it may not hear is no gap, but is not
// passed over either before the receiver knows that: to find its position moved on looks like a loss.
func (a acks) through(page storage.FeedPage) int64 {
	position := page.Stream.Position
	knows := a.knows(page.Feed.Epoch)
	for jti := range a.jtis { // a reset stands for everything before it
		sequence, isReset := strings.CutPrefix(jti, page.Feed.Epoch+".r")
		if n, err := strconv.ParseInt(sequence, 10, 64); isReset && err == nil && n <= page.Feed.Sequence {
			position = max(position, n)
		}
	}
	for _, event := range page.Events {
		if event.Sequence <= position {
			continue
		}
		passed := event.Sequence <= knows
		if hears(page.Stream, event) {
			passed = a.jtis[eventID(page.Feed.Epoch, event.Sequence)]
		}
		if event.Sequence != position+1 || !passed {
			break
		}
		position = event.Sequence
	}
	return position
}

// hears tells whether a revocation is a stream's business.
func hears(stream storage.Stream, r storage.Revocation) bool {
	return r.Kind == storage.KindEverything || r.Tenant == stream.Tenant
}

func eventID(epoch string, sequence int64) string {
	return epoch + "." + strconv.FormatInt(sequence, 10)
}

func resetID(feed storage.Position) string {
	return feed.Epoch + ".r" + strconv.FormatInt(feed.Sequence, 10)
}

func verificationID(page storage.FeedPage) string {
	sum := sha256.Sum256([]byte(page.Stream.Verify))
	return page.Feed.Epoch + ".v" + hex.EncodeToString(sum[:8])
}

// answer puts together what a stream is told of a page, limit events at most.
func (s *Service) answer(page storage.FeedPage, limit int) (Answer, error) {
	stream, feed := page.Stream, page.Feed
	a := Answer{Sets: map[string]string{}, Epoch: feed.Epoch, From: stream.Position, To: stream.Position}
	if limit > 0 && stream.Verify != "" {
		id := verificationID(page)
		if err := s.tell(&a, stream, id, events{Verification: verification{stream.Verify}}); err != nil {
			return Answer{}, err
		}
	}
	if behind(page) {
		if limit == 0 {
			a.MoreAvailable = true
			return a, nil
		}
		a.To = feed.Sequence
		if err := s.tell(&a, stream, resetID(feed), events{Reset: reset{feed.Sequence}}); err != nil {
			return Answer{}, err
		}
		return a, nil
	}
	for _, event := range page.Events {
		if len(a.Sets) >= limit {
			break
		}
		if hears(stream, event) {
			id := eventID(feed.Epoch, event.Sequence)
			set, err := s.event(stream.ClientID, id, event)
			if err != nil {
				return Answer{}, err
			}
			a.Sets[id] = set
		} else {
			a.Skipped = append(a.Skipped, event.Sequence)
		}
		a.To = event.Sequence
	}
	a.MoreAvailable = a.To < feed.Sequence
	return a, nil
}

// tell adds an event that is about the stream itself.
func (s *Service) tell(a *Answer, stream storage.Stream, id string, e events) (err error) {
	a.Sets[id], err = s.sign(set{Audience: stream.ClientID, ID: id, Subject: stream.ID, Events: e})
	return err
}

// behind tells whether a stream is too far behind to be told of each event, or some of them are no longer there.
func behind(page storage.FeedPage) bool {
	missing := page.Feed.Sequence - page.Stream.Position
	if missing <= 0 {
		return false
	}
	return missing > mostBehind || len(page.Events) == 0 || page.Events[0].Sequence != page.Stream.Position+1
}

// event gives the signed event of a revocation. The replicas of a client share it.
func (s *Service) event(clientID, id string, r storage.Revocation) (string, error) {
	return s.signed.once(clientID+" "+id, func() (string, error) {
		return s.sign(set{Audience: clientID, ID: id, Transaction: r.ID, Subject: s.Names.KeyOf(r), Events: events{
			SessionRevoked: sessionRevoked{At: r.At.Unix(), Generation: r.Generation, Sequence: r.Sequence}}})
	})
}

func (s *Service) sign(e set) (string, error) {
	now := s.Now().Unix()
	claims := jwt.MapClaims{"iss": s.Issuer, "aud": e.Audience, "iat": now, "jti": e.ID,
		"sub_id": opaque{"opaque", e.Subject}, "events": e.Events}
	if e.Transaction != "" {
		claims["txn"] = e.Transaction
	}
	return s.Signer.Sign(oauth.TypeSecurityEvent, claims)
}

// set is a security event token (RFC 8417), before it is signed.
type set struct {
	Audience, ID, Transaction string
	Subject                   string
	Events                    events
}

type events map[string]any

// opaque is a subject that only issuer and gateway know (RFC 9493, 3.2.6).
type opaque struct {
	Format string `json:"format"`
	ID     string `json:"id"`
}

type sessionRevoked struct {
	At         int64 `json:"event_timestamp"` // seconds since 1970
	Generation int64 `json:"generation"`
	Sequence   int64 `json:"sequence"`
}

type verification struct {
	State string `json:"state"`
}

type reset struct {
	To int64 `json:"to"`
}

// signed keeps what was signed a moment ago: when something is revoked, a hundred replicas ask for the same event.
type signed struct {
	mu   sync.Mutex
	sets map[string]*signing
}

type signing struct {
	once sync.Once
	set  string
	err  error
}

// mostSigned is how many are kept.
const mostSigned = 2 * mostEvents

func (s *signed) once(id string, sign func() (string, error)) (string, error) {
	s.mu.Lock()
	one := s.sets[id]
	if one == nil {
		if len(s.sets) >= mostSigned || s.sets == nil {
			s.sets = make(map[string]*signing)
		}
		one = new(signing)
		s.sets[id] = one
	}
	s.mu.Unlock()
	one.once.Do(func() { one.set, one.err = sign() })
	if one.err != nil { // the next one tries again
		s.mu.Lock()
		if s.sets[id] == one {
			delete(s.sets, id)
		}
		s.mu.Unlock()
	}
	return one.set, one.err
}
