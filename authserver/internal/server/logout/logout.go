// Package logout signs a user out when an app asks for it (OpenID Connect RP-Initiated Logout 1.0).
//
// The browser's own cookie names the session. An ID token that matches it shows that the app means this very login, and
// then it ends at once; in every other case the person is asked, so that no link anywhere can sign anybody out.
package logout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/phantomgate/phantomgate/authserver/internal/clients"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/idtoken"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/sessions"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/telemetry"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
	"github.com/phantomgate/phantomgate/authserver/internal/web/login"
)

// Clients finds an app.
type Clients interface {
	Find(tenant, id string) (config.Client, bool)
}

// Users finds a user.
type Users interface {
	Find(tenant, subject string) (users.User, bool)
}

// Sessions finds and ends logins.
type Sessions interface {
	Find(ctx context.Context, r *http.Request, tenant string) (storage.Session, error)
	End(ctx context.Context, tenant, sessionID, by string) error
}

// Deps are what the handlers need. All of them.
type Deps struct {
	Issuer   string
	Tenant   string
	Clients  Clients
	Users    Users
	Sessions Sessions
	Tickets  sessions.Tickets
	Keys     idtoken.Verifier
	Pages    *login.Pages
	Log      *slog.Logger
}

// Handler answers /oauth/logout and the form of its page.
type Handler struct {
	Deps
	sameOrigin *http.CrossOriginProtection
}

// New checks that nothing is missing.
func New(d Deps) (*Handler, error) {
	if d.Issuer == "" || d.Tenant == "" || d.Clients == nil || d.Users == nil || d.Sessions == nil || d.Tickets.Now == nil ||
		d.Keys == nil || d.Pages == nil || d.Log == nil {
		return nil, errors.New("logout: all of Deps is needed")
	}
	sameOrigin, err := wire.SameOrigin(d.Issuer)
	if err != nil {
		return nil, fmt.Errorf("logout: %w", err)
	}
	return &Handler{Deps: d, sameOrigin: sameOrigin}, nil
}

// Mount adds the routes.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /oauth/logout", h.logout)
	mux.HandleFunc("POST /oauth/logout", h.logout)
	mux.HandleFunc("POST /oauth/logout/confirm", h.confirm)
}

// purpose binds the ticket of our page.
const purpose = "logout-request"

// request is a logout request that was found good, as it travels in our form.
type request struct {
	ClientID  string `json:"client_id,omitempty"`
	ReturnTo  string `json:"return_to,omitempty"`
	State     string `json:"state,omitempty"`
	SessionID string `json:"session,omitempty"` // of the login that the page spoke of
	Former    string `json:"former,omitempty"`  // another login of the same user, by the hint: it ends too
}

func (h *Handler) logout(w http.ResponseWriter, r *http.Request) {
	params, err := parameters(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	hint := h.hint(params.Get("id_token_hint"))
	req, client, err := h.read(params, hint)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	session, err := h.Sessions.Find(r.Context(), r, h.Tenant)
	switch {
	case errors.Is(err, sessions.ErrNone) && r.Method == http.MethodGet: // signed out already
		h.done(w, r, req)
	case err != nil && !errors.Is(err, sessions.ErrNone):
		h.fail(w, r, err)
	case session.ID != "" && hint.SessionID == session.ID:
		h.end(w, r, req, session.ID)
	default:
		// No word of which login is meant; a POST from another site, with which the browser sends no cookie; or an ID token
		// of another login, perhaps one that somebody kept for long, or of another device. Whoever has such a one must not
		// sign the person out with a link.
		req.SessionID = session.ID
		if hint.Subject == session.Subject {
			req.Former = hint.SessionID
		}
		h.ask(w, r, req, client, session)
	}
}

func parameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	encoded, err := wire.Request(w, r)
	if err != nil {
		return nil, err
	}
	return wire.ParseForm(encoded)
}

// hint reads id_token_hint. One that cannot be read counts as none, and the person is asked: the key that signed it may be
// gone from us by now, and that must not keep anybody from signing out.
func (h *Handler) hint(token string) idtoken.Hint {
	if token == "" {
		return idtoken.Hint{}
	}
	hint, err := idtoken.Read(h.Keys, h.Issuer, token)
	if err != nil {
		return idtoken.Hint{}
	}
	return hint
}

