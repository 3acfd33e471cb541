package tokenhandler

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// endedSessions remembers, until they would have ended by themselves, the sessions that were ended before that: by a
// logout here, or by the issuer through the back channel.
//
// It is the memory of one replica, and a restart empties it. A replica that was not told goes on taking a session's
// cookies; but the references inside are dead at the issuer, and so they pass no further than the cache of phantom
// tokens allows: milliseconds with the revocation feed, a second without.
type endedSessions struct {
	count atomic.Int64 // so that a request need not lock when nothing has ended

	mu       sync.RWMutex
	sessions map[[16]byte]time.Time // our session → when it may be forgotten
	issued   map[reach]end          // the issuer's session or user → its end
	used     map[tag]time.Time      // logout tokens that were obeyed, by jti → when they may be forgotten
	limit    int                    // entries in each
}

// reach is what the issuer ended. With both set, it is that session of that user.
type reach struct{ sid, sub tag }

type end struct {
	at     int64 // Unix milliseconds: sessions that began later live
	forget time.Time
}

const maxEnded = 1 << 16

var (
	errFull     = errors.New("the list of ended sessions is full")
	errReplayed = errors.New("the logout token was used before")
)

func newEndedSessions() *endedSessions {
	return &endedSessions{
		sessions: map[[16]byte]time.Time{}, issued: map[reach]end{}, used: map[tag]time.Time{}, limit: maxEnded,
	}
}

// has tells whether s was ended before its time.
func (e *endedSessions) has(s *stamp) bool {
	if e.count.Load() == 0 {
		return false
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if _, ended := e.sessions[s.session]; ended {
		return true
	}
	for _, r := range [...]reach{{s.sid, s.sub}, {sid: s.sid}, {sub: s.sub}} {
		if r == (reach{}) {
			continue // a session of an issuer that names none
		}
		if found, ended := e.issued[r]; ended && s.began <= found.at {
			return true
		}
	}
	return false
}

// endSession ends s, here.
func (e *endedSessions) endSession(s *stamp, now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.sessions) >= e.limit && !e.sweep(now) {
		return errFull
	}
	e.sessions[s.session] = time.UnixMilli(s.end)
	e.counted()
	return nil
}

// endByIssuer ends what a verified logout token names, once.
func (e *endedSessions) endByIssuer(claims *logoutClaims, now time.Time, longest time.Duration) error {
	jti := tagOf(claims.ID)
	e.mu.Lock()
	defer e.mu.Unlock()
	if until, used := e.used[jti]; used && now.Before(until) {
		return errReplayed
	}
	if (len(e.used) >= e.limit || len(e.issued) >= e.limit) && !e.sweep(now) {
		return errFull
	}
	e.used[jti] = claims.IssuedAt.Add(logoutTokenLife + 2*clockLeeway)
	e.issued[reach{tagOf(claims.SessionID), tagOf(claims.Subject)}] = end{now.UnixMilli(), now.Add(longest)}
	e.counted()
	return nil
}

// sweep forgets what has ended by itself, and tells whether there is room in every list again. e.mu is held.
func (e *endedSessions) sweep(now time.Time) bool {
	for k, until := range e.sessions {
		if !now.Before(until) {
			delete(e.sessions, k)
		}
	}
	for k, end := range e.issued {
		if !now.Before(end.forget) {
			delete(e.issued, k)
		}
	}
	for k, until := range e.used {
		if !now.Before(until) {
			delete(e.used, k)
		}
	}
	e.counted()
	return len(e.sessions) < e.limit && len(e.issued) < e.limit && len(e.used) < e.limit
}

func (e *endedSessions) counted() { e.count.Store(int64(len(e.sessions) + len(e.issued))) }
