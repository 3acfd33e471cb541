package tokenhandler

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"
)

// stamp is what all cookies of one login carry alike. Cookies that are used together must agree on it.
type stamp struct {
	session    [16]byte // random
	began, end int64    // Unix milliseconds; nothing moves the end
	sid, sub   tag      // the issuer's session and the user, for logout by back channel
}

// tag stands for a name of the issuer's, so that names of any length take the same room.
type tag [8]byte

// tagOf returns name's tag; none when there is no name.
func tagOf(name string) (t tag) {
	if name != "" {
		sum := sha256.Sum256([]byte(name))
		copy(t[:], sum[:])
	}
	return t
}

const stampSize = 16 + 8 + 8 + 8 + 8

func newStamp(now time.Time, maxAge time.Duration, sid, sub string) (s stamp) {
	_, _ = rand.Read(s.session[:]) // never fails (crypto/rand)
	s.began, s.end = now.UnixMilli(), now.Add(maxAge).UnixMilli()
	s.sid, s.sub = tagOf(sid), tagOf(sub)
	return s
}

func (s *stamp) append(b []byte) []byte {
	b = append(b, s.session[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.began))
	b = binary.BigEndian.AppendUint64(b, uint64(s.end))
	b = append(b, s.sid[:]...)
	return append(b, s.sub[:]...)
}

// read takes a stamp off text's front. ok is false when there is none.
func (s *stamp) read(text []byte) (rest []byte, ok bool) {
	if len(text) < stampSize {
		return nil, false
	}
	copy(s.session[:], text)
	s.began = int64(binary.BigEndian.Uint64(text[16:]))
	s.end = int64(binary.BigEndian.Uint64(text[24:]))
	copy(s.sid[:], text[32:])
	copy(s.sub[:], text[40:])
	return text[stampSize:], true
}

// access is an access reference and its times.
type access struct {
	reference string
	expires   int64 // Unix milliseconds
	renew     int64 // from when it is renewed on the way to an API
}

// session is one login, as its cookies hold it.
type session struct {
	stamp
	access  access
	refresh string // empty when the issuer gave none
	csrf    string
	claims  json.RawMessage
}

// The reasons for which cookies make no session.
var (
	errNoSession = errors.New("no session cookie")
	errCookie    = errors.New("a cookie was not sealed here, or not for this place, or not for this session")
	errEnded     = errors.New("the session has ended")
)

// openAccess opens the access cookie, which is all that most requests need, and judges its session.
func (h *Handler) openAccess(j *jar, now int64) (*opening, error) {
	o, err := h.openFirst(j, forAccess)
	switch {
	case err != nil:
		return nil, err
	case now >= o.stamp.end || h.ended.has(&o.stamp):
		return nil, errEnded
	}
	return o, nil
}

// openFirst opens the cookie that says which session this is.
func (h *Handler) openFirst(j *jar, p purpose) (*opening, error) {
	if !j.has(p) {
		return nil, errNoSession
	}
	value, ok := j.value(p)
	if !ok {
		return nil, errCookie
	}
	if p.kept() {
		if o := h.openings.get(p, value); o != nil {
			return o, nil
		}
	}
	o := readOpening(p, h.sealer.open(p, value))
	if o == nil {
		return nil, errCookie
	}
	if p.kept() {
		h.openings.put(value, o)
	}
	return o, nil
}

// openNext opens a further cookie of the session s.
func (h *Handler) openNext(j *jar, p purpose, s *stamp) (text []byte, err error) {
	o, err := h.openFirst(j, p)
	if err != nil {
		return nil, err
	}
	if o.stamp != *s {
		return nil, errCookie
	}
	return o.text, nil
}

// openSession opens all cookies of a session. One that is missing is a fault, but for the refresh reference, which not
// every issuer gives.
func (h *Handler) openSession(j *jar, now int64) (s session, err error) {
	first, err := h.openAccess(j, now)
	if err != nil {
		return session{}, err
	}
	s.stamp, s.access = first.stamp, first.access
	for _, p := range []purpose{forRefresh, forIdentity, forCSRF} {
		text, err := h.openNext(j, p, &s.stamp)
		switch {
		case errors.Is(err, errNoSession) && p == forRefresh:
			continue
		case err != nil:
			return session{}, errCookie
		}
		switch p {
		case forRefresh:
			s.refresh = string(text)
		case forIdentity:
			s.claims = text
		case forCSRF:
			s.csrf = string(text)
		}
	}
	return s, nil
}

// sealTokens returns the Set-Cookie lines for s's references, and the room they will take.
func (h *Handler) sealTokens(s *session, j *jar) (lines []string, size int, err error) {
	times := binary.BigEndian.AppendUint64(nil, uint64(s.access.expires))
	times = binary.BigEndian.AppendUint64(times, uint64(s.access.renew))
	lines, size, err = h.sealed(forAccess, &s.stamp, append(times, s.access.reference...), j)
	if err != nil {
		return nil, 0, err
	}
	if s.refresh == "" {
		return append(lines, h.names.clear(forRefresh)...), size, nil
	}
	more, moreSize, err := h.sealed(forRefresh, &s.stamp, []byte(s.refresh), j)
	return append(lines, more...), size + moreSize, err
}

// sealLogin returns the Set-Cookie lines of a new session.
func (h *Handler) sealLogin(s *session, j *jar) (lines []string, err error) {
	lines, size, err := h.sealTokens(s, j)
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		purpose
		text []byte
	}{{forIdentity, s.claims}, {forCSRF, []byte(s.csrf)}} {
		more, moreSize, err := h.sealed(c.purpose, &s.stamp, c.text, j)
		if err != nil {
			return nil, err
		}
		lines, size = append(lines, more...), size+moreSize
	}
	if size > maxCookies {
		return nil, errTooLarge
	}
	return append(lines, h.names.clear(forLogin)...), nil
}

// sealRefreshed returns the Set-Cookie lines of a session that has new references.
func (h *Handler) sealRefreshed(s *session, j *jar) (lines []string, err error) {
	lines, size, err := h.sealTokens(s, j)
	if err != nil {
		return nil, err
	}
	if size+h.names.size(forIdentity, j)+h.names.size(forCSRF, j) > maxCookies {
		return nil, errTooLarge
	}
	return lines, nil
}

var errTooLarge = errors.New("the session does not fit into 8 KiB of cookies: ask the issuer for smaller references, or for an ID token with fewer claims")

func (h *Handler) sealed(p purpose, s *stamp, text []byte, j *jar) (lines []string, size int, err error) {
	lines, size = h.names.set(p, h.sealer.seal(p, append(s.append(nil), text...)), j)
	if lines == nil {
		return nil, 0, errTooLarge
	}
	return lines, size, nil
}

// newSecret returns 256 random bits that a URL or a header can carry.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
