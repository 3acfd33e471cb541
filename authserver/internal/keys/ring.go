// Package keys signs the issuer's JWTs and publishes the keys they are verified with.
//
// Keys rotate with overlap. A new key is published before it signs, for as long as a verifier may cache the JWKS; the
// old one stays published after it stopped, for as long as a JWT may live. So at every moment every living JWT verifies
// against every JWKS that a verifier may still hold. Several nodes share the keys through the database.
package keys

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// ErrVerify says that a JWT is not one of ours: its signature, key, algorithm or typ is wrong.
var ErrVerify = errors.New("keys: not signed by this issuer, or not for this use")

// Store is what the ring asks of the database.
type Store interface {
	SigningKeys(ctx context.Context, tenant string) ([]storage.SigningKey, error)
	// AddSigningKey adds key as the successor of the key previousID, which expires at previousExpiresAt; previousID is
	// empty for a tenant's first key. It fails with storage.ErrConsumed when another node has done so already.
	AddSigningKey(ctx context.Context, key storage.SigningKey, previousID string, previousExpiresAt time.Time) error
}

// Options say how keys are made and how long they last.
type Options struct {
	Tenant      string
	Algorithm   string        // ES256, EdDSA or RS256
	RotateEvery time.Duration // how long a key signs; at least twice PublishFor
	PublishFor  time.Duration // how long a key is published before it signs: the longest that a verifier may cache the JWKS
	Overlap     time.Duration // how long a key is published after it signed: the longest life of a JWT, and the nodes' clock skew
	Now         func() time.Time
	Logger      *slog.Logger
}

// Ring holds the keys. It is safe for concurrent use; signing takes no lock.
type Ring struct {
	store    Store
	dataKey  seal.Key
	options  Options
	lead     time.Duration // from a key's creation to its first signature
	every    time.Duration // how often the table is read
	current  atomic.Pointer[snapshot]
	rotating sync.Mutex // around everything that replaces current by what the table says
	wake     chan struct{}
}

// snapshot is the keys as they were last read. It never changes.
type snapshot struct {
	keys     []key // those that were not expired, in the order in which they sign
	jwks     []byte
	changeAt time.Time // when the first of them expires; zero: none does
	readAt   time.Time
}

// Open reads the keys, makes the first one if there is none, and starts a rotation if the options ask for another
// algorithm than the youngest key has.
func Open(ctx context.Context, store Store, dataKey seal.Key, options Options) (*Ring, error) {
	if store == nil || options.Logger == nil || options.Tenant == "" || methods[options.Algorithm] == nil {
		return nil, errors.New("keys: a store, a logger, a tenant and an algorithm are needed")
	}
	if options.PublishFor <= 0 || options.Overlap <= 0 || options.RotateEvery < 2*options.PublishFor {
		return nil, errors.New("keys: PublishFor and Overlap must be positive, and RotateEvery at least twice PublishFor")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	// Another node publishes a new key once it has read the table, so the key waits for that as well.
	every := min(time.Minute, max(time.Second, options.PublishFor/10))
	r := &Ring{store: store, dataKey: dataKey, options: options, every: every, lead: options.PublishFor + every, wake: make(chan struct{}, 1)}
	if err := r.reload(ctx); err != nil {
		return nil, err
	}
	if len(r.current.Load().keys) == 0 {
		if err := r.first(ctx); err != nil {
			return nil, err
		}
	}
	// Only here: if it were done on every tick, two nodes of which one has the new configuration would rotate for ever.
	if youngest := r.current.Load().youngest(); youngest.method.Alg() != options.Algorithm {
		return r, r.Rotate(ctx)
	}
	return r, r.rotateIfDue(ctx)
}

// Sign signs claims as a JWT with that `typ`, by the key that is active now.
func (r *Ring) Sign(typ string, claims jwt.Claims) (string, error) {
	k := r.current.Load().active(r.options.Now())
	token := jwt.Token{Method: k.method, Claims: claims, Header: map[string]any{"typ": typ, "alg": k.method.Alg(), "kid": k.id}}
	signed, err := token.SignedString(k.private)
	if err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	return signed, nil
}

// JWKS gives the published keys as JSON (RFC 7517). The bytes must not be altered. A verifier may cache them for
// PublishFor at most.
func (r *Ring) JWKS() []byte {
	s, now := r.current.Load(), r.options.Now()
	if s.changeAt.IsZero() || now.Before(s.changeAt) {
		return s.jwks
	}
	without, err := newSnapshot(s.keys, now, s.readAt)
	if err != nil { // what could be encoded once can be encoded again
		return s.jwks
	}
	r.current.CompareAndSwap(s, without) // if a younger one stands there, that is the better one
	return without.jwks
}

// Verify gives the claims of a JWT of our own with that `typ`. It judges the signature only: whether the JWT has expired,
// and whom it is meant for, is the caller's part. It fails with ErrVerify.
func (r *Ring) Verify(token, typ string) (jwt.MapClaims, error) {
	s, now := r.current.Load(), r.options.Now()
	parser := jwt.NewParser(jwt.WithValidMethods([]string{config.ES256, config.EdDSA, config.RS256}),
		jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	parsed, err := parser.ParseWithClaims(token, jwt.MapClaims{}, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		i := slices.IndexFunc(s.keys, func(k key) bool { return k.id == id })
		if i < 0 {
			r.readSoon() // another node may have made it
			return nil, errors.New("unknown kid")
		}
		k := s.keys[i]
		if !k.published(now) || t.Method.Alg() != k.method.Alg() || t.Header["typ"] != typ {
			return nil, errors.New("wrong alg or typ, or an expired key")
		}
		return k.private.Public(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrVerify, err)
	}
	claims, ok := parsed.Claims.(jwt.MapClaims)
	if !ok {
		return nil, ErrVerify
	}
	return claims, nil
}

// newSnapshot takes what is not expired of keys.
func newSnapshot(keys []key, now, readAt time.Time) (*snapshot, error) {
	s := &snapshot{readAt: readAt}
	for _, k := range keys {
		if !k.published(now) {
			continue
		}
		s.keys = append(s.keys, k)
		if !k.expiresAt.IsZero() && (s.changeAt.IsZero() || k.expiresAt.Before(s.changeAt)) {
			s.changeAt = k.expiresAt
		}
	}
	slices.SortFunc(s.keys, func(a, b key) int {
		return cmp.Or(a.activeAt.Compare(b.activeAt), compareEnds(a, b), cmp.Compare(a.id, b.id))
	})
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range s.keys {
		set.Keys = append(set.Keys, k.jwk())
	}
	var err error
	s.jwks, err = json.Marshal(set)
	return s, err
}

// compareEnds puts the key that expires first first, and the one that has no successor last.
func compareEnds(a, b key) int {
	switch {
	case a.expiresAt.IsZero() || b.expiresAt.IsZero():
		return -a.expiresAt.Compare(b.expiresAt)
	default:
		return a.expiresAt.Compare(b.expiresAt)
	}
}

// active gives the key that signs now. A tenant's very first key signs even before its time, which a node whose clock is
// behind may see.
func (s *snapshot) active(now time.Time) key {
	for i := len(s.keys) - 1; i > 0; i-- {
		if !now.Before(s.keys[i].activeAt) {
			return s.keys[i]
		}
	}
	return s.keys[0]
}

// youngest gives the key without a successor.
func (s *snapshot) youngest() key { return s.keys[len(s.keys)-1] }
