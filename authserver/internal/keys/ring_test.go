package keys

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// table is the store's part for keys, in memory.
type table struct {
	mu   sync.Mutex
	rows []storage.SigningKey
	err  error
}

func (s *table) SigningKeys(context.Context, string) ([]storage.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]storage.SigningKey(nil), s.rows...), s.err
}

func (s *table) AddSigningKey(_ context.Context, key storage.SigningKey, previousID string, previousExpiresAt time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	previous := -1
	for i, row := range s.rows {
		if row.ExpiresAt.IsZero() {
			previous = i
		}
	}
	switch {
	case previous < 0 && previousID != "", previous >= 0 && s.rows[previous].ID != previousID:
		return storage.ErrConsumed
	case previous >= 0:
		s.rows[previous].ExpiresAt = previousExpiresAt
	}
	s.rows = append(s.rows, key)
	return nil
}

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

var dataKey = mustKey(1)

func mustKey(b byte) seal.Key {
	key, err := seal.NewKey([]byte(strings.Repeat(string(rune(b)), seal.KeySize)))
	if err != nil {
		panic(err)
	}
	return key
}

func options(now func() time.Time, algorithm string) Options {
	return Options{Tenant: oauth.DefaultTenant, Algorithm: algorithm, RotateEvery: 30 * 24 * time.Hour, PublishFor: time.Hour,
		Overlap: 6 * time.Minute, Now: now, Logger: slog.New(slog.DiscardHandler)}
}

func openRing(t testing.TB, store Store, now func() time.Time, algorithm string) *Ring {
	t.Helper()
	r, err := Open(context.Background(), store, dataKey, options(now, algorithm))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 678_901, time.UTC)} }

func sign(t testing.TB, r *Ring) string {
	t.Helper()
	signed, err := r.Sign(oauth.TypeAccessToken, jwt.MapClaims{"sub": "u_1"})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// kid reads a JWT's kid without verifying it.
func kid(t testing.TB, token string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Header["kid"].(string)
}

// verifies tells whether a JWT verifies against a JWKS, as a verifier of somebody else's making does it.
func verifies(jwks []byte, token string) error {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		return err
	}
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil {
		return err
	}
	header := parsed.Signatures[0].Header
	found := set.Key(header.KeyID)
	if len(found) != 1 {
		return fmt.Errorf("%d keys of that kid in the JWKS", len(found))
	}
	if found[0].Algorithm != header.Algorithm || found[0].Use != "sig" || !found[0].IsPublic() {
		return errors.New("the JWK is not for this")
	}
	_, err = parsed.Verify(found[0])
	return err
}

