// Package sessions keeps what a browser carries for the issuer: the cookie of a login, and the tickets by which a page and
// the form that it posts belong together.
//
// A session is one login of a user. The browser holds a random secret and the store its hash, so neither the database nor a
// log yields a session. Every login makes a new session with a new secret: a cookie planted beforehand is worth nothing.
package sessions

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// CookieName is the cookie of a login. Cookies ignore ports, so each of our programs has names of its own.
const CookieName = "__Host-pgas-session"

// How a user logged in, as the `acr` and `amr` of tokens (OpenID Connect Core 2, RFC 8176).
const (
	ACRPassword = "urn:phantomgate:acr:password"
	AMRPassword = "pwd"
)

// ErrNone says that the request comes with no session, or with one that is unknown, ended or expired.
var ErrNone = errors.New("sessions: none")

// Store is what this room asks of the storage.
type Store interface {
	CreateSession(ctx context.Context, session storage.Session) error
	FindSession(ctx context.Context, tenant string, hash []byte) (storage.LiveSession, error)
	EndSession(ctx context.Context, tenant, sessionID, by string, at time.Time) error
}

// Keeper starts, finds and ends sessions.
type Keeper struct {
	Store Store
	Now   func() time.Time
}

// New checks that nothing is missing.
func New(k Keeper) (*Keeper, error) {
	if k.Store == nil || k.Now == nil {
		return nil, errors.New("sessions: Store and Now are both needed")
	}
	return &k, nil
}

// Login is what a session is started from.
type Login struct {
	Tenant   string
	Subject  string
	ACR      string
	AMR      string         // space separated
	Births   storage.Births // read before the login was checked
	Lifetime time.Duration  // by the policy of the client that asked for the login
}

// Start makes a new session and gives its cookie to the browser, in place of any that it had. The cookie ends with the
// browser and the session with its lifetime, whichever is first.
func (k *Keeper) Start(ctx context.Context, w http.ResponseWriter, login Login) (storage.Session, error) {
	if login.Tenant == "" || login.Subject == "" || login.Lifetime <= 0 {
		return storage.Session{}, errors.New("sessions: a login needs a tenant, a subject and a lifetime")
	}
	secret := rand.Text() + rand.Text() // 260 bits
	now := k.Now().UTC().Truncate(time.Millisecond)
	session := storage.Session{
		Tenant: login.Tenant, ID: "s_" + rand.Text(), Hash: hash(secret), Subject: login.Subject,
		ACR: login.ACR, AMR: login.AMR, AuthTime: now, ExpiresAt: now.Add(login.Lifetime),
		Births: storage.Births{Everything: login.Births.Everything, Tenant: login.Births.Tenant, User: login.Births.User},
	}
	if err := k.Store.CreateSession(ctx, session); err != nil {
		return storage.Session{}, fmt.Errorf("sessions: start: %w", err)
	}
	http.SetCookie(w, cookie(CookieName, secret))
	return session, nil
}

// Find gives the session that the request's cookie stands for, or ErrNone. It does not tell whether its user is still known.
func (k *Keeper) Find(ctx context.Context, r *http.Request, tenant string) (storage.Session, error) {
	secret := carried(r, CookieName)
	if secret == "" {
		return storage.Session{}, ErrNone
	}
	found, err := k.Store.FindSession(ctx, tenant, hash(secret))
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return storage.Session{}, ErrNone
	case err != nil:
		return storage.Session{}, fmt.Errorf("sessions: find: %w", err)
	case !found.Alive, !k.Now().Before(found.ExpiresAt):
		return storage.Session{}, ErrNone
	}
	return found.Session, nil
}

// End ends a session and, with it, every grant of it that is not meant to outlive it. It does not touch the browser's
// cookies: see Forget. To end one again does nothing and is no error.
func (k *Keeper) End(ctx context.Context, tenant, sessionID, by string) error {
	err := k.Store.EndSession(ctx, tenant, sessionID, by, k.Now())
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrEnded) {
		return fmt.Errorf("sessions: end: %w", err)
	}
	return nil
}

// Forget takes our cookies from the browser.
func Forget(w http.ResponseWriter) {
	for _, name := range []string{CookieName, browserCookie} {
		c := cookie(name, "")
		c.MaxAge = -1
		http.SetCookie(w, c)
	}
}

// cookie has no Max-Age: it ends with the browser. It is Lax, not Strict, since an authorization request is a navigation
// that another site starts: with Strict the browser would hide the session from it, and nobody would ever be signed in.
func cookie(name, value string) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// carried gives the value of the one cookie of that name. A second one of the same name is somebody's attempt to plant
// theirs, and then none counts.
func carried(r *http.Request, name string) string {
	found := r.CookiesNamed(name)
	if len(found) != 1 || len(found[0].Value) > 128 || strings.TrimSpace(found[0].Value) == "" {
		return ""
	}
	return found[0].Value
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
