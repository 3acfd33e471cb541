// Package grantstest is a small issuer for tests: the rooms that issue, introspect and revoke, over a real SQLite file in
// the test's own folder, with a clock that stands still until it is moved, and a log that is kept. It has no pages and no
// listener: a user's login is made in the store.
package grantstest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/audiences"
	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/revocation"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/server/introspect"
	"github.com/phantomgate/phantomgate/authserver/internal/server/revoke"
	"github.com/phantomgate/phantomgate/authserver/internal/server/token"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/storage/sqlite"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
)

// What every test issuer has.
const (
	URL         = "http://localhost:8090"
	Tenant      = oauth.DefaultTenant
	Alice       = "u_alice" // a sub; its user lives in region eu
	RedirectURI = "http://127.0.0.1:4711/callback"
	Verifier    = "a-verifier.of-the-length~that-RFC-7636-wants"
	Secret      = "-canary-secret" // a client's secret is its id and this
)

// Start is when every clock begins: on a whole second, so that figures in golden files are round.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Issuer is one test's issuer.
type Issuer struct {
	Store     *sqlite.Store
	Clients   *Clients
	Users     *Users
	Grants    *grants.Service
	Revoker   Revoker
	Bearer    bearer.Finder
	Audiences *audiences.Catalogue
	DataKey   seal.Key
	Names     revocation.Namer
	Signer    Signer
	Clock     *Clock
	Log       *Log
	Dir       string         // holds the database files
	Mux       *http.ServeMux // /oauth/token, /oauth/introspect, /oauth/revoke
}

// New makes an issuer that is closed when the test ends.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{Clock: &Clock{now: Start}, Log: &Log{}, Users: newUsers(), Dir: t.TempDir(), Mux: http.NewServeMux(), Signer: newSigner(t)}
	logger := slog.New(slog.NewJSONHandler(i.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	i.Store, err = sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(i.Dir, "issuer.db"), Logger: logger})
	must(t, err)
	t.Cleanup(func() { _ = i.Store.Close() })
	i.Clients = newClients(t)
	i.Audiences, err = audiences.New(declared)
	must(t, err)
	i.DataKey, err = seal.NewKey(bytes.Repeat([]byte{7}, seal.KeySize))
	must(t, err)
	i.Names.MAC, err = seal.NewMAC(bytes.Repeat([]byte{7}, seal.KeySize), "test")
	must(t, err)
	i.Revoker = Revoker{i.Store, i.Clock}
	i.Bearer = bearer.Finder{Store: i.Store, Clients: i.Clients, Users: i.Users, Now: i.Clock.Now}
	i.Grants, err = grants.New(grants.Options{
		Issuer: URL, Store: i.Store, DataKey: i.DataKey, Users: i.Users, Audiences: i.Audiences, Signer: i.Signer,
		Verifier: i.Signer, Bearer: i.Bearer, Revoker: i.Revoker, Now: i.Clock.Now, Logger: logger,
	})
	must(t, err)
	i.mount(t, logger)
	return i
}

func (i *Issuer) mount(t testing.TB, logger *slog.Logger) {
	t.Helper()
	tokens, err := token.New(token.Handler{Tenant: Tenant, Store: i.Store, Clients: i.Clients, Grants: i.Grants, Log: logger})
	must(t, err)
	asked, err := introspect.New(introspect.Handler{
		Tenant: Tenant, Issuer: URL, Finder: i.Bearer, Clients: i.Clients, Audiences: i.Audiences, Signer: i.Signer,
		DataKey: i.DataKey, Names: i.Names, Now: i.Clock.Now, Log: logger,
	})
	must(t, err)
	returned, err := revoke.New(revoke.Handler{Tenant: Tenant, Store: i.Store, Clients: i.Clients, Revoker: i.Revoker, Log: logger})
	must(t, err)
	tokens.Mount(i.Mux)
	asked.Mount(i.Mux)
	returned.Mount(i.Mux)
}

