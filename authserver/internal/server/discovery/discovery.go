// Package discovery tells clients what the issuer can do and where (RFC 8414, OpenID Connect Discovery 1.0), and publishes
// the keys that its JWTs are verified with.
//
// All of it is public and the same for everybody, so any web page may read it (CORS).
package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/sessions"
)

// Keys gives the JWKS, as JSON.
type Keys interface {
	JWKS() []byte
}

// Deps are what the handlers need. All of them.
type Deps struct {
	Config config.Config
	Keys   Keys
}

// Handler answers the two well-known documents and /oauth/jwks.
type Handler struct {
	keys       Keys
	path       string // of the issuer's URL; mostly none
	oauth      []byte
	openid     []byte
	keysMaxAge time.Duration
}

// documentMaxAge is how long a client may go by what it read of a document.
const documentMaxAge = 5 * time.Minute

// New writes the documents, which do not change while the issuer runs.
func New(d Deps) (*Handler, error) {
	if d.Config.Issuer == "" || d.Keys == nil {
		return nil, errors.New("discovery: all of Deps is needed")
	}
	issuer, err := url.Parse(d.Config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: the issuer: %w", err)
	}
	h := &Handler{keys: d.Keys, path: issuer.Path, keysMaxAge: keysMaxAge(d.Config.Signing)}
	server := describe(d.Config)
	if h.oauth, err = json.MarshalIndent(server, "", "  "); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if h.openid, err = json.MarshalIndent(describeOpenID(server, d.Config), "", "  "); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	return h, nil
}

// keysMaxAge leaves a client that has cached the keys time to see a new one before it signs, twice over.
func keysMaxAge(signing config.Signing) time.Duration {
	return max(0, min(signing.PublishFor/2, 15*time.Minute))
}

// Mount adds the routes. Where the issuer has a path, the two standards put the document at different places.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /.well-known/oauth-authorization-server"+h.path, func(w http.ResponseWriter, r *http.Request) {
		public(w, documentMaxAge, h.oauth)
	})
	mux.HandleFunc("GET "+h.path+"/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		public(w, documentMaxAge, h.openid)
	})
	mux.HandleFunc("GET /oauth/jwks", func(w http.ResponseWriter, r *http.Request) {
		public(w, h.keysMaxAge, h.keys.JWKS())
	})
}

func public(w http.ResponseWriter, maxAge time.Duration, body []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(maxAge.Seconds())))
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// server are the members of RFC 8414 (with RFC 9207 and RFC 9701).
type server struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	Scopes                []string `json:"scopes_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionSigning  []string `json:"introspection_signing_alg_values_supported"`
	ResponseIssuer        bool     `json:"authorization_response_iss_parameter_supported"`
}

// openid adds the members of OpenID Connect Discovery 1.0 and RP-Initiated Logout 1.0.
type openid struct {
	server
	UserinfoEndpoint   string   `json:"userinfo_endpoint"`
	EndSessionEndpoint string   `json:"end_session_endpoint"`
	SubjectTypes       []string `json:"subject_types_supported"`
	IDTokenSigning     []string `json:"id_token_signing_alg_values_supported"`
	Prompts            []string `json:"prompt_values_supported"`
	ACRValues          []string `json:"acr_values_supported"`
	Claims             []string `json:"claims_supported"`
	ClaimsParameter    bool     `json:"claims_parameter_supported"`
	RequestParameter   bool     `json:"request_parameter_supported"`
	RequestURI         bool     `json:"request_uri_parameter_supported"` // true, were it left out
}

func describe(cfg config.Config) server {
	base := cfg.Issuer + "/oauth/"
	secret := []string{"client_secret_basic", "client_secret_post"}
	withPublic := append(slices.Clone(secret), "none")
	return server{
		Issuer:                cfg.Issuer,
		AuthorizationEndpoint: base + "authorize",
		TokenEndpoint:         base + "token",
		IntrospectionEndpoint: base + "introspect",
		RevocationEndpoint:    base + "revoke",
		JWKSURI:               base + "jwks",
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantClientCredentials, oauth.GrantTokenExchange},
		ChallengeMethods:      []string{"S256"},
		Scopes:                scopes(cfg),
		TokenAuth:             withPublic,
		IntrospectionAuth:     secret,
		RevocationAuth:        withPublic,
		IntrospectionSigning:  []string{cfg.Signing.Algorithm},
		ResponseIssuer:        true,
	}
}

func describeOpenID(s server, cfg config.Config) openid {
	return openid{
		server:             s,
		UserinfoEndpoint:   cfg.Issuer + "/oauth/userinfo",
		EndSessionEndpoint: cfg.Issuer + "/oauth/logout",
		SubjectTypes:       []string{"public"},
		IDTokenSigning:     []string{cfg.Signing.Algorithm},
		Prompts:            []string{"none", "login", "consent", "select_account"},
		ACRValues:          []string{sessions.ACRPassword},
		Claims: []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
			"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
			"gender", "birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified"},
	}
}

// scopes are the issuer's own and those of every audience, in the order of the config. What a client may have of them
// stands in its registration.
func scopes(cfg config.Config) []string {
	all := oauth.IssuerScopes()
	for _, audience := range cfg.Audiences {
		for _, scope := range audience.Scopes {
			all = append(all, scope.Name)
		}
	}
	return all
}
