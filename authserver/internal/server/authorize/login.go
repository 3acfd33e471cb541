package authorize

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/sessions"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
	"github.com/phantomgate/phantomgate/authserver/internal/web/login"
)

// The purposes of our tickets: the form of one page cannot be posted as that of another.
const (
	purposeLogin   = "authorization-request"
	purposeConsent = "authorization-consent"
)

// askLogin shows the sign-in page, unless the client forbade every page.
func (h *Handler) askLogin(v *visit) {
	if v.request.None {
		h.refuse(v, oauth.Errorf(oauth.LoginRequired, "nobody is signed in as this request needs it, and prompt none forbids to ask"))
		return
	}
	prefill := v.request.LoginHint
	if prefill == "" {
		prefill = v.user.Login
	}
	h.showLogin(v, http.StatusOK, prefill, nil)
}

func (h *Handler) showLogin(v *visit, status int, name string, problem *login.Problem) {
	v.request.SessionID = ""
	ticket, err := h.Tickets.Issue(v.w, v.r, h.Tenant, purposeLogin, v.request)
	if err != nil {
		h.fail(v, err)
		return
	}
	h.Pages.SignIn(v.w, status, login.SignIn{App: v.client.Name, Login: name, Ticket: ticket,
		RedirectURI: v.request.RedirectURI, Problem: problem})
}

// login takes what was typed into the sign-in page.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) {
	v := &visit{w: w, r: r, acted: true}
	form, ok := h.reopen(v, purposeLogin)
	if !ok {
		return
	}
	name, password := form.Get("login"), form.Get("password")
	if name == "" || password == "" {
		h.showLogin(v, http.StatusUnprocessableEntity, name, &login.Problem{Field: true,
			What: "Something is missing.", Next: "Type your user name and your password."})
		return
	}
	// Who it would be is looked up first, and the generations are read, and only then is the password checked: a
	// revocation that comes in between finds a session that was born before it.
	known, _ := h.Users.FindLogin(h.Tenant, name)
	births, err := h.Store.Generations(r.Context(), h.Tenant, v.client.ID, known.Subject)
	if err != nil {
		h.refuse(v, err)
		return
	}
	user, err := h.Users.CheckPassword(r.Context(), h.Tenant, name, password, address(r))
	if err != nil {
		h.loginFailed(v, name, err)
		return
	}
	if user.Subject != known.Subject { // the births are another user's: never seen, and never to be built on
		h.refuse(v, errors.New("authorize: a login changed its user while the password was checked"))
		return
	}
	v.births, v.user = births, user
	h.signIn(v)
}

// loginFailed never tells whether the user exists.
func (h *Handler) loginFailed(v *visit, name string, err error) {
	throttled := users.ThrottledError{}
	switch {
	case errors.As(err, &throttled):
		seconds := int(math.Ceil(max(throttled.RetryAfter, time.Second).Seconds()))
		v.w.Header().Set("Retry-After", strconv.Itoa(seconds))
		h.showLogin(v, http.StatusTooManyRequests, name, &login.Problem{
			What: "Too many attempts.", Next: fmt.Sprintf("Wait %s, then try again.", span(seconds))})
	case errors.Is(err, users.ErrPassword):
		h.showLogin(v, http.StatusUnprocessableEntity, name, &login.Problem{Field: true,
			What: "User name and password do not match.", Next: "Check both and try again."})
	default:
		told := wire.Explain(v.r.Context(), h.Log, err)
		h.showLogin(v, told.Status, name, &login.Problem{
			What: "Signing in did not work just now.", Next: "It is not your fault. Try again in a moment."})
	}
}

// signIn starts the session of a user whose password was right, and goes on.
func (h *Handler) signIn(v *visit) {
	if v.request.Subject != "" && v.request.Subject != v.user.Subject {
		h.refuse(v, oauth.Errorf(oauth.LoginRequired, "another user signed in than the one that id_token_hint names"))
		return
	}
	former, err := h.Sessions.Find(v.r.Context(), v.r, h.Tenant)
	if err != nil && !errors.Is(err, sessions.ErrNone) {
		h.refuse(v, err)
		return
	}
	v.session, err = h.Sessions.Start(v.r.Context(), v.w, sessions.Login{
		Tenant: h.Tenant, Subject: v.user.Subject, ACR: sessions.ACRPassword, AMR: sessions.AMRPassword,
		Births: v.births, Lifetime: v.client.Policy.Session,
	})
	if err != nil {
		h.refuse(v, err)
		return
	}
	// The browser has changed hands: the former user's login ends, since nobody could sign it out any more. The same user's
	// former login goes on: other apps rest on it.
	if former.ID != "" && former.Subject != v.user.Subject {
		if err := h.Sessions.End(v.r.Context(), h.Tenant, former.ID, config.IssuerActor); err != nil {
			h.refuse(v, err)
			return
		}
	}
	h.consentOrCode(v)
}

// address is what a login is throttled by, besides its name.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// span says seconds as a person does.
func span(seconds int) string {
	switch {
	case seconds == 1:
		return "a second"
	case seconds < 90:
		return strconv.Itoa(seconds) + " seconds"
	default:
		return strconv.Itoa((seconds+59)/60) + " minutes"
	}
}
