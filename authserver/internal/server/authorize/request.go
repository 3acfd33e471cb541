package authorize

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/clients"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/idtoken"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
)

// registrationNotSupported is an error code of OpenID Connect Core 3.1.2.6.
const registrationNotSupported = "registration_not_supported"

// request is an authorization request that was found good, as it travels in our forms.
type request struct {
	ClientID    string   `json:"client_id"`
	RedirectURI string   `json:"redirect_uri"`
	State       string   `json:"state,omitempty"`
	Scopes      []string `json:"scopes"`
	Challenge   string   `json:"challenge"`
	Nonce       string   `json:"nonce,omitempty"`
	None        bool     `json:"none,omitempty"`    // prompt=none: no page may be shown
	Login       bool     `json:"login,omitempty"`   // prompt=login or select_account
	Consent     bool     `json:"consent,omitempty"` // prompt=consent
	MaxAge      *int64   `json:"max_age,omitempty"` // seconds
	LoginHint   string   `json:"login_hint,omitempty"`
	Subject     string   `json:"subject,omitempty"` // by id_token_hint: nobody else will do
	SessionID   string   `json:"session,omitempty"` // of who was shown the consent page
}

// read reads the request, or answers: on a page as long as it is not certain where to redirect to, else by redirect.
func (h *Handler) read(v *visit) bool {
	text, err := wire.Request(v.w, v.r)
	if err != nil {
		h.fail(v, err)
		return false
	}
	params, err := url.ParseQuery(text)
	if err != nil {
		h.fail(v, oauth.Errorf(oauth.InvalidRequest, "the parameters are not form-encoded"))
		return false
	}
	if err := h.target(v, params); err != nil {
		h.fail(v, err)
		return false
	}
	if err := h.check(v, text); err != nil {
		h.refuse(v, err)
		return false
	}
	return true
}

// target finds out whom to answer, and where. Until it has, an answer by redirect would make us an open redirector.
func (h *Handler) target(v *visit, params url.Values) error {
	id, uri := params["client_id"], params["redirect_uri"]
	if len(id) != 1 || len(uri) != 1 {
		return oauth.Errorf(oauth.InvalidRequest, "send exactly one client_id and exactly one redirect_uri")
	}
	v.request = request{ClientID: id[0], RedirectURI: uri[0]}
	if state := params["state"]; len(state) == 1 {
		v.request.State = state[0]
	}
	return h.known(v)
}

// known finds the request's client and checks that its redirect URI is one of the client's.
func (h *Handler) known(v *visit) error {
	client, known := h.Clients.Find(h.Tenant, v.request.ClientID)
	if !known {
		return oauth.Errorf(oauth.InvalidRequest, "no client is registered with this client_id")
	}
	if !slices.Contains(client.GrantTypes, oauth.GrantAuthorizationCode) || !clients.RedirectAllowed(client, v.request.RedirectURI) {
		return oauth.Errorf(oauth.InvalidRequest, "this redirect_uri is not registered for the client, character by character")
	}
	v.client = client
	return nil
}

// check judges everything else. Its errors go to the client by redirect.
func (h *Handler) check(v *visit, text string) error {
	params, err := wire.ParseForm(text)
	if err != nil {
		return err
	}
	if err := unsupported(params); err != nil {
		return err
	}
	req := &v.request
	if req.Challenge, err = challenge(params); err != nil {
		return err
	}
	if req.Scopes, err = scopes(v.client, params.Get("scope")); err != nil {
		return err
	}
	if err := prompt(req, params.Get("prompt")); err != nil {
		return err
	}
	if err := maxAge(req, params); err != nil {
		return err
	}
	req.Nonce, req.LoginHint = params.Get("nonce"), params.Get("login_hint")
	if len(req.LoginHint) > 200 {
		req.LoginHint = "" // a hint that is none
	}
	return h.hint(req, params.Get("id_token_hint"))
}

