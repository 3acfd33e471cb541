package feed

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math"
	"time"
)

// What a foreign transmitter's events are about is matched with what a token says of itself: its user (sub), session (sid)
// and tenant. The events have no generation: the time of an event stands for it, and the time a token was issued for the
// generation that the token was read under, both by the issuer's clock, in seconds since 1970.

// skew is how far apart the clocks may be of what issues tokens and what dates events.
const skew = time.Minute

// The kinds of what an event can be about.
const (
	kindUser    = "user"
	kindSession = "session"
	kindTenant  = "tenant"
)

// Named is what a token says of itself, as a foreign transmitter's events may name it. What it does not say is "".
type Named struct {
	User, Session, Tenant string
	// IssuedAt is in seconds since 1970.
	IssuedAt int64
}

// Reaches returns what can end the token. A token that does not say its session may be of any session, and so on.
func (n Named) Reaches() Reaches {
	var reaches Reaches
	for _, one := range [][2]string{{kindUser, n.User}, {kindSession, n.Session}, {kindTenant, n.Tenant}} {
		reaches = binary.LittleEndian.AppendUint64(reaches, subjectKey(one[0], one[1]))
		reaches = binary.AppendUvarint(reaches, uint64(max(n.IssuedAt, 0)))
	}
	return reaches
}

// subjectKey names a user, a session or a tenant; with id "", the tokens that do not say theirs.
func subjectKey(kind, id string) uint64 {
	sum := sha256.Sum256([]byte(kind + " " + id))
	return binary.LittleEndian.Uint64(sum[:])
}

// subject is a subject identifier (RFC 9493), or a complex one (SSF 1.0 section 3.2), as far as it can be used here.
type subject struct {
	Format  string    `json:"format"`
	ID      string    `json:"id"`  // opaque
	Issuer  string    `json:"iss"` // iss_sub
	Sub     string    `json:"sub"`
	Aliases []subject `json:"identifiers"`
	User    *subject  `json:"user"` // complex
	Session *subject  `json:"session"`
	Tenant  *subject  `json:"tenant"`
}

// names returns the ids that a simple subject has, none when it has none that a token says of itself. Aliases are several
// names of the same, and each of them counts.
func (s *subject) names(issuer string) (names []string) {
	switch {
	case s == nil:
	case s.Format == "opaque" && s.ID != "":
		names = append(names, s.ID)
	case s.Format == "iss_sub" && s.Issuer == issuer && s.Sub != "":
		names = append(names, s.Sub)
	case s.Format == "aliases":
		for i := range s.Aliases {
			if s.Aliases[i].Format != "aliases" { // it may not stand in itself
				names = append(names, s.Aliases[i].names(issuer)...)
			}
		}
	}
	return names
}

// subjectKeys returns the keys of all tokens that may be those of s. It is not known when s names nothing that a token says
// of itself (an address, a device): then it may be any token.
func subjectKeys(s subject, issuer string) (keys []uint64, known bool) {
	var users, sessions, tenants []string
	switch s.Format {
	case "complex":
		users, sessions, tenants = s.User.names(issuer), s.Session.names(issuer), s.Tenant.names(issuer)
	case "iss_sub":
		users = s.names(issuer)
	case "opaque": // a session's, or a user's: it does not say which
		users, sessions = s.names(issuer), s.names(issuer)
	case "aliases":
		for i := range s.Aliases {
			if s.Aliases[i].Format == "aliases" || s.Aliases[i].Format == "complex" {
				continue // neither may stand in it
			}
			if more, ok := subjectKeys(s.Aliases[i], issuer); ok {
				keys = append(keys, more...)
			}
		}
		return keys, len(keys) > 0
	}
	// The user covers the session, and both cover what they have in common with the tenant.
	for _, user := range users {
		keys = append(keys, subjectKey(kindUser, user), subjectKey(kindUser, ""))
	}
	for _, session := range sessions {
		keys = append(keys, subjectKey(kindSession, session))
		if len(users) == 0 || s.Format == "opaque" {
			keys = append(keys, subjectKey(kindSession, ""))
		}
	}
	if len(keys) == 0 {
		for _, tenant := range tenants {
			keys = append(keys, subjectKey(kindTenant, tenant), subjectKey(kindTenant, ""))
		}
	}
	return keys, len(keys) > 0
}

// endedBefore returns the generation of an event: tokens that were issued before that second are ended by it. That is the
// second after its event_timestamp, or else its iat, and the skew. An event without a time ends all of its subject's.
func endedBefore(event json.RawMessage, issuedAt float64) uint64 {
	var said struct {
		At float64 `json:"event_timestamp"`
	}
	at := issuedAt
	if json.Unmarshal(event, &said) == nil && said.At > 0 {
		at = said.At
	}
	if at <= 0 || at > 1<<52 {
		return math.MaxInt64
	}
	return uint64(math.Ceil(at)) + uint64(skew/time.Second) + 1
}
