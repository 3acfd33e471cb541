// Package authorize is the authorization endpoint with the pages behind it: a client asks, a person signs in and allows,
// and the browser takes a code back (RFC 6749, 4.1 with RFC 7636 and RFC 9207; OpenID Connect Core 3.1.2).
//
// Between a page and its form nothing is kept here: the request travels in the form, as a ticket sealed for that browser.
// Every answer to a client is a 303, so that no browser ever posts a password on to a redirect URI.
package authorize

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/server/idtoken"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/sessions"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
	"github.com/phantomgate/phantomgate/authserver/internal/web/login"
)

// Store is what this room asks of the storage.
type Store interface {
	Generations(ctx context.Context, tenant, clientID, subject string) (storage.Births, error)
	FindConsent(ctx context.Context, tenant, subject, clientID string) (storage.Consent, error)
}

// Clients finds an app.
type Clients interface {
	Find(tenant, id string) (config.Client, bool)
}

// Users finds users and checks their passwords.
type Users interface {
	Find(tenant, subject string) (users.User, bool)
	FindLogin(tenant, login string) (users.User, bool)
	CheckPassword(ctx context.Context, tenant, login, password, remoteAddr string) (users.User, error)
}

// Catalogue knows the audiences and which scope belongs to which.
type Catalogue interface {
	Scope(name string) (scope config.Scope, audience string, ok bool)
	Audience(name string) (config.Audience, bool)
	Of(scopes []string) []string
}

// Sessions starts, finds and ends logins.
type Sessions interface {
	Start(ctx context.Context, w http.ResponseWriter, login sessions.Login) (storage.Session, error)
	Find(ctx context.Context, r *http.Request, tenant string) (storage.Session, error)
	End(ctx context.Context, tenant, sessionID, by string) error
}

// Grants makes a grant and the code for it.
type Grants interface {
	Begin(ctx context.Context, authorization grants.Authorization) (code string, err error)
}

// Deps are what the handlers need. All of them.
type Deps struct {
	Issuer    string // goes out as `iss`
	Tenant    string
	Store     Store
	Clients   Clients
	Users     Users
	Catalogue Catalogue
	Sessions  Sessions
	Tickets   sessions.Tickets
	Grants    Grants
	Keys      idtoken.Verifier
	Pages     *login.Pages
	Log       *slog.Logger
	Now       func() time.Time
}

// Handler answers /oauth/authorize, /oauth/login and /oauth/consent.
type Handler struct {
	Deps
	sameOrigin *http.CrossOriginProtection
}

// New checks that nothing is missing.
func New(d Deps) (*Handler, error) {
	if d.Issuer == "" || d.Tenant == "" || d.Store == nil || d.Clients == nil || d.Users == nil || d.Catalogue == nil ||
		d.Sessions == nil || d.Tickets.Now == nil || d.Grants == nil || d.Keys == nil || d.Pages == nil || d.Log == nil || d.Now == nil {
		return nil, errors.New("authorize: all of Deps is needed")
	}
	sameOrigin, err := wire.SameOrigin(d.Issuer)
	if err != nil {
		return nil, fmt.Errorf("authorize: %w", err)
	}
	return &Handler{Deps: d, sameOrigin: sameOrigin}, nil
}

// Mount adds the routes.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /oauth/authorize", h.authorize)
	mux.HandleFunc("POST /oauth/authorize", h.authorize) // OpenID Connect Core 3.1.2.1 asks for both
	mux.HandleFunc("POST /oauth/login", h.login)
	mux.HandleFunc("POST /oauth/consent", h.consent)
}

// visit is one request of a browser on its way to a code.
type visit struct {
	w       http.ResponseWriter
	r       *http.Request
	request request
	client  config.Client
	births  storage.Births
	session storage.Session
	user    users.User
	// acted: the person did something on a page of ours just now, so what follows does not happen behind their back.
	acted bool
}

func (h *Handler) authorize(w http.ResponseWriter, r *http.Request) {
	v := &visit{w: w, r: r}
	if !h.read(v) {
		return
	}
	found, err := h.find(v)
	switch {
	case err != nil:
		h.refuse(v, err)
	case !found || h.loginDue(v):
		h.askLogin(v)
	default:
		h.proceed(v)
	}
}

// find looks for the browser's session and its user. The client's generation is read before: a revocation that comes
// between is thus one that the grant was born before, and ends it.
func (h *Handler) find(v *visit) (found bool, err error) {
	v.births, err = h.Store.Generations(v.r.Context(), h.Tenant, v.client.ID, "")
	if err != nil {
		return false, err
	}
	session, err := h.Sessions.Find(v.r.Context(), v.r, h.Tenant)
	if errors.Is(err, sessions.ErrNone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	user, known := h.Users.Find(h.Tenant, session.Subject)
	if !known {
		return false, nil
	}
	v.session, v.user = session, user
	return true, nil
}

// loginDue tells whether the session that was found is not enough for this request.
func (h *Handler) loginDue(v *visit) bool {
	age := h.Now().Sub(v.session.AuthTime)
	switch {
	case v.request.Login:
		return true
	case v.request.MaxAge != nil && age >= time.Duration(*v.request.MaxAge)*time.Second:
		return true
	case v.request.Subject != "" && v.request.Subject != v.session.Subject:
		return true
	default: // a session that another client's more generous policy keeps alive
		return age >= v.client.Policy.Session
	}
}

// inherit completes the births of a grant that rests on a session: what the session was born under, never anything newer,
// and the generation of user+client, read before any consent is looked at.
func (h *Handler) inherit(v *visit) error {
	own, err := h.Store.Generations(v.r.Context(), h.Tenant, v.client.ID, v.session.Subject)
	if err != nil {
		return err
	}
	client := v.births.Client
	v.births = v.session.Births
	v.births.Client, v.births.UserClient = client, own.UserClient
	return nil
}
