// Package token serves POST /oauth/token (RFC 6749, 3.2): it authenticates the client, and hands the request on to the
// grant type that it names.
package token

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// Store gives the generations that a root credential is born under.
type Store interface {
	Generations(ctx context.Context, tenant, clientID, subject string) (storage.Births, error)
}

// Clients authenticates the client of a request: by Basic, by the form, or as a public one.
type Clients interface {
	Authenticate(r *http.Request, form url.Values) (config.Client, error)
}

// Grants issues tokens.
type Grants interface {
	RedeemCode(ctx context.Context, tenant string, client config.Client, r grants.CodeRequest) (grants.Answer, error)
	Refresh(ctx context.Context, tenant string, client config.Client, r grants.RefreshRequest) (grants.Answer, error)
	ClientCredentials(ctx context.Context, tenant string, client config.Client, births storage.Births, wanted grants.Wanted) (grants.Answer, error)
	Exchange(ctx context.Context, tenant string, client config.Client, r grants.ExchangeRequest) (grants.Answer, error)
}

// Handler serves the token endpoint. No field may be missing.
type Handler struct {
	Tenant  string
	Store   Store
	Clients Clients
	Grants  Grants
	Log     *slog.Logger
}

// New checks that nothing is missing.
func New(h Handler) (*Handler, error) {
	if h.Tenant == "" || h.Store == nil || h.Clients == nil || h.Grants == nil || h.Log == nil {
		return nil, errors.New("token: every field of Handler is needed")
	}
	return &h, nil
}

// Mount adds the route.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST /oauth/token", h.serve)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	answer, err := h.issue(w, r)
	if err != nil {
		wire.Error(w, r, h.Log, err)
		return
	}
	wire.JSON(w, http.StatusOK, answer)
}

// request is a token request whose client has been authenticated and may use the grant type.
type request struct {
	tenant string
	client config.Client
	births storage.Births // of a root grant type only
	form   url.Values
	wanted grants.Wanted
}

// grantType is what a grant type adds to the endpoint. It sees a request only once the client is known.
type grantType struct {
	required []string // parameters that may not be missing
	root     bool     // the client's own credential counts: what is issued is born under its generations
	// subject is who, besides the client, the request says it is about; nothing is proved yet. Nil: nobody.
	subject func(form url.Values) string
	issue   func(h *Handler, ctx context.Context, r request) (grants.Answer, error)
}

func grantTypes(name string) (grantType, bool) {
	switch name {
	case oauth.GrantAuthorizationCode:
		return grantType{required: []string{"code", "redirect_uri", "code_verifier"}, issue: (*Handler).redeemCode}, true
	case oauth.GrantRefreshToken:
		return grantType{required: []string{"refresh_token"}, issue: (*Handler).refresh}, true
	case oauth.GrantClientCredentials:
		return grantType{root: true, issue: (*Handler).clientCredentials}, true
	case oauth.GrantTokenExchange:
		return grantType{required: []string{"subject_token", "subject_token_type"}, root: true, subject: claimedSubject, issue: (*Handler).exchange}, true
	}
	return grantType{}, false
}

// issue is the one way to a grant type.
func (h *Handler) issue(w http.ResponseWriter, r *http.Request) (grants.Answer, error) {
	form, err := wire.Form(w, r)
	if err != nil {
		return grants.Answer{}, err
	}
	name := form.Get("grant_type")
	if name == "" {
		return grants.Answer{}, missing("grant_type")
	}
	kind, known := grantTypes(name)
	if !known {
		return grants.Answer{}, oauth.Errorf(oauth.UnsupportedGrantType, "use authorization_code, refresh_token, client_credentials or %s", oauth.GrantTokenExchange)
	}
	client, births, err := h.authenticate(r, form, kind)
	if err != nil {
		return grants.Answer{}, err
	}
	if !slices.Contains(client.GrantTypes, name) {
		return grants.Answer{}, oauth.Errorf(oauth.UnauthorizedClient, "the client is not registered for the grant type %s", name)
	}
	for _, parameter := range kind.required {
		if form.Get(parameter) == "" {
			return grants.Answer{}, missing(parameter)
		}
	}
	wanted, err := wantedOf(form)
	if err != nil {
		return grants.Answer{}, err
	}
	return kind.issue(h, r.Context(), request{tenant: h.Tenant, client: client, births: births, form: form, wanted: wanted})
}

// authenticate checks the client's secret and, for a root grant type, reads the generations BEFORE that: a revocation of
// the client that lands between the two must end what is issued, and it does only if the older generations go into it.
func (h *Handler) authenticate(r *http.Request, form url.Values, kind grantType) (config.Client, storage.Births, error) {
	claimed, subject := claimedClient(r, form), ""
	if kind.subject != nil {
		subject = kind.subject(form)
	}
	var births storage.Births
	var err error
	if kind.root && birthsFirst {
		if births, err = h.Store.Generations(r.Context(), h.Tenant, claimed, subject); err != nil {
			return config.Client{}, births, err
		}
	}
	client, err := h.Clients.Authenticate(r, form)
	if err != nil {
		return config.Client{}, births, err
	}
	if kind.root && client.ID != claimed { // then the generations would be another client's
		return config.Client{}, births, oauth.Errorf(oauth.InvalidClient, "the request names two clients")
	}
	if kind.root && !birthsFirst {
		births, err = h.Store.Generations(r.Context(), h.Tenant, claimed, subject)
	}
	return client, births, err
}

// claimedClient is who the request says it comes from; nothing is proved yet.
func claimedClient(r *http.Request, form url.Values) string {
	if id, _, ok := r.BasicAuth(); ok {
		if decoded, err := url.QueryUnescape(id); err == nil { // RFC 6749, 2.3.1
			return decoded
		}
		return ""
	}
	return form.Get("client_id")
}

func missing(parameter string) error {
	return oauth.Errorf(oauth.InvalidRequest, "the parameter %s is missing", parameter)
}
