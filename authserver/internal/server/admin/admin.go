// Package admin is the operators' API: revoke by any reach, see what is alive and which gateways have heard of it. It is served
// on a listener of its own, to a bearer of the scope `admin`. Its errors are problem details (RFC 9457).
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/revocation"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
)

// Scope is what an operator's token must have.
const Scope = "admin"

// Revoker carries revocations out.
type Revoker interface {
	RevokeTarget(ctx context.Context, tenant string, target revocation.Target, by, key string) (storage.Revocation, error)
	RevokeLeaked(ctx context.Context, tenant string, references []string, by string) (revocation.Leaked, error)
	Find(ctx context.Context, tenant, id string) (storage.Revocation, []storage.Applied, error)
}

// Streams lists the gateways that hear the feed, and says where the feed stands.
type Streams interface {
	Streams(ctx context.Context, tenant string) ([]storage.Stream, storage.Position, error)
}

// Bearer checks an access reference: alive, in time, of that scope, its client and user known.
type Bearer interface {
	Check(ctx context.Context, tenant, reference, scope string) (bearer.Token, error)
}

// Tokens lists what is alive.
type Tokens interface {
	ListTokens(ctx context.Context, filter storage.TokenFilter, now time.Time) ([]storage.LiveAccess, error)
}

// Users finds a user by sub, and by whatever an operator calls them.
type Users interface {
	Find(tenant, subject string) (users.User, bool)
	FindNamed(tenant, name string) (users.User, bool)
}

// Audiences tells which audiences scopes lead to.
type Audiences interface {
	Of(scopes []string) []string
}

// Handler serves /admin/v1.
type Handler struct {
	Tenant    string
	Bearer    Bearer
	Revoker   Revoker
	Tokens    Tokens
	Streams   Streams
	Users     Users
	Audiences Audiences
	Log       *slog.Logger
	Now       func() time.Time
}

// New checks that nothing is missing.
func New(h Handler) (*Handler, error) {
	if h.Tenant == "" || h.Bearer == nil || h.Revoker == nil || h.Tokens == nil || h.Streams == nil || h.Users == nil ||
		h.Audiences == nil || h.Log == nil || h.Now == nil {
		return nil, errors.New("admin: every field of Handler is needed")
	}
	return &h, nil
}

// Mount adds the routes.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST /admin/v1/revocations", h.guard(h.revoke))
	mux.HandleFunc("POST /admin/v1/revocations/leaked", h.guard(h.revokeLeaked))
	mux.HandleFunc("GET /admin/v1/revocations/{id}", h.guard(h.revocation))
	mux.HandleFunc("GET /admin/v1/tokens", h.guard(h.tokens))
	mux.HandleFunc("GET /admin/v1/gateways", h.guard(h.gateways))
}

// guard lets nobody through without an operator's token.
func (h *Handler) guard(next func(w http.ResponseWriter, r *http.Request, operator string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		operator, err := h.operator(r)
		if err == nil {
			err = next(w, r, operator)
		}
		if err != nil {
			wire.Problem(w, r, h.Log, err)
		}
	}
}

func (h *Handler) operator(r *http.Request) (string, error) {
	reference, err := bearer.FromHeader(r)
	if err != nil {
		return "", err
	}
	token, err := h.Bearer.Check(r.Context(), h.Tenant, reference, Scope)
	return token.Client.ID, err
}
