package authorize

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/web/login"
)

// issuerScopes says what a person reads for the scopes that belong to no audience.
var issuerScopes = map[string]string{
	oauth.ScopeOpenID:        "Recognise you when you come back",
	oauth.ScopeProfile:       "See your name and profile",
	oauth.ScopeEmail:         "See your email address",
	oauth.ScopeOfflineAccess: "Keep this access while you are away",
}

// proceed goes on with a session that was found.
func (h *Handler) proceed(v *visit) {
	if err := h.inherit(v); err != nil {
		h.refuse(v, err)
		return
	}
	h.consentOrCode(v)
}

// consentOrCode asks for consent where it is needed, or else ends the walk. The births stand by now.
func (h *Handler) consentOrCode(v *visit) {
	given, err := h.given(v)
	switch {
	case err != nil:
		h.refuse(v, err)
	case !h.consentDue(v, given):
		h.code(v, false)
	case v.request.None:
		h.refuse(v, oauth.Errorf(oauth.ConsentRequired, "the user has not allowed this yet, and prompt none forbids to ask"))
	default:
		h.showConsent(v, given)
	}
}

// given are the scopes that the user has allowed this client before.
func (h *Handler) given(v *visit) ([]string, error) {
	consent, err := h.Store.FindConsent(v.r.Context(), h.Tenant, v.user.Subject, v.client.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	return strings.Fields(consent.Scope), nil
}

func (h *Handler) consentDue(v *visit, given []string) bool {
	switch {
	case v.request.Consent:
		return true
	case v.client.Public && !v.acted && !strings.HasPrefix(v.request.RedirectURI, "https:"):
		// Any program on the device can be at the other end of such a redirect URI and say that it is this client: so it
		// gets nothing behind the person's back (RFC 8252, 8.6), be its consent skipped otherwise.
		return true
	case v.client.Consent == config.ConsentSkip:
		return false
	}
	return slices.ContainsFunc(v.request.Scopes, func(scope string) bool { return !slices.Contains(given, scope) })
}

func (h *Handler) showConsent(v *visit, given []string) {
	v.request.SessionID = v.session.ID
	ticket, err := h.Tickets.Issue(v.w, v.r, h.Tenant, purposeConsent, v.request)
	if err != nil {
		h.fail(v, err)
		return
	}
	h.Pages.Consent(v.w, login.Consent{App: v.client.Name, Login: v.user.Login, Ticket: ticket,
		RedirectURI: v.request.RedirectURI, Groups: h.groups(v.request.Scopes, given)})
}

// groups sorts the scopes by audience, in the order of the config, and the issuer's own last.
func (h *Handler) groups(asked, given []string) []login.Group {
	var groups []login.Group
	line := func(scope, title string) login.Scope {
		return login.Scope{Title: title, New: len(given) > 0 && !slices.Contains(given, scope)}
	}
	for _, name := range h.Catalogue.Of(asked) {
		audience, _ := h.Catalogue.Audience(name)
		group := login.Group{Title: audience.Title}
		for _, asked := range asked {
			if scope, of, ok := h.Catalogue.Scope(asked); ok && of == name {
				group.Scopes = append(group.Scopes, line(asked, scope.Title))
			}
		}
		groups = append(groups, group)
	}
	about := login.Group{Title: "About you"}
	for _, asked := range asked {
		if _, _, ok := h.Catalogue.Scope(asked); !ok {
			about.Scopes = append(about.Scopes, line(asked, issuerScopes[asked]))
		}
	}
	if len(about.Scopes) > 0 {
		groups = append(groups, about)
	}
	return groups
}

// consent takes the answer of the consent page.
func (h *Handler) consent(w http.ResponseWriter, r *http.Request) {
	v := &visit{w: w, r: r, acted: true}
	form, ok := h.reopen(v, purposeConsent)
	if !ok {
		return
	}
	found, err := h.find(v)
	switch decision := form.Get("decision"); {
	case err != nil:
		h.refuse(v, err)
	case decision == "deny":
		h.refuse(v, oauth.Errorf(oauth.AccessDenied, "the user did not allow it"))
	case decision == "switch":
		h.showLogin(v, http.StatusOK, "", nil)
	case decision != "allow":
		h.fail(v, oauth.Errorf(oauth.InvalidRequest, "decision must be allow, deny or switch"))
	case !found || v.session.ID != v.request.SessionID: // signed out, or somebody else by now: whoever it is has not been asked
		h.showLogin(v, http.StatusOK, "", &login.Problem{
			What: "You were signed out meanwhile.", Next: "Sign in again to go on."})
	default:
		if err := h.inherit(v); err != nil {
			h.refuse(v, err)
			return
		}
		h.code(v, true)
	}
}

// code makes the grant and sends its code to the client.
func (h *Handler) code(v *visit, consented bool) {
	code, err := h.Grants.Begin(v.r.Context(), grants.Authorization{
		Client: v.client, Session: v.session, Births: v.births, Scopes: v.request.Scopes, RedirectURI: v.request.RedirectURI,
		Challenge: v.request.Challenge, Nonce: v.request.Nonce, Consent: consented,
	})
	if err != nil {
		h.refuse(v, err)
		return
	}
	h.redirect(v, url.Values{"code": {code}})
}
