package tokenhandler

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// login is a login under way. It is sealed into a cookie of its own, which ties the issuer's answer to the browser that
// asked for it.
type login struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Expires  int64  `json:"expires"` // Unix milliseconds
}

// param is one parameter that the app adds to an authorization request.
type param struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (h *Handler) loginStart(w http.ResponseWriter, r *http.Request, j *jar) error {
	var body struct {
		ExtraParams []param `json:"extraParams"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	l := login{
		State: newSecret(), Nonce: newSecret(), Verifier: newSecret(), // 43 characters, as RFC 7636 section 4.1 wants
		Expires: h.now().Add(h.cfg.LoginMaxAge).UnixMilli(),
	}
	address, err := h.authorizationRequest(&l, body.ExtraParams)
	if err != nil {
		return err
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	lines, _ := h.names.set(forLogin, h.sealer.seal(forLogin, text), j)
	w.Header()["Set-Cookie"] = lines
	writeJSON(w, http.StatusOK, map[string]string{"authorizationRequestUrl": address})
	return nil
}

// authorizationRequest builds the address of RFC 6749 section 4.1.1 with PKCE (RFC 7636) and a nonce.
func (h *Handler) authorizationRequest(l *login, extra []param) (string, error) {
	challenge := sha256.Sum256([]byte(l.Verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {h.cfg.ClientID}, "redirect_uri": {h.cfg.RedirectURI},
		"scope": {strings.Join(h.cfg.Scopes, " ")}, "state": {l.State}, "nonce": {l.Nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	for _, p := range extra {
		if !slices.Contains(h.cfg.ExtraParams, p.Key) {
			return "", invalidRequest("extraParams holds a parameter that is not allowed here")
		}
		if query.Has(p.Key) {
			return "", invalidRequest("extraParams holds a parameter twice")
		}
		query.Set(p.Key, p.Value)
	}
	return withQuery(h.cfg.AuthorizationEndpoint, query), nil
}

// withQuery adds parameters to an endpoint, which may have some already (RFC 6749 section 3.1).
func withQuery(endpoint string, query url.Values) string {
	if strings.Contains(endpoint, "?") {
		return endpoint + "&" + query.Encode()
	}
	return endpoint + "?" + query.Encode()
}

func (h *Handler) loginEnd(w http.ResponseWriter, r *http.Request, j *jar) error {
	var body struct {
		PageURL string `json:"pageUrl"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	answer, ours, err := h.authorizationAnswer(body.PageURL)
	if err != nil {
		return err
	}
	if ours {
		return h.finish(w, r, j, answer)
	}
	state, err := h.stateOf(j)
	if err != nil {
		return err
	}
	state.Handled = new(bool)
	writeJSON(w, http.StatusOK, state)
	return nil
}

// authorizationAnswer returns the issuer's answer in a page's address. ours is false for a page that holds none.
func (h *Handler) authorizationAnswer(pageURL string) (answer url.Values, ours bool, err error) {
	page, err := url.Parse(pageURL)
	if err != nil || page.Scheme == "" || page.Host == "" {
		return nil, false, invalidRequest("pageUrl must be the whole address of the page")
	}
	redirect, err := url.Parse(h.cfg.RedirectURI)
	if err != nil {
		return nil, false, err
	}
	samePath := page.EscapedPath() == redirect.EscapedPath() || page.Path == "" && redirect.Path == "/"
	if page.Scheme != redirect.Scheme || page.Host != redirect.Host || !samePath {
		return nil, false, nil
	}
	query, err := url.ParseQuery(page.RawQuery)
	if !query.Has("state") || !query.Has("code") && !query.Has("error") {
		return nil, false, nil
	}
	for _, name := range []string{"state", "code", "error", "iss"} {
		if err != nil || len(query[name]) > 1 {
			return nil, false, invalidRequest("pageUrl holds an answer that cannot be read")
		}
	}
	return query, true, nil
}

// finish ends a login with the issuer's answer, be that a code or an error.
func (h *Handler) finish(w http.ResponseWriter, r *http.Request, j *jar, answer url.Values) error {
	l, err := h.openLogin(j)
	switch {
	case err != nil:
		return err
	case !sameText(answer.Get("state"), l.State):
		// The login under way stays: a link with a made-up answer must not end it.
		return invalidRequest("state is not that of the login under way")
	}
	// An answer to this login is used once, whatever comes of it.
	w.Header()["Set-Cookie"] = h.names.clear(forLogin)
	switch {
	case h.now().UnixMilli() >= l.Expires:
		return invalidRequest("the login took too long; start it again")
	case answer.Get("iss") != h.cfg.Issuer && (answer.Has("iss") || !h.cfg.WithoutIss):
		return invalidRequest("iss is not the issuer that was asked") // RFC 9207 section 2.4
	case answer.Has("error"):
		return refusedLogin(answer.Get("error"))
	case answer.Get("code") == "":
		return invalidRequest("pageUrl holds an answer without a code")
	}
	s, err := h.redeem(r, answer.Get("code"), l)
	if err != nil {
		return err
	}
	cookies, err := h.sealLogin(s, j)
	if err != nil {
		h.drop(r.Context(), s.refresh)
		return err
	}
	if old, err := h.openSession(j, h.now().UnixMilli()); err == nil {
		h.drop(r.Context(), old.refresh) // nobody holds it any more
	}
	w.Header()["Set-Cookie"] = cookies
	handled := true
	writeJSON(w, http.StatusOK, state{Handled: &handled, IsLoggedIn: true, CSRF: s.csrf})
	return nil
}

func (h *Handler) openLogin(j *jar) (*login, error) {
	value, ok := j.value(forLogin)
	if !ok {
		return nil, errCookie
	}
	var l login
	text := h.sealer.open(forLogin, value)
	if text == nil || json.Unmarshal(text, &l) != nil {
		return nil, errCookie
	}
	return &l, nil
}

// refusedLogin says why there was no login, by the codes of RFC 6749 section 4.1.2.1 and OpenID Connect Core section
// 3.1.2.6. The issuer's description is not passed on: it came through the browser.
func refusedLogin(code string) error {
	switch code {
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return loginRequired()
	}
	return authorizationError(strings.TrimSuffix("the issuer did not log the user in: "+errorCode(code), ": "))
}

// redeem swaps the code for tokens and makes a session of them, if the ID token is for this login.
func (h *Handler) redeem(r *http.Request, code string, l *login) (*session, error) {
	got, err := h.issuer.redeem(r.Context(), code, l.Verifier)
	if errors.Is(err, errInvalidGrant) {
		return nil, authorizationError("the issuer did not take the code; start the login again")
	}
	if err != nil {
		return nil, err
	}
	claims, payload, err := h.verifier.idToken(r.Context(), got.IDToken, l.Nonce, got.AccessToken)
	if err != nil {
		h.drop(r.Context(), got.RefreshToken)
		return nil, err
	}
	return &session{
		stamp:   newStamp(h.now(), h.cfg.SessionMaxAge, claims.SessionID, claims.Subject),
		access:  h.accessOf(got),
		refresh: got.RefreshToken,
		csrf:    newSecret(),
		claims:  payload,
	}, nil
}
