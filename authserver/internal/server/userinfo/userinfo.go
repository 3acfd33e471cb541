// Package userinfo tells a client who signed in (OpenID Connect Core 5.3): the `sub`, and the claims of the scopes that the
// access token was granted. The claims are those that the user has now, not those of the login.
package userinfo

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
)

// Tokens checks a reference: every reach of it, its times, its client and its user.
type Tokens interface {
	Check(ctx context.Context, tenant, reference, scope string) (bearer.Token, error)
}

// Deps are what the handler needs. All of them.
type Deps struct {
	Tenant string
	Tokens Tokens
	Log    *slog.Logger
}

// Handler answers /oauth/userinfo.
type Handler struct{ Deps }

// New checks that nothing is missing.
func New(d Deps) (*Handler, error) {
	if d.Tenant == "" || d.Tokens == nil || d.Log == nil {
		return nil, errors.New("userinfo: all of Deps is needed")
	}
	return &Handler{d}, nil
}

// Mount adds the routes.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /oauth/userinfo", h.userinfo)
	mux.HandleFunc("POST /oauth/userinfo", h.userinfo)
}

func (h *Handler) userinfo(w http.ResponseWriter, r *http.Request) {
	reference, err := presented(w, r)
	if err != nil {
		wire.Error(w, r, h.Log, err)
		return
	}
	if reference == "" { // no code: nothing was presented that could be wrong (RFC 6750, 3.1)
		w.Header().Set("WWW-Authenticate", `Bearer realm="phantomgate"`)
		wire.NoStore(w.Header())
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	found, err := h.Tokens.Check(r.Context(), h.Tenant, reference, oauth.ScopeOpenID)
	if err == nil && found.User.Subject == "" {
		err = oauth.Errorf(oauth.InvalidToken, "the access token is a machine client's, and no user stands behind it")
	}
	if err != nil {
		wire.Error(w, r, h.Log, err)
		return
	}
	scopes := slices.DeleteFunc(strings.Fields(found.Scope), func(scope string) bool { // the config may have changed since
		return !slices.Contains(found.Client.Scopes, scope)
	})
	wire.JSON(w, http.StatusOK, claims(found.User, scopes))
}

// presented finds the reference: in the header, or in the form of a POST, and never in a URL (RFC 6750, 2.3 is not for us).
func presented(w http.ResponseWriter, r *http.Request) (string, error) {
	reference, err := bearer.FromHeader(r)
	if err != nil || r.Method != http.MethodPost {
		return reference, err
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return reference, nil // a POST may go without a form
	}
	form, err := wire.Form(w, r)
	if err != nil {
		return "", err
	}
	if reference != "" && form.Has("access_token") {
		return "", oauth.Errorf(oauth.InvalidRequest, "send the access token in the header or in the form, not in both")
	}
	if reference == "" {
		reference = form.Get("access_token")
	}
	return reference, nil
}

// byScope are the claims that a scope asks for (OpenID Connect Core 5.4).
var byScope = map[string][]string{
	oauth.ScopeProfile: {"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
		"picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"},
	oauth.ScopeEmail: {"email", "email_verified"},
}

// claims picks what the scopes ask for from what is known of the user. A claim that belongs to an audience alone (region)
// is not told here.
func claims(user users.User, scopes []string) map[string]any {
	told := map[string]any{"sub": user.Subject}
	for _, scope := range scopes {
		for _, name := range byScope[scope] {
			if value, ok := user.Claims[name]; ok {
				told[name] = value
			}
		}
		if _, named := told["preferred_username"]; scope == oauth.ScopeProfile && !named {
			told["preferred_username"] = user.Login
		}
	}
	return told
}