// unsupported refuses what would mean something that we would not do. `claims`, `acr_values`, `display` and `ui_locales` are
// requests that a server may leave aside (Core 3.1.2.1, 5.5): discovery says so, and the ID token tells what was done.
func unsupported(params url.Values) error {
	switch responseType := params.Get("response_type"); {
	case responseType == "":
		return oauth.Errorf(oauth.InvalidRequest, "response_type is missing; send code")
	case responseType != "code":
		return oauth.Errorf(oauth.UnsupportedResponseType, "only response_type code is supported")
	}
	if params.Has("request") {
		return oauth.Errorf(oauth.RequestNotSupported, "request objects are not supported; send the parameters themselves")
	}
	if params.Has("request_uri") {
		return oauth.Errorf(oauth.RequestURINotSupported, "request_uri is not supported; send the parameters themselves")
	}
	if params.Has("registration") {
		return oauth.Errorf(registrationNotSupported, "registration is not supported; clients stand in the issuer's config")
	}
	if mode := params.Get("response_mode"); mode != "" && mode != "query" {
		return oauth.Errorf(oauth.InvalidRequest, "only response_mode query is supported")
	}
	if params.Has("resource") || params.Has("audience") { // to ignore it would give more than was asked for
		return oauth.Errorf(oauth.InvalidTarget, "the audiences follow from the scopes; leave resource and audience out")
	}
	return nil
}

// challenge reads the PKCE challenge. It is asked of every client, and only S256 will do (RFC 9700, 2.1.1).
func challenge(params url.Values) (string, error) {
	value := params.Get("code_challenge")
	if value == "" {
		return "", oauth.Errorf(oauth.InvalidRequest, "code_challenge is missing; PKCE (RFC 7636) is required")
	}
	if params.Get("code_challenge_method") != "S256" { // left out, it would mean plain
		return "", oauth.Errorf(oauth.InvalidRequest, "code_challenge_method must be S256")
	}
	if !grants.ValidChallenge(value) {
		return "", oauth.Errorf(oauth.InvalidRequest, "code_challenge is not the base64url of a SHA-256, which has 43 characters")
	}
	return value, nil
}

// scopes reads the scope parameter. A scope that the client may not have is refused, not dropped: the client would find
// out only at the API.
func scopes(client config.Client, parameter string) ([]string, error) {
	asked, err := oauth.SplitScope(parameter)
	if err != nil {
		return nil, err
	}
	if len(asked) == 0 {
		return nil, oauth.Errorf(oauth.InvalidScope, "scope is missing; name the scopes that are needed")
	}
	for _, scope := range asked {
		if !slices.Contains(client.Scopes, scope) {
			return nil, oauth.Errorf(oauth.InvalidScope, "a scope is unknown, or not registered for this client")
		}
	}
	return asked, nil
}

func prompt(req *request, parameter string) error {
	values := strings.Fields(parameter)
	for _, value := range values {
		switch value {
		case "none":
			req.None = true
		case "login", "select_account":
			req.Login = true
		case "consent":
			req.Consent = true
		default:
			return oauth.Errorf(oauth.InvalidRequest, "prompt knows none, login, consent and select_account")
		}
	}
	if req.None && len(values) > 1 {
		return oauth.Errorf(oauth.InvalidRequest, "prompt none goes with no other value")
	}
	return nil
}

func maxAge(req *request, params url.Values) error {
	if !params.Has("max_age") {
		return nil
	}
	seconds, err := strconv.ParseInt(params.Get("max_age"), 10, 32)
	if err != nil || seconds < 0 {
		return oauth.Errorf(oauth.InvalidRequest, "max_age must be a number of seconds")
	}
	req.MaxAge = &seconds
	return nil
}

// hint reads id_token_hint: an ID token of ours, for this client, which may have expired.
func (h *Handler) hint(req *request, token string) error {
	if token == "" {
		return nil
	}
	hint, err := idtoken.Read(h.Keys, h.Issuer, token)
	if err != nil || hint.ClientID != req.ClientID {
		return oauth.Errorf(oauth.InvalidRequest, "id_token_hint is not an ID token that this issuer gave to this client")
	}
	req.Subject = hint.Subject
	return nil
}
