package authorize

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/sessions"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/telemetry"
	"github.com/phantomgate/phantomgate/authserver/internal/web/login"
)

// reopen reads the form of a page of ours and the request that its ticket carries, or answers with a page.
func (h *Handler) reopen(v *visit, purpose string) (url.Values, bool) {
	// In depth: the ticket alone keeps other sites' forms out. Browsers too old to say where a form comes from pass here.
	if err := h.sameOrigin.Check(v.r); err != nil {
		h.stale(v, http.StatusForbidden)
		return nil, false
	}
	form, err := wire.Form(v.w, v.r)
	if err != nil {
		h.fail(v, err)
		return nil, false
	}
	err = h.Tickets.Open(v.r, h.Tenant, purpose, form.Get("ticket"), &v.request)
	if errors.Is(err, sessions.ErrTicket) {
		h.stale(v, http.StatusBadRequest)
		return nil, false
	}
	if err != nil {
		h.fail(v, err)
		return nil, false
	}
	// The config may have changed while the page stood open.
	if err := h.known(v); err != nil {
		h.fail(v, err)
		return nil, false
	}
	return form, true
}

// redirect answers the client through the browser, with `iss` against mix-up (RFC 9207).
func (h *Handler) redirect(v *visit, answer url.Values) {
	if v.request.State != "" {
		answer.Set("state", v.request.State)
	}
	answer.Set("iss", h.Issuer)
	if err := wire.Redirect(v.w, v.request.RedirectURI, answer); err != nil {
		h.fail(v, err)
	}
}

// refuse tells the client an error by redirect (RFC 6749, 4.1.2.1). The redirect URI is known to be the client's.
func (h *Handler) refuse(v *visit, err error) {
	if errors.Is(err, storage.ErrEnded) { // a revocation overtook it
		err = oauth.Errorf(oauth.AccessDenied, "what this request rests on was revoked meanwhile; start again")
	}
	told := wire.Explain(v.r.Context(), h.Log, err)
	answer := url.Values{"error": {told.Code}}
	if told.Description != "" {
		answer.Set("error_description", told.Description)
	}
	if told.RequestID != "" {
		answer.Set("error_description", told.Description+" (request "+told.RequestID+")")
	}
	h.redirect(v, answer)
}

// fail tells the person on a page: there is nowhere that is safe to redirect to.
func (h *Handler) fail(v *visit, err error) {
	told := wire.Explain(v.r.Context(), h.Log, err)
	page := login.Failure{RequestID: telemetry.RequestID(v.r.Context()), Problem: login.Problem{
		What: "This did not work", Next: "Nothing was done. Wait a moment, go back to the app and start again."}}
	if told.Status < 500 {
		page.What = "The app sent a request that cannot be answered"
		page.Next = "Nothing was done, and it is not your fault. Go back to the app and start again. If it happens again, tell the people who make the app."
		page.Detail = told.Description
	}
	h.Pages.Failure(v.w, told.Status, page)
}

// stale tells the person that a form was not of a page that this browser was shown in the last half hour.
func (h *Handler) stale(v *visit, status int) {
	h.Pages.Failure(v.w, status, login.Failure{RequestID: telemetry.RequestID(v.r.Context()), Problem: login.Problem{
		What: "This page is no longer valid",
		Next: "It stood open for too long, or it was not opened in this browser, or cookies are turned off. Nothing was done. Go back to the app and start again."}})
}