// read finds the client and checks where it wants the browser to go. Nothing has been done by then.
func (h *Handler) read(params url.Values, hint idtoken.Hint) (request, config.Client, error) {
	req := request{ClientID: params.Get("client_id"), ReturnTo: params.Get("post_logout_redirect_uri"), State: params.Get("state")}
	if req.ClientID != "" && hint.ClientID != "" && req.ClientID != hint.ClientID {
		return req, config.Client{}, oauth.Errorf(oauth.InvalidRequest, "client_id and id_token_hint name different clients")
	}
	if req.ClientID == "" {
		req.ClientID = hint.ClientID
	}
	client, known := h.Clients.Find(h.Tenant, req.ClientID)
	switch {
	case req.ClientID != "" && !known:
		return req, client, oauth.Errorf(oauth.InvalidRequest, "no client is registered with this client_id")
	case req.ReturnTo != "" && !known:
		return req, client, oauth.Errorf(oauth.InvalidRequest, "post_logout_redirect_uri needs a client_id or an id_token_hint of this issuer")
	case req.ReturnTo != "" && !clients.Allowed(client.PostLogoutRedirectURIs, req.ReturnTo):
		return req, client, oauth.Errorf(oauth.InvalidRequest, "this post_logout_redirect_uri is not registered for the client, character by character")
	}
	return req, client, nil
}

func (h *Handler) ask(w http.ResponseWriter, r *http.Request, req request, client config.Client, session storage.Session) {
	ticket, err := h.Tickets.Issue(w, r, h.Tenant, purpose, req)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	page := login.SignOut{App: client.Name, Ticket: ticket, RedirectURI: req.ReturnTo}
	if user, known := h.Users.Find(h.Tenant, session.Subject); known {
		page.Login = user.Login
	}
	h.Pages.SignOut(w, page)
}

// confirm takes the answer of the page.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request) {
	if err := h.sameOrigin.Check(r); err != nil {
		h.stale(w, r, http.StatusForbidden)
		return
	}
	form, err := wire.Form(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	var req request
	if err := h.Tickets.Open(r, h.Tenant, purpose, form.Get("ticket"), &req); errors.Is(err, sessions.ErrTicket) {
		h.stale(w, r, http.StatusBadRequest)
		return
	} else if err != nil {
		h.fail(w, r, err)
		return
	}
	switch form.Get("decision") {
	case "leave":
		session, err := h.Sessions.Find(r.Context(), r, h.Tenant)
		if err != nil && !errors.Is(err, sessions.ErrNone) {
			h.fail(w, r, err)
			return
		}
		h.end(w, r, req, session.ID, req.SessionID, req.Former)
	case "stay":
		h.Pages.Stayed(w)
	default:
		h.fail(w, r, oauth.Errorf(oauth.InvalidRequest, "decision must be leave or stay"))
	}
}

// end ends the browser's login and, if the request spoke of another one, that one too. The browser's cookies go only when
// the store has the logout: whoever is told that they are signed out is.
func (h *Handler) end(w http.ResponseWriter, r *http.Request, req request, ids ...string) {
	by := req.ClientID
	if by == "" {
		by = config.IssuerActor
	}
	done := map[string]bool{"": true}
	for _, id := range ids {
		if done[id] {
			continue
		}
		if err := h.Sessions.End(r.Context(), h.Tenant, id, by); err != nil {
			h.fail(w, r, err)
			return
		}
		done[id] = true
	}
	sessions.Forget(w)
	h.done(w, r, req)
}

// done sends the browser back to the app, or shows that it is over.
func (h *Handler) done(w http.ResponseWriter, r *http.Request, req request) {
	if req.ReturnTo == "" {
		h.Pages.SignedOut(w)
		return
	}
	answer := url.Values{}
	if req.State != "" {
		answer.Set("state", req.State)
	}
	if err := wire.Redirect(w, req.ReturnTo, answer); err != nil {
		h.fail(w, r, err)
	}
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	told := wire.Explain(r.Context(), h.Log, err)
	page := login.Failure{RequestID: telemetry.RequestID(r.Context()), Problem: login.Problem{
		What: "Signing out did not work", Next: "You are still signed in. Wait a moment and try again, or close every window of this browser."}}
	if told.Status < 500 {
		page.Next = "The app sent a request that cannot be answered, and you are still signed in. Go back to the app and try again. If it happens again, tell the people who make the app."
		page.Detail = told.Description
	}
	h.Pages.Failure(w, told.Status, page)
}

func (h *Handler) stale(w http.ResponseWriter, r *http.Request, status int) {
	h.Pages.Failure(w, status, login.Failure{RequestID: telemetry.RequestID(r.Context()), Problem: login.Problem{
		What: "This page is no longer valid",
		Next: "It stood open for too long, or it was not opened in this browser. You are still signed in. Sign out from the app again."}})
}
