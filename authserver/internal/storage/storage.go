// Package storage holds the rows that the issuer keeps and the errors that a store answers with.
//
// There is no storage interface here: each room declares the few methods it calls, and every driver (sqlite, later
// postgres) has all of them, held to one behaviour by storagetest. A transaction is one method. A driver's own errors
// never leave it: they are wrapped so that errors.Is finds only the errors below, and everything else is a fault.
//
// Times are kept to the millisecond, in UTC.
package storage

import (
	"errors"
	"time"
)

var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("storage: not found")
	// ErrConsumed: the code or refresh reference had been consumed before this write.
	ErrConsumed = errors.New("storage: consumed already")
	// ErrEnded: the grant, session or token it depends on is revoked, expired, or erased.
	ErrEnded = errors.New("storage: ended")
	// ErrTooMany: there are as many as there may be.
	ErrTooMany = errors.New("storage: too many")
	// ErrUnavailable: the store could not answer or could not make the write durable; nothing may be told as done.
	ErrUnavailable = errors.New("storage: unavailable")
)

// Kind is the reach of a revocation.
type Kind string

// The reaches, from the narrowest to the widest.
const (
	KindToken      Kind = "token"       // id: the token's jti
	KindGrant      Kind = "grant"       // id: the grant's id
	KindSession    Kind = "session"     // id: the session's id
	KindUser       Kind = "user"        // id: the user's sub
	KindUserClient Kind = "user+client" // id: UserClientID(sub, client)
	KindClient     Kind = "client"      // id: the client's id
	KindTenant     Kind = "tenant"      // id: the tenant
	KindEverything Kind = "everything"  // id: empty; its row belongs to no tenant (tenant is empty)
)

// UserClientID is the id of the reach user+client. A sub has no space in it.
func UserClientID(sub, client string) string { return sub + " " + client }

// Births are the generations that a grant was born under, of those reaches that may move on and be outlived. Tokens,
// grants and sessions have ids of their own that are never used again: for them any row at all means revoked.
type Births struct {
	Everything, Tenant, Client, User, UserClient int64
}

// Grant is what a user, or a machine client, allowed one client. Its codes, access and refresh tokens are born under the
// grant's generations, never under newer ones.
type Grant struct {
	Tenant     string
	ID         string
	ClientID   string
	Subject    string // empty for a machine client
	SessionID  string // empty for a machine client
	Scope      string // space separated: what was granted
	Offline    bool   // outlives its session's logout (offline_access)
	WrappedKey []byte // the grant's own key, wrapped by the data key; empty once destroyed
	Births     Births // of a new grant; a store compares them itself, and gives them back in LiveAccess only
	CreatedAt  time.Time
	ExpiresAt  time.Time // no descendant lives longer
}

// AccessToken is the token value persisted behind an access reference.
type AccessToken struct {
	Hash      []byte // SHA-256 of the reference
	JTI       string
	GrantID   string
	Scope     string
	Value     []byte // sealed under the grant's key
	IssuedAt  time.Time
	ExpiresAt time.Time
	Actors    []string // of an exchanged token (RFC 8693): the clients that exchanged, the last one first; a store finds them out itself
}

// Exchange is how a token comes from another one (RFC 8693).
type Exchange struct {
	ParentJTI string // the token that it is given for
	ClientID  string // who exchanges
	Births    Births // Client and UserClient of who exchanges; read before that client's secret was checked
}

// LiveAccess is an access token with its grant, as one read found them. It is read at every introspection, so it comes
// without what nobody asks of it there: the token's Hash, and the grant's Scope, Offline and CreatedAt.
type LiveAccess struct {
	AccessToken
	Grant Grant
	// Alive is false once any reach of the token has moved on. Times are not looked at: that is the caller's part.
	Alive bool
	// Feed is where the revocation feed stood when the token was read.
	Feed Position
}

