// Package feed is the revocation feed's transmitter (Shared Signals, CAEP, RFC 8936): each gateway replica has a stream, asks
// what was revoked since, and says what it has applied.
//
// An answer says more than its events: that nothing else was revoked until a read that began after the question came. So an
// empty answer is worth something to a gateway, and silence is not. Streams and their positions are in the database: any node
// answers any poll. docs/revocation-feed.md has the wire.
package feed

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/revocation"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// The events of a stream.
const (
	SessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	Verification   = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	Reset          = "https://phantomgate.dev/secevent/event-type/reset"
)

// Events are all of them.
func Events() []string { return []string{SessionRevoked, Verification, Reset} }

const (
	// mostBehind is how many events a stream may be behind before it is told to forget everything instead.
	mostBehind = 10_000
	// mostEvents is how many events an answer has at most.
	mostEvents = 1000
	// patience is how long a poll waits for an event: an empty answer comes at least once a second.
	patience = 800 * time.Millisecond
	// touchEvery is how often it is noted that a stream which has nothing to acknowledge is still there.
	touchEvery = 5 * time.Second
)

// Store is what this room asks of the storage.
type Store interface {
	Revoked() <-chan struct{}
	CreateStream(ctx context.Context, n storage.Stream, most int) (storage.Stream, error)
	ReadFeed(ctx context.Context, tenant, clientID, streamID string, limit int) (storage.FeedPage, error)
	Acknowledge(ctx context.Context, tenant, clientID, streamID string, through int64, at time.Time) error
	AskVerification(ctx context.Context, tenant, clientID, streamID, state string) error
	DeleteStream(ctx context.Context, tenant, clientID, streamID string) error
}

// Options are what a Service needs. All of them.
type Options struct {
	Issuer string // `iss`
	Tenant string
	Most   int // streams of one client
	Store  Store
	Signer tokens.Signer
	Names  revocation.Namer
	Now    func() time.Time
	After  func(time.Duration) <-chan time.Time // time.After, but for tests
	Log    *slog.Logger
}

// Service answers polls. It is safe for concurrent use.
type Service struct {
	Options
	signed signed

	mu    sync.Mutex
	polls map[polled]*poll // the one that waits
	ended chan struct{}    // closed by End
	end   sync.Once
}

// poll is one that waits.
type poll struct{ replaced chan struct{} }

// New checks that nothing is missing.
func New(o Options) (*Service, error) {
	if o.Issuer == "" || o.Tenant == "" || o.Most <= 0 || o.Store == nil || o.Signer == nil || o.Names == (revocation.Namer{}) || o.Now == nil ||
		o.After == nil || o.Log == nil {
		return nil, errors.New("feed: every field of Options is needed")
	}
	return &Service{Options: o, polls: map[polled]*poll{}, ended: make(chan struct{})}, nil
}

// End lets every poll that waits be answered, and later ones wait no more.
func (s *Service) End() { s.end.Do(func() { close(s.ended) }) }

const maxDescription = 200 // characters

// Create adds a stream for a client, from the present on. Of the events asked for, those are kept that there are; a stream
// that asks for none of them, or names none, gets all.
func (s *Service) Create(ctx context.Context, clientID, description string, events []string) (storage.Stream, error) {
	if len(description) > maxDescription {
		return storage.Stream{}, oauth.Errorf(oauth.InvalidRequest, "the description is longer than %d characters", maxDescription)
	}
	wanted := slices.DeleteFunc(Events(), func(event string) bool { return !slices.Contains(events, event) })
	if len(wanted) == 0 {
		wanted = Events()
	}
	made, err := s.Store.CreateStream(ctx, storage.Stream{Tenant: s.Tenant, ID: "st_" + rand.Text(), ClientID: clientID,
		Description: description, Events: strings.Join(wanted, " "), CreatedAt: s.Now()}, s.Most)
	if errors.Is(err, storage.ErrTooMany) {
		return made, oauth.Errorf(oauth.TooManyStreams, "this client has %d streams already, all of them polled or young; end those that are not needed "+
			"(they end by themselves when nobody polls them for an hour), or have the issuer allow more (feed.streams_per_client)", s.Most)
	}
	return made, err
}

// Find gives a client's stream.
func (s *Service) Find(ctx context.Context, clientID, id string) (storage.Stream, error) {
	page, err := s.Store.ReadFeed(ctx, s.Tenant, clientID, id, 1)
	return page.Stream, known(err)
}

// Delete ends a client's stream.
func (s *Service) Delete(ctx context.Context, clientID, id string) error {
	return known(s.Store.DeleteStream(ctx, s.Tenant, clientID, id))
}