func TestEveryAlgorithmSignsWhatTheJWKSVerifies(t *testing.T) {
	for _, algorithm := range []string{config.ES256, config.EdDSA, config.RS256} {
		store := &table{}
		r := openRing(t, store, newClock().Now, algorithm)
		token := sign(t, r)
		if err := verifies(r.JWKS(), token); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		if claims, err := r.Verify(token, oauth.TypeAccessToken); err != nil || claims["sub"] != "u_1" {
			t.Errorf("%s: %v %v", algorithm, claims, err)
		}
		// Another node, or this one after a restart, has the same key.
		if again := openRing(t, store, newClock().Now, algorithm); kid(t, sign(t, again)) != kid(t, token) || len(store.rows) != 1 {
			t.Errorf("%s: a second node made a key of its own", algorithm)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(r.JWKS(), &set); err != nil {
			t.Fatal(err)
		}
		thumbprint, err := set.Keys[0].Thumbprint(crypto.SHA256)
		if err != nil || len(thumbprint) != 32 || strings.Contains(string(r.JWKS()), `"d"`) {
			t.Errorf("%s: %s", algorithm, r.JWKS())
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	now := newClock()
	r := openRing(t, &table{}, now.Now, config.ES256)
	good := sign(t, r)
	stranger := sign(t, openRing(t, &table{}, now.Now, config.ES256))
	parts := strings.Split(good, ".")
	none := "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + "."
	hs := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "u_1"})
	hs.Header["kid"], hs.Header["typ"] = kid(t, good), oauth.TypeAccessToken
	confused, err := hs.SignedString(r.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ token, typ string }{
		"another typ":         {good, oauth.TypeIDToken},
		"another's key":       {stranger, oauth.TypeAccessToken},
		"alg none":            {none, oauth.TypeAccessToken},
		"HMAC by public key":  {confused, oauth.TypeAccessToken},
		"an altered payload":  {parts[0] + "." + parts[1][:len(parts[1])-2] + "AA." + parts[2], oauth.TypeAccessToken},
		"an altered header":   {"A" + good, oauth.TypeAccessToken},
		"no signature":        {parts[0] + "." + parts[1] + ".", oauth.TypeAccessToken},
		"nothing":             {"", oauth.TypeAccessToken},
		"a signature too few": {parts[0] + "." + parts[1], oauth.TypeAccessToken},
	} {
		if _, err := r.Verify(tc.token, tc.typ); !errors.Is(err, ErrVerify) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyDoesNotJudgeTimes(t *testing.T) {
	r := openRing(t, &table{}, newClock().Now, config.ES256)
	old, err := r.Sign(oauth.TypeIDToken, jwt.MapClaims{"exp": 1, "sub": "u_1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(old, oauth.TypeIDToken); err != nil {
		t.Error("a hint may have expired:", err)
	}
}

func TestRotation(t *testing.T) {
	now := newClock()
	store := &table{}
	a, b := openRing(t, store, now.Now, config.ES256), openRing(t, store, now.Now, config.ES256)
	first := sign(t, a)
	now.now = now.now.Add(a.options.RotateEvery - a.lead)
	for _, r := range []*Ring{a, b} { // both find it due; one makes the key
		if err := r.tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(store.rows) != 2 {
		t.Fatalf("%d keys", len(store.rows))
	}
	if kid(t, sign(t, a)) != kid(t, first) || !strings.Contains(string(a.JWKS()), store.rows[1].ID) || string(a.JWKS()) != string(b.JWKS()) {
		t.Error("the new key must be published by both and sign by none")
	}
	now.now = store.rows[1].ActiveAt
	second := sign(t, a)
	if kid(t, second) != store.rows[1].ID || verifies(b.JWKS(), first) != nil || verifies(b.JWKS(), second) != nil {
		t.Error("the new key must sign now, and both must be published")
	}
	now.now = now.now.Add(a.options.Overlap)
	if verifies(a.JWKS(), first) == nil || verifies(a.JWKS(), second) != nil {
		t.Error("the old key must be gone after the overlap")
	}
	if _, err := a.Verify(first, oauth.TypeAccessToken); !errors.Is(err, ErrVerify) {
		t.Error("the old key verifies after the overlap:", err)
	}
}

func TestAnotherAlgorithmRotatesAtOnce(t *testing.T) {
	now := newClock()
	store := &table{}
	before := sign(t, openRing(t, store, now.Now, config.ES256))
	r := openRing(t, store, now.Now, config.EdDSA)
	if len(store.rows) != 2 || kid(t, sign(t, r)) != kid(t, before) {
		t.Fatal("the new key must be published, and not sign yet")
	}
	now.now = now.now.Add(r.lead)
	if err := verifies(r.JWKS(), sign(t, r)); err != nil || kid(t, sign(t, r)) != store.rows[1].ID || store.rows[1].Algorithm != config.EdDSA {
		t.Error("the new key does not sign:", err)
	}
	// A node that still has the old file does not turn it back at every tick.
	if err := r.tick(t.Context()); err != nil || len(store.rows) != 2 {
		t.Error(err, len(store.rows))
	}
}

func TestOpenFailsClosed(t *testing.T) {
	now := newClock().Now
	store := &table{}
	openRing(t, store, now, config.ES256)
	if _, err := Open(t.Context(), store, mustKey(2), options(now, config.ES256)); !errors.Is(err, seal.ErrOpen) || !strings.Contains(err.Error(), "data_key") {
		t.Error("another data key:", err)
	}
	swapped := &table{rows: append([]storage.SigningKey(nil), store.rows...)}
	swapped.rows[0].ID = "another"
	if _, err := Open(t.Context(), swapped, dataKey, options(now, config.ES256)); !errors.Is(err, seal.ErrOpen) {
		t.Error("a row under another kid:", err)
	}
	confused := &table{rows: append([]storage.SigningKey(nil), store.rows...)}
	confused.rows[0].Algorithm = config.RS256
	if _, err := Open(t.Context(), confused, dataKey, options(now, config.RS256)); err == nil {
		t.Error("a key of another algorithm was taken")
	}
	if _, err := Open(t.Context(), &table{err: storage.ErrUnavailable}, dataKey, options(now, config.ES256)); !errors.Is(err, storage.ErrUnavailable) {
		t.Error(err)
	}
	expired := &table{rows: append([]storage.SigningKey(nil), store.rows...)}
	expired.rows[0].ExpiresAt = now().Add(-time.Hour)
	if r, err := Open(t.Context(), &stuck{expired}, dataKey, options(now, config.ES256)); err == nil {
		t.Error("opened without a key:", r)
	}
	for name, spoil := range map[string]func(*Options){
		"no tenant":      func(o *Options) { o.Tenant = "" },
		"no logger":      func(o *Options) { o.Logger = nil },
		"algorithm":      func(o *Options) { o.Algorithm = "HS256" },
		"no overlap":     func(o *Options) { o.Overlap = 0 },
		"never ahead":    func(o *Options) { o.PublishFor = 0 },
		"rotates faster": func(o *Options) { o.RotateEvery = o.PublishFor },
	} {
		o := options(now, config.ES256)
		spoil(&o)
		if _, err := Open(t.Context(), &table{}, dataKey, o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// stuck refuses every new key, as if another node had always been first.
type stuck struct{ *table }

func (*stuck) AddSigningKey(context.Context, storage.SigningKey, string, time.Time) error {
	return storage.ErrConsumed
}

func TestTheKeysAtHandSignOnWithoutTheTable(t *testing.T) {
	now := newClock()
	store := &table{}
	r := openRing(t, store, now.Now, config.ES256)
	store.rows = nil
	if err := r.tick(t.Context()); err == nil {
		t.Error("an empty table was believed")
	}
	store.err = storage.ErrUnavailable
	if err := r.tick(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
		t.Error(err)
	}
	if err := verifies(r.JWKS(), sign(t, r)); err != nil {
		t.Error(err)
	}
}

func TestRunRotatesAndReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &table{}
		a, b := openRing(t, store, time.Now, config.EdDSA), openRing(t, store, time.Now, config.EdDSA)
		ctx, cancel := context.WithCancel(t.Context())
		go a.Run(ctx)
		time.Sleep(a.options.RotateEvery) // the bubble's clock, not ours
		synctest.Wait()
		token := sign(t, a)
		if len(store.rows) != 2 || kid(t, token) != store.rows[1].ID {
			t.Errorf("%d keys", len(store.rows))
		}
		// b has not read the table: what it does not know makes it read, soon.
		go b.Run(ctx)
		if _, err := b.Verify(token, oauth.TypeAccessToken); err == nil {
			t.Error("verified by an unknown key")
		}
		synctest.Wait()
		if _, err := b.Verify(token, oauth.TypeAccessToken); err != nil {
			t.Error("the table was not read:", err)
		}
		cancel()
		synctest.Wait()
	})
}

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []string{config.ES256, config.EdDSA, config.RS256} {
		b.Run(algorithm, func(b *testing.B) {
			r := openRing(b, &table{}, time.Now, algorithm)
			claims := jwt.RegisteredClaims{Subject: "u_1", Issuer: "http://localhost:8090", ID: "x"}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Sign(oauth.TypeAccessToken, claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
