package phantomtoken

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// keySet holds the issuer's public keys (RFC 7517). It fetches them when they are first needed, when a token names a
// key it does not know, and when they have grown old; never in the background. How often is bounded, also while
// fetching fails.
type keySet struct {
	uri     string
	client  *http.Client
	logger  *slog.Logger
	now     func() time.Time
	current atomic.Pointer[keys]
	fetches *flights[struct{}, *keys]
	limit   fetchLimit
	renewal sync.Mutex // held by the one request that looks for newer keys
}

// keys is one state of the key set. It is never changed.
type keys struct {
	byID    map[string]keyfunc.Keyfunc
	fetched time.Time
}

// algorithms that the issuer may sign with: neither "none" nor anything symmetric.
var algorithms = []string{"ES256", "EdDSA", "RS256", "PS256"}

const (
	mostKeySet = 256 << 10
	// keysFresh is how long a key that the issuer has withdrawn may still be believed.
	keysFresh = 5 * time.Minute
	// keysUsable is how long keys are used when the issuer answers introspections and no longer says its keys.
	keysUsable = time.Hour
)

func newKeySet(cfg Config, client *http.Client) *keySet {
	return &keySet{
		uri: cfg.JWKSURI, client: client, logger: cfg.Logger, now: cfg.Now,
		fetches: newFlights[struct{}, *keys](cfg.Timeout, 1),
	}
}

// key returns the key that token says it was signed with. The token's own kid chooses among the issuer's keys and does
// nothing else; jku, x5u and their like are not looked at.
func (s *keySet) key(ctx context.Context, token *jwt.Token) (any, error) {
	kid, _ := token.Header["kid"].(string)
	if kid == "" {
		return nil, fmt.Errorf("%w: its JWT names no key (kid)", ErrIssuer)
	}
	known, err := s.holding(ctx, kid)
	if err != nil {
		return nil, err
	}
	verify := known.byID[kid]
	if verify == nil {
		return nil, fmt.Errorf("%w: its JWT names a key (kid) that is not in its key set", ErrIssuer)
	}
	// keyfunc also holds the token's alg against the key's.
	return verify.Keyfunc(token)
}

// holding returns the keys, fetched anew if kid is not among the known ones or those have grown old.
func (s *keySet) holding(ctx context.Context, kid string) (*keys, error) {
	known := s.current.Load()
	if known == nil || known.byID[kid] == nil {
		return s.refresh(ctx, known)
	}
	age := s.now().Sub(known.fetched)
	if age <= keysFresh {
		return known, nil
	}
	if age <= keysUsable {
		// One request looks for newer keys; the others do not wait for an answer that may never come.
		if !s.renewal.TryLock() {
			return known, nil
		}
		defer s.renewal.Unlock()
	}
	return s.refresh(ctx, known)
}

// refresh fetches the keys, once for all who wait. When it may not, or cannot, the known ones have to do.
func (s *keySet) refresh(ctx context.Context, known *keys) (*keys, error) {
	fetched, err := s.fetches.do(ctx, struct{}{}, func(ctx context.Context) (*keys, error) {
		if latest := s.current.Load(); latest != known {
			return latest, nil // somebody has just fetched them
		}
		if wait := s.limit.take(s.now()); wait > 0 {
			return nil, &UnavailableError{wait, "the issuer's keys were asked for too often"}
		}
		fresh, err := s.fetch(ctx)
		if err != nil {
			s.logger.Warn("the issuer's keys could not be fetched", "uri", s.uri, "error", err)
			return nil, err
		}
		s.current.Store(fresh)
		return fresh, nil
	})
	if err != nil && known != nil && s.now().Sub(known.fetched) <= keysUsable {
		return known, nil
	}
	return fetched, err
}

func (s *keySet) fetch(ctx context.Context) (*keys, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.uri, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, connectionError(ctx, err)
	}
	defer resp.Body.Close()
	body, err := readBounded(ctx, resp.Body, mostKeySet)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		reason := fmt.Sprintf("the issuer's key set answered %d", resp.StatusCode)
		return nil, &UnavailableError{retryAfter(resp.Header.Get("Retry-After")), reason}
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: its key set has status %d", ErrIssuer, resp.StatusCode)
	}
	byID, err := parseKeys(body)
	if err != nil {
		return nil, err
	}
	return &keys{byID: byID, fetched: s.now()}, nil
}

// parseKeys reads the signing keys of a key set, each for itself: RFC 7517 section 5 says to ignore those one cannot
// read. Symmetric keys are never used: who can verify with one can sign with it. Nor are keys published with their private
// part: everybody can sign with those.
func parseKeys(body []byte) (map[string]keyfunc.Keyfunc, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("%w: its key set is not one: %w", ErrIssuer, err)
	}
	byID := map[string]keyfunc.Keyfunc{}
	for _, raw := range set.Keys {
		var k struct {
			ID   string `json:"kid"`
			Type string `json:"kty"`
			Use  string `json:"use"`

			Private json.RawMessage `json:"d"` // of every kind of key pair (RFC 7518 section 6, RFC 8037)
		}
		if json.Unmarshal(raw, &k) != nil || k.ID == "" || k.Type == "oct" || k.Private != nil || k.Use != "" && k.Use != "sig" {
			continue
		}
		if parsed, err := keyfunc.NewJWKJSON(raw); err == nil && byID[k.ID] == nil {
			byID[k.ID] = parsed
		}
	}
	if len(byID) == 0 {
		return nil, fmt.Errorf("%w: its key set has no usable key", ErrIssuer)
	}
	return byID, nil
}

// Keys finds the issuer's public keys for others, beside a Swapper, that verify what the issuer signs. It fetches them
// as a Swapper does: when they are needed, and not too often.
type Keys struct{ set *keySet }

// NewKeys takes JWKSURI, Timeout, Transport, Logger and Now of cfg. It does not ask the issuer. The caller ends it with
// Close.
func NewKeys(cfg Config) *Keys { return &Keys{newKeySet(cfg, newClient(cfg.Transport))} }

// KeyfuncCtx returns how jwt finds a token's key. The token's alg is held against the key's; the caller says which algs
// it takes.
func (k *Keys) KeyfuncCtx(ctx context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) { return k.set.key(ctx, token) }
}

// Close cancels fetches that are under way and closes idle connections.
func (k *Keys) Close() error {
	k.set.close()
	k.set.client.CloseIdleConnections()
	return nil
}

func (s *keySet) close() { s.fetches.close() }

// fetchLimit allows a few fetches at once, as when an issuer rotates its keys twice in a row, and one every fetchPause
// in the long run.
type fetchLimit struct {
	mu    sync.Mutex
	spent int       // fetches not yet paid back
	since time.Time // when the last one was paid back
}

const (
	fetchBurst = 5
	fetchPause = 2 * time.Second
)

// take returns 0 when a fetch may begin now, else how long to wait.
func (l *fetchLimit) take(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	paid := int(now.Sub(l.since) / fetchPause)
	if l.spent = max(l.spent-paid, 0); l.spent == 0 {
		l.since = now
	} else if paid > 0 {
		l.since = l.since.Add(time.Duration(paid) * fetchPause)
	}
	if l.spent >= fetchBurst {
		return fetchPause - now.Sub(l.since)
	}
	l.spent++
	return 0
}
