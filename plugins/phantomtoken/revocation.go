package phantomtoken

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/phantomgate/phantomgate/plugins/claims"
	"github.com/phantomgate/phantomgate/plugins/feed"
)

// revocation is what an answer says of how its token can be revoked, in the issuer's own terms.
type revocation struct {
	epoch    string // "" when fault says why there is none
	sequence uint64
	reaches  feed.Reaches
	fault    error
	// at is where the feed stood when a foreign issuer was asked, if placed: its answers say nothing of that.
	at     feed.Position
	placed bool
}

// named returns how a foreign issuer's token can be revoked: by what the JWT, which has been verified, says of itself.
func named(raw string, at feed.Position, placed bool) revocation {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		return revocation{fault: err}
	}
	var n feed.Named
	var issuedAt float64
	if err := claims.Read(payload, map[string]any{"sub": &n.User, "sid": &n.Session, "tenant": &n.Tenant, "iat": &issuedAt}); err != nil {
		return revocation{fault: err}
	}
	n.IssuedAt = int64(issuedAt)
	return revocation{reaches: n.Reaches(), at: at, placed: placed}
}

// readRevocation reads the headers that only gateways get. What is not exactly as it should be is as good as not there.
func readRevocation(h http.Header) revocation {
	epoch, sequence, err := feed.ParsePosition(h.Values("Revocation-Position"))
	if err != nil {
		return revocation{fault: err}
	}
	reaches, err := feed.ParseKeys(h.Values("Revocation-Keys"))
	if err != nil {
		return revocation{fault: err}
	}
	return revocation{epoch: epoch, sequence: sequence, reaches: reaches}
}

// landed is what a flight brings.
type landed struct {
	Token
	// asked: the issuer was asked in this flight. Otherwise the cache had it.
	asked bool
	// on is what the answer hangs on, if followed: then the feed can tell whether it was overtaken.
	on       hold
	followed bool
}

// follow finds the place of a verified answer in the feed, if it has one.
func (s *Swapper) follow(found revocation) (on hold, followed bool) {
	if s.feed == nil {
		return hold{}, false
	}
	position, known := found.at, found.placed
	if !s.feed.Foreign() {
		position, known = s.feed.Place(found.epoch, found.sequence)
	}
	if !known && found.fault != nil && s.quiet.speak(s.now()) {
		s.logger.Warn("an answer is not cached: nobody would tell when its token is revoked", "reason", found.fault)
	}
	return hold{position, found.reaches}, known
}

// vouched tells whether nothing has ended l that the feed has told by now.
func (s *Swapper) vouched(l landed) bool {
	return s.feed == nil || l.followed && s.feed.Holds(l.on.position, l.on.reaches)
}

// keepable tells whether l may be cached as far as the feed is concerned. What a foreign issuer says of a token that its own
// feed has named before is passed on, and not kept: it may say so by what it had not heard itself.
func (s *Swapper) keepable(l landed) bool {
	return s.feed == nil || l.followed && (!s.feed.Foreign() || s.feed.Untouched(l.on.reaches))
}

// fresh tells whether the feed is heard, as far as ask cares.
func (s *Swapper) fresh(ask *Ask, now time.Time) bool {
	return s.feed == nil || s.feed.Fresh(now, ask.maxStaleness)
}

const (
	// When everything was forgotten, all that was cached would be asked for at once. For refillFor each question waits by
	// chance, up to refillSpread.
	refillFor    = time.Second
	refillSpread = 200 * time.Millisecond
)

// spread holds back a question for k, if it is one of many. When ctx ends first it returns ctx's error.
func (s *Swapper) spread(ctx context.Context, k key, now time.Time) error {
	if s.feed == nil || !s.feed.JustForgot(now, refillFor) || !s.store.knew(k) {
		return nil
	}
	select {
	case <-s.after(time.Duration(s.jitter() * float64(refillSpread))):
	case <-s.flights.ctx.Done(): // closing, which join says
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// quiet keeps a log from saying the same at every request.
type quiet struct {
	mu   sync.Mutex
	next time.Time
}

const quietFor = time.Minute

// speak tells whether it is time to say it again.
func (q *quiet) speak(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Before(q.next) {
		return false
	}
	q.next = now.Add(quietFor)
	return true
}