// Login makes a session of Alice, as her login would.
func (i *Issuer) Login(t testing.TB) storage.Session {
	t.Helper()
	births, err := i.Store.Generations(t.Context(), Tenant, "", Alice)
	must(t, err)
	secret := sha256.Sum256([]byte(rand.Text()))
	session := storage.Session{
		Tenant: Tenant, ID: rand.Text(), Hash: secret[:], Subject: Alice, ACR: "password", AMR: "pwd",
		Births: births, AuthTime: i.Clock.Now(), ExpiresAt: i.Clock.Now().Add(8 * time.Hour),
	}
	must(t, i.Store.CreateSession(t.Context(), session))
	return session
}

// Authorization is what Alice allows a client in a fresh session.
func (i *Issuer) Authorization(t testing.TB, clientID string, scopes ...string) grants.Authorization {
	t.Helper()
	client, ok := i.Clients.Find(Tenant, clientID)
	if !ok {
		t.Fatalf("no client %s", clientID)
	}
	births, err := i.Store.Generations(t.Context(), Tenant, clientID, Alice)
	must(t, err)
	return grants.Authorization{
		Client: client, Session: i.Login(t), Births: births, Scopes: scopes, RedirectURI: RedirectURI,
		Challenge: Challenge(Verifier), Nonce: "n-0S6_WzA2Mj",
	}
}

// Code begins a grant and gives its code.
func (i *Issuer) Code(t testing.TB, clientID string, scopes ...string) string {
	t.Helper()
	code, err := i.Grants.Begin(t.Context(), i.Authorization(t, clientID, scopes...))
	must(t, err)
	return code
}

// Revoker revokes one reach, given by its own id.
type Revoker struct {
	store *sqlite.Store
	clock *Clock
}

// Revoke moves the reach's generation on.
func (r Revoker) Revoke(ctx context.Context, tenant string, kind storage.Kind, target, by string) (storage.Revocation, error) {
	return r.store.Revoke(ctx, storage.Revocation{Tenant: tenant, ID: rand.Text(), Kind: kind, Target: target, By: by, At: r.clock.Now()})
}

// Challenge is the S256 challenge of a verifier (RFC 7636, 4.2).
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Clock stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now gives the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves the clock on.
func (c *Clock) Move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// Log keeps all that is logged.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write adds a record.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String gives all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Users are the people of the test, who may be forgotten.
type Users struct {
	mu    sync.Mutex
	known []users.User
}

func newUsers() *Users {
	return &Users{known: []users.User{{
		Subject: Alice, Login: "alice",
		Claims: map[string]any{"region": "eu", "name": "Alice Demo", "loyalty": 12345678901234567, "shoe_size": 38},
	}}}
}

// Find finds a user by sub.
func (u *Users) Find(tenant, subject string) (users.User, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := slices.IndexFunc(u.known, func(user users.User) bool { return tenant == Tenant && user.Subject == subject })
	if n < 0 {
		return users.User{}, false
	}
	user := u.known[n]
	user.Claims = maps.Clone(user.Claims)
	return user, true
}

// Set changes a claim of every user.
func (u *Users) Set(claim string, value any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, user := range u.known {
		user.Claims[claim] = value
	}
}

// Forget takes a user out of the config.
func (u *Users) Forget(subject string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.known = slices.DeleteFunc(u.known, func(user users.User) bool { return user.Subject == subject })
}

// Signer signs with a key that is made for the test.
type Signer struct{ key *ecdsa.PrivateKey }

func newSigner(t testing.TB) Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return Signer{key}
}

// Sign signs claims as ES256.
func (s Signer) Sign(typ string, claims jwt.Claims) (string, error) {
	unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	unsigned.Header["typ"], unsigned.Header["kid"] = typ, "test-key"
	return unsigned.SignedString(s.key)
}

// Verify is that of keys.Ring, for the one key there is.
func (s Signer) Verify(token, typ string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	parsed, err := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"ES256"})).
		ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return &s.key.PublicKey, nil })
	if err != nil {
		return nil, err
	}
	if parsed.Header["typ"] != typ {
		return nil, fmt.Errorf("the JWT is of type %v, want %s", parsed.Header["typ"], typ)
	}
	return claims, nil
}

// Claims verifies a JWT's signature and type, not its times, and gives its claims.
func (s Signer) Claims(t testing.TB, signed, typ string) jwt.MapClaims {
	t.Helper()
	claims, err := s.Verify(signed, typ)
	must(t, err)
	return claims
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
