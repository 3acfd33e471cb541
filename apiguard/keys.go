package apiguard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// refetchInterval is the least time between two fetches, successful or not: tokens with made-up key ids must not
	// turn us into a load on the issuer.
	refetchInterval = 10 * time.Second
	// keysFreshFor is how long a key set is used without looking for a newer one.
	keysFreshFor = 15 * time.Minute
	// keysUsableFor is how long it is used while the issuer cannot be reached. Past it nobody could tell whether the
	// issuer has withdrawn a key.
	keysUsableFor = time.Hour

	maxKeySetBytes = 1 << 20
)

// errNoKeys says that the issuer's keys could not be had, so that nothing is known about the token.
var errNoKeys = errors.New("the issuer's keys cannot be had")

// keySet is one fetched key set, by key id. It is never changed.
type keySet struct {
	keys    map[string]jwt.Keyfunc
	fetched time.Time
}

// keySource fetches the issuer's keys when they are first needed, when they have aged and when a token names a key it
// does not know, which is how a rotation is noticed.
type keySource struct {
	url    string
	client *http.Client
	now    func() time.Time
	logger *slog.Logger

	current atomic.Pointer[keySet]

	fetching sync.Mutex // held during a fetch; guards the fields below
	tried    time.Time
	failed   bool
}

func newKeySource(cfg Config) *keySource {
	return &keySource{url: cfg.JWKSURL, client: cfg.HTTPClient, now: cfg.Now, logger: cfg.Logger}
}

// find returns the key with this id. It answers errKey when the issuer does not publish such a key, and errNoKeys when
// that could not be found out.
func (s *keySource) find(ctx context.Context, kid string) (jwt.Keyfunc, error) {
	set := s.current.Load()
	if set != nil {
		find, known := set.keys[kid]
		age := s.now().Sub(set.fetched)
		switch {
		case known && age < keysFreshFor:
			return find, nil
		case known && age < keysUsableFor:
			// One request looks for newer keys; the others need not wait for it.
			if !s.fetching.TryLock() {
				return find, nil
			}
			defer s.fetching.Unlock()
			return s.findAfterFetch(ctx, kid)
		}
	}
	s.fetching.Lock()
	defer s.fetching.Unlock()
	return s.findAfterFetch(ctx, kid)
}

// findAfterFetch is called with the lock held. It fetches unless that was done a moment ago, and looks again.
func (s *keySource) findAfterFetch(ctx context.Context, kid string) (jwt.Keyfunc, error) {
	if find := s.usable(kid, keysFreshFor); find != nil {
		return find, nil // another request fetched while this one waited for the lock
	}
	if now := s.now(); s.tried.IsZero() || now.Sub(s.tried) >= refetchInterval {
		s.tried = now
		set, err := s.fetch(ctx)
		s.failed = err != nil
		if err != nil {
			s.logger.WarnContext(ctx, "issuer's keys could not be fetched", "url", s.url, "error", err)
		} else {
			s.current.Store(set)
		}
	}
	if find := s.usable(kid, keysUsableFor); find != nil {
		return find, nil
	}
	if s.failed {
		return nil, errNoKeys
	}
	return nil, errKey
}

func (s *keySource) usable(kid string, within time.Duration) jwt.Keyfunc {
	set := s.current.Load()
	if set == nil || s.now().Sub(set.fetched) >= within {
		return nil
	}
	return set.keys[kid]
}

// fetch reads the key set. The request that happens to need it may go away; the fetch, which all the others wait for,
// goes on within its own time.
func (s *keySource) fetch(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	started := s.now()
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written that closing could lose
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the issuer answered %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxKeySetBytes {
		return nil, fmt.Errorf("the key set is larger than %d bytes", maxKeySetBytes)
	}
	keys, err := s.parse(body)
	if err != nil {
		return nil, err
	}
	return &keySet{keys: keys, fetched: started}, nil
}

// parse reads a JWK Set. A key that we cannot use (another kind, meant for encryption, without an id) is left out, as RFC
// 7517 section 5 asks, so that one such key does not take the others with it. So is one published with its private part:
// everybody can sign with it.
func (s *keySource) parse(body []byte) (map[string]jwt.Keyfunc, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("the key set is not JSON: %w", err)
	}
	keys := make(map[string]jwt.Keyfunc, len(set.Keys))
	for i, raw := range set.Keys {
		var about struct {
			Kid, Kty, Use string
			Private       json.RawMessage `json:"d"` // of every kind of key pair (RFC 7518 section 6, RFC 8037)
		}
		if err := json.Unmarshal(raw, &about); err != nil || about.Kid == "" || about.Kty == "oct" || about.Use != "" && about.Use != "sig" {
			s.logger.Debug("a key of the issuer's set is left out", "index", i, "kty", about.Kty, "use", about.Use)
			continue
		}
		if about.Private != nil {
			s.logger.Warn("a key of the issuer's set is left out: its private part is published; the issuer must withdraw it", "index", i)
			continue
		}
		key, err := keyfunc.NewJWKJSON(raw)
		if err != nil {
			s.logger.Debug("a key of the issuer's set is left out", "index", i, "kty", about.Kty)
			continue
		}
		if _, twice := keys[about.Kid]; twice {
			return nil, fmt.Errorf("the key set has two keys with the id %q", about.Kid)
		}
		keys[about.Kid] = key.Keyfunc
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set holds no key that can verify a signature")
	}
	return keys, nil
}