// RefreshToken is one link of a grant's family of refresh references.
type RefreshToken struct {
	Hash       []byte
	GrantID    string
	Scope      string
	Value      []byte // sealed under the grant's key
	IssuedAt   time.Time
	ExpiresAt  time.Time
	ConsumedAt time.Time // zero until consumed
	Answer     []byte    // what the consumer was answered, sealed under the consumed reference
}

// LiveRefresh is a refresh token with its grant, as one read found them.
type LiveRefresh struct {
	RefreshToken
	Grant Grant
	Alive bool // as in LiveAccess
}

// Code is an authorization code.
type Code struct {
	Hash       []byte
	GrantID    string
	Value      []byte // sealed under the grant's key: redirect URI, challenge, nonce, …
	IssuedAt   time.Time
	ExpiresAt  time.Time
	ConsumedAt time.Time // zero until consumed
}

// LiveCode is a code with its grant, as one read found them.
type LiveCode struct {
	Code
	Grant Grant
	Alive bool // as in LiveAccess
}

// Session is one login of a user at the issuer, held by the browser's cookie.
type Session struct {
	Tenant    string
	ID        string // the sid of ID tokens; not the cookie's secret
	Hash      []byte // SHA-256 of the cookie's secret
	Subject   string
	ACR       string
	AMR       string // space separated
	Births    Births // Everything, Tenant and User; read before the login was checked
	AuthTime  time.Time
	ExpiresAt time.Time
}

// LiveSession is a session as one read found it.
type LiveSession struct {
	Session
	Alive bool // as in LiveAccess
}

// Consent is what a user allowed a client, a record of its own.
type Consent struct {
	Tenant   string
	Subject  string
	ClientID string
	Scope    string // all that was ever allowed and not taken back
	At       time.Time
}

// Account is a user's identity: the sub is random, made once, and never used again.
type Account struct {
	Tenant  string
	Subject string
	Login   string
}

// SigningKey is a key of the issuer, its private half sealed under the data key.
type SigningKey struct {
	Tenant    string
	ID        string // kid
	Algorithm string
	Private   []byte // sealed
	Public    []byte // JWK, JSON
	CreatedAt time.Time
	ActiveAt  time.Time // signs from then on, until a younger key is active
	ExpiresAt time.Time // zero until it has a successor; published until then
}

// Revocation is one revocation as it was carried out.
type Revocation struct {
	Tenant     string
	ID         string
	Kind       Kind
	Target     string // the id within the kind
	Generation int64  // the reach's generation after it
	Sequence   int64  // the feed's sequence of it
	By         string // who asked: a client id, or "issuer"
	At         time.Time
}

// Position is a place in the revocation feed. Sequences count on within an epoch; a database that was made anew, or restored,
// has another epoch.
type Position struct {
	Epoch    string
	Sequence int64
}

// Stream is one gateway replica that hears the feed.
type Stream struct {
	Tenant      string
	ID          string
	ClientID    string
	Description string // what its operator calls it
	Events      string // the types it asked for, space separated
	Verify      string // the state of a verification event that waits; empty: none
	Began       int64  // the feed's sequence when it was made
	Position    int64  // everything up to here is acknowledged
	CreatedAt   time.Time
	SeenAt      time.Time // its last poll, to a few seconds
}

// UnpolledFor is how old a stream is that was never polled before it may make way for another one.
const UnpolledFor = time.Minute

// FeedPage is what one read found for a stream: the revocations after its position, in order, and where the feed stood then.
type FeedPage struct {
	Stream Stream
	Feed   Position
	Events []Revocation
}

// Applied tells when a stream had applied a revocation.
type Applied struct {
	StreamID, ClientID, Description string
	At                              time.Time
}

// TokenFilter narrows a list of live tokens. Empty fields do not narrow.
type TokenFilter struct {
	Tenant   string
	Subject  string
	ClientID string
	After    string // jti of the last one seen, for the next page
	Limit    int    // at most this many; must be positive
}
