package phantomtoken

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	testIssuer = "https://issuer.example"
	good       = "pgat_DzEA6JvDTPdyybiV5XVzV5by0CcPZx6lPeTrFo8W53Q0c9gfd"
	other      = "pgat_YHJSKWDa6oz1al1yMhwzwM8llg7hJNUca2J5RoW8xP147QcmD"
)

// fakeIssuer is an issuer without a network. It says yes to every reference unless told otherwise.
type fakeIssuer struct {
	t     testing.TB
	clock *clock

	mu     sync.Mutex
	key    *ecdsa.PrivateKey
	kid    string
	public []map[string]string
	asked  []string // bodies of introspections
	keyGet int

	// What a test may change before it asks.
	answer func(r *http.Request) *http.Response // instead of a phantom token
	header map[string]any                       // laid over the JWT's header
	claims map[string]any                       // laid over the JWT's claims; nil removes
	cache  string                               // Cache-Control
	keys   func() *http.Response                // instead of the key set
}

func newFakeIssuer(t testing.TB, c *clock) *fakeIssuer {
	i := &fakeIssuer{t: t, clock: c}
	i.rotate("1")
	return i
}

// rotate makes a new signing key, used and published at once, beside the old ones.
func (i *fakeIssuer) rotate(kid string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		i.t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.kid = key, kid
	i.public = append(i.public, map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": text(point[1:33]), "y": text(point[33:]),
	})
}

func (i *fakeIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet {
		i.mu.Lock()
		i.keyGet++
		custom, body := i.keys, mustJSON(map[string]any{"keys": i.public})
		i.mu.Unlock()
		if custom != nil {
			return custom(), nil
		}
		return respond(200, "application/json", body), nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	i.asked = append(i.asked, string(body))
	custom := i.answer
	i.mu.Unlock()
	if custom != nil {
		if resp := custom(r); resp != nil {
			return resp, nil
		}
		<-r.Context().Done() // an issuer that never answers
		return nil, r.Context().Err()
	}
	resp := respond(200, "application/jwt", i.mint())
	if i.cache != "" {
		resp.Header.Set("Cache-Control", i.cache)
	}
	return resp, nil
}

// mint signs the phantom token of a well-behaved issuer, changed as the test has asked.
func (i *fakeIssuer) mint() string {
	now := i.clock.now()
	claims := jwt.MapClaims{
		"iss": testIssuer, "aud": "orders", "sub": "user", "client_id": "mobile", "scope": "orders.read", "jti": "1",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Add(-time.Minute).Unix(), "acr": "pwd",
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	i.mu.Lock()
	defer i.mu.Unlock()
	token.Header["typ"], token.Header["kid"] = "at+jwt", i.kid
	maps.Copy(token.Header, i.header)
	maps.Copy(claims, i.claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	maps.DeleteFunc(token.Header, func(_ string, v any) bool { return v == nil })
	signed, err := token.SignedString(i.key)
	if err != nil {
		i.t.Error(err)
	}
	return signed
}

func (i *fakeIssuer) calls() (introspections, keySets int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.asked), i.keyGet
}

func respond(status int, contentType, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// clock stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// fixture is a Swapper, its issuer, and what was logged.
type fixture struct {
	*Swapper
	t      *testing.T
	issuer *fakeIssuer
	clock  *clock
	ask    *Ask
	log    *lockedBuffer
}

func newFixture(t *testing.T, changes ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: newClock(), log: &lockedBuffer{}}
	f.issuer = newFakeIssuer(t, f.clock)
	cfg := Config{
		Issuer: testIssuer, Tenant: "default", IntrospectionEndpoint: testIssuer + "/introspect", JWKSURI: testIssuer + "/jwks",
		ClientID: "gate way", ClientSecret: "canary:secret", Timeout: 2 * time.Second,
		MaxAge: time.Second, MaxBytes: 1 << 20, NegativeMaxAge: time.Second, NegativeEntries: 100,
		Transport: f.issuer, Logger: slog.New(slog.NewTextHandler(f.log, nil)), Now: f.clock.now,
	}
	for _, change := range changes {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.jitter = func() float64 { return 0 }
	s.store.chosen = func() bool { return true }
	f.Swapper, f.ask = s, s.Ask("orders", []string{"orders.read", "orders.write"})
	t.Cleanup(func() {
		s.Close()
		for _, secret := range []string{good, other, "canary", "eyJ"} {
			if strings.Contains(f.log.String(), secret) {
				t.Errorf("%q was logged:\n%s", secret, f.log)
			}
		}
	})
	return f
}

func (f *fixture) swap(reference string) (Token, bool, error) {
	return f.Swap(context.Background(), reference, f.ask, f.clock.now())
}

// mustSwap swaps and checks whether that came from the cache.
func (f *fixture) mustSwap(reference string, wantCached bool) Token {
	f.t.Helper()
	token, cached, err := f.swap(reference)
	if err != nil || cached != wantCached {
		f.t.Fatalf("cached %t, error %v; want cached %t", cached, err, wantCached)
	}
	return token
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// keyFor names the answer to reference and ask.
func keyFor(reference string, ask *Ask) key {
	hash := hashOf(reference)
	return keyOf(&hash, ask)
}
