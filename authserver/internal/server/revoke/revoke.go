// Package revoke serves POST /oauth/revoke (RFC 7009): a client gives back what it holds.
package revoke

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// Store finds what a reference stands for.
type Store interface {
	FindAccess(ctx context.Context, tenant string, hash []byte) (storage.LiveAccess, error)
	FindRefresh(ctx context.Context, tenant string, hash []byte) (storage.LiveRefresh, error)
}

// Clients authenticates the client of a request.
type Clients interface {
	Authenticate(r *http.Request, form url.Values) (config.Client, error)
}

// Revoker revokes one reach. When it returns without an error the revocation is durable.
type Revoker interface {
	Revoke(ctx context.Context, tenant string, kind storage.Kind, target, by string) (storage.Revocation, error)
}

// Handler serves the revocation endpoint. No field may be missing.
type Handler struct {
	Tenant  string
	Store   Store
	Clients Clients
	Revoker Revoker
	Log     *slog.Logger
}

// New checks that nothing is missing.
func New(h Handler) (*Handler, error) {
	if h.Tenant == "" || h.Store == nil || h.Clients == nil || h.Revoker == nil || h.Log == nil {
		return nil, errors.New("revoke: every field of Handler is needed")
	}
	return &h, nil
}

// Mount adds the route.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST /oauth/revoke", h.serve)
}

// serve answers 200 and nothing else, whatever became of the token: it is unknown, someone else's, ended already, or ended
// now (RFC 7009, 2.2). The client learns nothing about tokens that it does not own.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	if err := h.revoke(w, r); err != nil {
		wire.Error(w, r, h.Log, err)
		return
	}
	wire.NoStore(w.Header())
	w.WriteHeader(http.StatusOK)
}

func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := wire.Form(w, r)
	if err != nil {
		return err
	}
	client, err := h.Clients.Authenticate(r, form)
	if err != nil {
		return err
	}
	token := form.Get("token")
	if token == "" {
		return oauth.Errorf(oauth.InvalidRequest, "the parameter token is missing")
	}
	// token_type_hint is not read: a reference says itself what it is.
	kind, target, err := h.reach(r.Context(), client, token)
	if err != nil || kind == "" {
		return err
	}
	_, err = h.Revoker.Revoke(r.Context(), h.Tenant, kind, target, client.ID)
	if errors.Is(err, storage.ErrNotFound) { // swept since it was read
		return nil
	}
	return err
}

// reach gives what is to be revoked: of an access reference the token alone, of a refresh reference its whole grant, so
// that neither the access tokens nor a late refresh of the family survive it (RFC 7009, 2.1). It gives "" when there is
// nothing alive that belongs to the client. A consumed or expired refresh reference still stands for its grant.
func (h *Handler) reach(ctx context.Context, client config.Client, token string) (storage.Kind, string, error) {
	kind, err := tokens.ParseReference(token)
	if err != nil { // not of ours, so unknown
		return "", "", nil
	}
	var grant storage.Grant
	var alive bool
	reach, target := storage.KindToken, ""
	if kind == tokens.Refresh {
		var live storage.LiveRefresh
		live, err = h.Store.FindRefresh(ctx, h.Tenant, tokens.Hash(token))
		grant, alive, reach, target = live.Grant, live.Alive, storage.KindGrant, live.GrantID
	} else {
		var live storage.LiveAccess
		live, err = h.Store.FindAccess(ctx, h.Tenant, tokens.Hash(token))
		grant, alive, target = live.Grant, live.Alive, live.JTI
	}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return "", "", nil
	case err != nil:
		return "", "", err
	case !alive || grant.ClientID != client.ID:
		return "", "", nil
	}
	return reach, target, nil
}