// Verify sends a verification event with that state down the stream, within a second or so.
func (s *Service) Verify(ctx context.Context, clientID, id, state string) error {
	if state == "" {
		state = rand.Text()
	}
	return known(s.Store.AskVerification(ctx, s.Tenant, clientID, id, state))
}

// known tells the other side that there is no such stream, if that is what the store said.
func known(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return oauth.Errorf(oauth.NotFound, "there is no such stream; make a new one, and forget what was cached")
	}
	return err
}

// Request is one poll (RFC 8936, 2.4).
type Request struct {
	MaxEvents         *int     `json:"maxEvents"` // at most so many; 0: none, the poll only acknowledges
	ReturnImmediately bool     `json:"returnImmediately"`
	Position          string   `json:"position"` // epoch.to of the last answer that was dealt with; may be left out
	Ack               []string `json:"ack"`
	SetErrs           map[string]struct {
		Err         string `json:"err"`
		Description string `json:"description"`
	} `json:"setErrs"` // a receiver's fault, which sending again would not mend: it counts as an acknowledgement
}

// Answer is what a poll is told (RFC 8936, 2.5), and where the feed stands. Each sequence after From, up to To, is in Sets,
// or in Skipped when it is another tenant's.
type Answer struct {
	Sets          map[string]string `json:"sets"`
	Skipped       []int64           `json:"skipped,omitempty"`
	MoreAvailable bool              `json:"moreAvailable"`
	Epoch         string            `json:"epoch"`
	From          int64             `json:"from"`
	To            int64             `json:"to"`
}

// Poll takes what a stream acknowledges and gives what it has to hear. When there is nothing it waits, for less than a second.
// Whatever it answers was read after the poll came.
func (s *Service) Poll(ctx context.Context, clientID, id string, r Request) (Answer, error) {
	stream := polled{clientID, id} // another client's poll of the same id ends none
	p := s.begin(stream)
	defer s.leave(stream, p)
	limit := mostEvents
	if r.MaxEvents != nil {
		limit = min(limit, *r.MaxEvents)
	}
	if limit < 0 {
		return Answer{}, oauth.Errorf(oauth.InvalidRequest, "maxEvents is a number from 0 on")
	}
	acked := acknowledged(r)
	timeout := s.After(patience)
	for last := r.ReturnImmediately || limit == 0; ; {
		woken := s.Store.Revoked() // before the read: what comes between the two wakes us
		page, err := s.read(ctx, clientID, id, acked)
		if err != nil {
			return Answer{}, err
		}
		answer, err := s.answer(page, limit)
		if err != nil || last || len(answer.Sets) > 0 || answer.MoreAvailable {
			return answer, err
		}
		select {
		case <-woken:
		case <-timeout:
			last = true
		case <-p.replaced:
			return answer, nil
		case <-s.ended:
			return answer, nil
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
}

// polled is a stream as a client names it, whether or not it is there.
type polled struct{ client, stream string }

// begin lets a poll take the place of one that waits for the same stream: that one's receiver has given it up.
func (s *Service) begin(id polled) *poll {
	p := &poll{replaced: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.polls[id]; before != nil {
		close(before.replaced)
	}
	s.polls[id] = p
	return p
}

func (s *Service) leave(id polled, p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polls[id] == p {
		delete(s.polls, id)
	}
}

// read gives what a stream has to hear now. What it acknowledges with this poll is noted first, and is not among it.
func (s *Service) read(ctx context.Context, clientID, id string, acked acks) (storage.FeedPage, error) {
	for {
		page, err := s.Store.ReadFeed(ctx, s.Tenant, clientID, id, mostEvents)
		if err != nil {
			return page, known(err)
		}
		through := acked.through(page)
		if through > page.Stream.Position || s.Now().Sub(page.Stream.SeenAt) >= touchEvery {
			if err := s.Store.Acknowledge(ctx, s.Tenant, clientID, id, through, s.Now()); err != nil {
				return page, known(err)
			}
		}
		if page.Stream.Verify != "" && acked.jtis[verificationID(page)] {
			if err := s.Store.AskVerification(ctx, s.Tenant, clientID, id, ""); err != nil {
				return page, known(err)
			}
			page.Stream.Verify = ""
		}
		whole := len(page.Events) < mostEvents
		page.Events = slices.DeleteFunc(page.Events, func(r storage.Revocation) bool { return r.Sequence <= through })
		page.Stream.Position = through
		if whole || len(page.Events) > 0 || through >= page.Feed.Sequence {
			return page, nil
		}
		// All that was read had been applied already, and there is more.
	}
}
