package tokenhandler

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// logout ends the session here and at the issuer, and tells the app where to send the browser, so that the issuer's own
// session ends too. It works without a session and with damaged cookies: there is nothing to protect then, and the
// cookies must go.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request, j *jar) error {
	var body struct {
		PostLogoutRedirectURI string `json:"postLogoutRedirectUri"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body.PostLogoutRedirectURI == "" {
		body.PostLogoutRedirectURI = h.cfg.PostLogoutRedirectURIs[0]
	}
	if !slices.Contains(h.cfg.PostLogoutRedirectURIs, body.PostLogoutRedirectURI) {
		return invalidRequest("postLogoutRedirectUri is none of those that are allowed here")
	}
	s, err := h.openSession(j, h.now().UnixMilli())
	if err == nil {
		if err := h.checkCSRF(r, j, &s.stamp); err != nil {
			return err
		}
		// This replica refuses the session from now on, so that a refresh in another tab brings nothing back while the
		// issuer is being told. The issuer then refuses it everywhere.
		_ = h.ended.endSession(&s.stamp, h.now()) // full of others: the issuer's revocation has to do
		h.drop(r.Context(), s.refresh)
	} else if o, err := h.openFirst(j, forRefresh); err == nil {
		h.drop(r.Context(), string(o.text))
	}
	w.Header()["Set-Cookie"] = h.names.clearAll()
	writeJSON(w, http.StatusOK, map[string]string{"url": withQuery(h.cfg.EndSessionEndpoint, url.Values{
		// No id_token_hint: a token has no place in an address.
		"client_id": {h.cfg.ClientID}, "post_logout_redirect_uri": {body.PostLogoutRedirectURI},
	})})
	return nil
}

// drop ends at the issuer the grant behind a refresh reference that nobody will use any more. It goes on when the
// browser has gone. A failure is logged: the cookies end all the same, and the grant ends by its age.
func (h *Handler) drop(ctx context.Context, refresh string) {
	if refresh == "" {
		return
	}
	if err := h.issuer.revoke(context.WithoutCancel(ctx), refresh); err != nil {
		h.logger.Warn("a refresh reference could not be revoked; its grant lives until its own end", "error", err)
	}
}

// backChannelLogout takes the issuer's word that a session, or all of a user's, has ended (OpenID Connect Back-Channel
// Logout section 2.5). A sid or sub that no session here has is no fault: sessions are not kept here, so nobody can
// tell.
func (h *Handler) backChannelLogout(w http.ResponseWriter, r *http.Request, _ *jar) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxAgentBody)
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/x-www-form-urlencoded" || r.ParseForm() != nil || len(r.PostForm["logout_token"]) != 1 {
		return invalidRequest("one logout_token is needed, in a form")
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Timeout)
	defer cancel()
	claims, err := h.verifier.logoutToken(ctx, r.PostForm.Get("logout_token"))
	if err != nil {
		h.logger.Warn("a logout token was refused", "reason", err)
		return invalidRequest("the logout token is not valid")
	}
	err = h.ended.endByIssuer(claims, h.now(), h.cfg.SessionMaxAge)
	switch {
	case errors.Is(err, errReplayed):
		return invalidRequest("the logout token is not valid")
	case err != nil:
		// Not "done": the issuer must send it again.
		h.logger.Error("a logout by back channel could not be remembered", "error", err)
		w.Header().Set("Retry-After", strconv.Itoa(int(logoutTokenLife/time.Second)))
		return &agentError{status: http.StatusServiceUnavailable, code: "server_error", message: "too many logouts at once"}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}
