// Package storagetest is the one suite that every store must pass, each test on a fresh database.
//
// It tests what storage and the rooms lean on: what is found and what is not, that a code is consumed once however many
// race for it, and that every reach of a revocation ends every descendant on every path. What belongs to one driver
// (files, durability) is tested beside that driver.
package storagetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// Store is the union of what the rooms call. Production code never asks for it: each room declares its own few methods.
type Store interface {
	Generations(ctx context.Context, tenant, clientID, subject string) (storage.Births, error)

	CreateGrantWithCode(ctx context.Context, g storage.Grant, code storage.Code, consent *storage.Consent) error
	CreateGrantWithToken(ctx context.Context, g storage.Grant, token storage.AccessToken) error
	FindCode(ctx context.Context, tenant string, hash []byte) (storage.LiveCode, error)
	RedeemCode(ctx context.Context, tenant string, hash []byte, now time.Time, access storage.AccessToken, refresh *storage.RefreshToken) error
	FindRefresh(ctx context.Context, tenant string, hash []byte) (storage.LiveRefresh, error)
	RotateRefresh(ctx context.Context, tenant string, hash []byte, now time.Time, answer []byte, access storage.AccessToken, next storage.RefreshToken) error
	FindAccess(ctx context.Context, tenant string, hash []byte) (storage.LiveAccess, error)
	FindAccessByJTI(ctx context.Context, tenant, jti string) (storage.LiveAccess, error)
	CreateExchanged(ctx context.Context, tenant string, by storage.Exchange, now time.Time, token storage.AccessToken) error
	ListTokens(ctx context.Context, f storage.TokenFilter, now time.Time) ([]storage.LiveAccess, error)

	Revoke(ctx context.Context, r storage.Revocation) (storage.Revocation, error)
	RevokeAll(ctx context.Context, asked []storage.Revocation) ([]storage.Revocation, error)
	FindRevocation(ctx context.Context, tenant, id string) (storage.Revocation, error)

	Revoked() <-chan struct{}
	FeedPosition(ctx context.Context) (storage.Position, error)
	CreateStream(ctx context.Context, n storage.Stream, most int) (storage.Stream, error)
	ReadFeed(ctx context.Context, tenant, clientID, streamID string, limit int) (storage.FeedPage, error)
	Acknowledge(ctx context.Context, tenant, clientID, streamID string, through int64, at time.Time) error
	AskVerification(ctx context.Context, tenant, clientID, streamID, state string) error
	DeleteStream(ctx context.Context, tenant, clientID, streamID string) error
	Streams(ctx context.Context, tenant string) ([]storage.Stream, storage.Position, error)
	Applied(ctx context.Context, tenant string, sequence int64) ([]storage.Applied, error)
	BeginEpoch(ctx context.Context, everything storage.Revocation) error

	CreateSession(ctx context.Context, s storage.Session) error
	FindSession(ctx context.Context, tenant string, hash []byte) (storage.LiveSession, error)
	EndSession(ctx context.Context, tenant, sessionID, by string, at time.Time) error

	FindConsent(ctx context.Context, tenant, subject, clientID string) (storage.Consent, error)
	DeleteConsent(ctx context.Context, tenant, subject, clientID string) error
	EnsureAccount(ctx context.Context, tenant, login, newSubject string) (storage.Account, error)
	Accounts(ctx context.Context, tenant string) ([]storage.Account, error)

	SigningKeys(ctx context.Context, tenant string) ([]storage.SigningKey, error)
	AddSigningKey(ctx context.Context, key storage.SigningKey, previousID string, previousExpiresAt time.Time) error

	Sweep(ctx context.Context, now time.Time, limit int) (removed int, err error)
	Ping(ctx context.Context) error
	Close() error
}

// Run runs the suite. open makes a fresh store and closes it when its test ends.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, category := range []struct {
		name string
		test func(*testing.T, func(*testing.T) Store)
	}{
		{"Grants", testGrants},
		{"Codes", testCodes},
		{"Refresh", testRefresh},
		{"Lists", testLists},
		{"Generations", testGenerations},
		{"Reaches", testReaches},
		{"Exchanges", testExchanges},
		{"Feed", testFeed},
		{"Sessions", testSessions},
		{"Consents", testConsents},
		{"Accounts", testAccounts},
		{"SigningKeys", testSigningKeys},
		{"Sweep", testSweep},
		{"Races", testRaces},
		{"Model", testModel},
	} {
		t.Run(category.name, func(t *testing.T) { category.test(t, open) })
	}
}

const (
	tenant = "default"
	client = "app"
	user   = "u_alice"
)

// start is the time of every test: to the millisecond, as it is kept.
var start = time.Date(2030, 1, 2, 3, 4, 5, 6_000_000, time.UTC)

func hash(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// userGrant is a grant of a user's session, with its code.
func userGrant(id string, births storage.Births) (storage.Grant, storage.Code) {
	return storage.Grant{
			Tenant: tenant, ID: id, ClientID: client, Subject: user, SessionID: "session-1", Scope: "openid read",
			WrappedKey: []byte("wrapped " + id), Births: births, CreatedAt: start, ExpiresAt: start.Add(24 * time.Hour),
		}, storage.Code{
			Hash: hash("code " + id), GrantID: id, Value: []byte("code value " + id), IssuedAt: start, ExpiresAt: start.Add(time.Minute),
		}
}

func access(grantID, name string) storage.AccessToken {
	return storage.AccessToken{Hash: hash("access " + name), JTI: "jti-" + name, GrantID: grantID, Scope: "read",
		Value: []byte("access value " + name), IssuedAt: start, ExpiresAt: start.Add(15 * time.Minute)}
}

func refresh(grantID, name string) storage.RefreshToken {
	return storage.RefreshToken{Hash: hash("refresh " + name), GrantID: grantID, Scope: "openid read",
		Value: []byte("refresh value " + name), IssuedAt: start, ExpiresAt: start.Add(time.Hour)}
}

func session(id string, births storage.Births) storage.Session {
	return storage.Session{Tenant: tenant, ID: id, Hash: hash("session " + id), Subject: user, ACR: "pwd", AMR: "pwd mfa",
		Births:   storage.Births{Everything: births.Everything, Tenant: births.Tenant, User: births.User},
		AuthTime: start, ExpiresAt: start.Add(8 * time.Hour)}
}

// begin makes a user's grant and redeems its code for an access token "<id>" and a refresh token "<id>".
func begin(t *testing.T, s Store, id string, births storage.Births) (storage.Grant, storage.AccessToken, storage.RefreshToken) {
	t.Helper()
	g, c := userGrant(id, births)
	a, r := access(id, id), refresh(id, id)
	must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
	must(t, s.RedeemCode(t.Context(), tenant, c.Hash, start, a, &r))
	return g, a, r
}

// revocation asks for one reach.
func revocation(kind storage.Kind, target string) storage.Revocation {
	return storage.Revocation{Tenant: tenant, ID: rand.Text(), Kind: kind, Target: target, By: "operator", At: start}
}

// failer is what testing.T and rapid.T have in common.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t failer, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error is %v, want %v", what, got, want)
	}
}

func same(t failer, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// asFound is what reading an access token that is alive must give: without what storage.LiveAccess comes without.
func asFound(t *testing.T, s Store, a storage.AccessToken, g storage.Grant) storage.LiveAccess {
	t.Helper()
	feed, err := s.FeedPosition(t.Context())
	must(t, err)
	a.Hash, g.Scope, g.Offline, g.CreatedAt = nil, "", false, time.Time{}
	return storage.LiveAccess{AccessToken: a, Grant: g, Alive: true, Feed: feed}
}
