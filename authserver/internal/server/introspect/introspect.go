// Package introspect serves POST /oauth/introspect: it tells an authenticated asker, a gateway, what a reference stands
// for, narrowed to what the asker is registered for and asks about. Three forms, chosen by Accept: the phantom token
// (application/jwt), JSON (RFC 7662), and JSON in a signed envelope (RFC 9701).
package introspect

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/revocation"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// Finder finds the living token behind an access reference, in one read; bearer.ErrInactive when there is none.
type Finder interface {
	Find(ctx context.Context, tenant, reference string) (bearer.Token, error)
}

// Clients authenticates the asker.
type Clients interface {
	Authenticate(r *http.Request, form url.Values) (config.Client, error)
}

// Handler serves the introspection endpoint. No field may be missing.
type Handler struct {
	Tenant    string
	Issuer    string // `iss`
	Finder    Finder
	Clients   Clients
	Audiences tokens.Catalogue
	Signer    tokens.Signer
	DataKey   seal.Key // opens token values
	Names     revocation.Namer
	Now       func() time.Time
	Log       *slog.Logger
}

// New checks that nothing is missing.
func New(h Handler) (*Handler, error) {
	if h.Tenant == "" || h.Issuer == "" || h.Finder == nil || h.Clients == nil || h.Audiences == nil || h.Signer == nil ||
		h.DataKey == (seal.Key{}) || h.Names == (revocation.Namer{}) || h.Now == nil || h.Log == nil {
		return nil, errors.New("introspect: every field of Handler is needed")
	}
	return &h, nil
}

// Mount adds the route.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST /oauth/introspect", h.serve)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	form, err := wire.Form(w, r)
	if err == nil {
		err = h.answer(w, r, form)
	}
	if err != nil {
		wire.Error(w, r, h.Log, err)
	}
}

// answer writes an answer, or gives an error and has written nothing.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, form url.Values) error {
	asker, err := h.Clients.Authenticate(r, form)
	if err != nil {
		return err
	}
	if asker.Public { // it has proved nothing, and RFC 7662, 2.1 wants a proof
		return oauth.Errorf(oauth.InvalidClient, "a public client may not ask about tokens; use a client with a secret")
	}
	ask, err := askOf(asker, form)
	if err != nil {
		return err
	}
	found, err := h.find(r.Context(), form.Get("token"), ask)
	alive := err == nil
	if err != nil && !errors.Is(err, bearer.ErrInactive) {
		return err
	}
	if alive && !found.narrowed.Empty() {
		h.followed(w.Header(), found.LiveAccess)
	}
	wants := negotiate(r.Header.Values("Accept"))
	if wants == formJWT {
		return h.phantom(w, found, alive)
	}
	var about any = inactive{}
	if alive && !found.narrowed.Empty() {
		about = tokens.Introspect(h.Issuer, found.LiveAccess, found.value, found.narrowed)
	}
	if wants == formSigned {
		return h.signed(w, asker, about)
	}
	wire.JSON(w, http.StatusOK, about)
	return nil
}

// followed tells a gateway's cache what can end the token, and where the feed stood when it was read: what matches an event of
// the feed to this answer (docs/revocation-feed.md). It says nothing to anybody else, and stands in no token.
func (h *Handler) followed(header http.Header, live storage.LiveAccess) {
	if keys := h.Names.Keys(live); keys != "" {
		header["Revocation-Keys"] = []string{keys}
		header["Revocation-Position"] = []string{live.Feed.Epoch + "." + strconv.FormatInt(live.Feed.Sequence, 10)}
	}
}

// inactive is all that is said of whatever is not alive or not meant for the asker (RFC 7662, 2.2).
type inactive struct {
	Active bool `json:"active"` // false
}

// found is a living token as the asker may see it.
type found struct {
	bearer.Token
	value    tokens.Value
	narrowed tokens.Narrowed
}

// find reads the token and narrows it. An asker that is registered for no audience is told of no token.
func (h *Handler) find(ctx context.Context, reference string, ask tokens.Ask) (found, error) {
	if len(ask.Registered) == 0 {
		return found{}, bearer.ErrInactive
	}
	token, err := h.Finder.Find(ctx, h.Tenant, reference)
	if err != nil {
		return found{}, err
	}
	value, err := tokens.OpenAccess(h.DataKey, token.LiveAccess)
	if err != nil {
		return found{}, err
	}
	narrowed := tokens.Narrow(h.Audiences, strings.Fields(token.Scope), token.Client.Scopes, value.Claims, ask)
	return found{token, value, narrowed}, nil
}

// phantom answers with the phantom token, 204 when there is no living token, and 403 when it is alive but has nothing for
// what was asked.
func (h *Handler) phantom(w http.ResponseWriter, f found, alive bool) error {
	if !alive {
		wire.NoStore(w.Header())
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if f.narrowed.Empty() {
		return oauth.Errorf(oauth.InsufficientScope, "the token is alive, but has nothing for this audience and these scopes")
	}
	now := h.Now()
	signed, expires, err := tokens.Phantom(h.Signer, h.Issuer, f.LiveAccess, f.value, f.narrowed, now, f.Client.Policy.PhantomToken)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", formJWT)
	header.Set("Cache-Control", "private, max-age="+strconv.FormatInt(int64(expires.Sub(now)/time.Second), 10))
	write(w, signed)
	return nil
}

// signed answers with the JSON answer in an envelope for this asker (RFC 9701, 5).
func (h *Handler) signed(w http.ResponseWriter, asker config.Client, about any) error {
	signed, err := tokens.SignIntrospection(h.Signer, h.Issuer, asker.ID, h.Now(), about)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", formSigned)
	wire.NoStore(w.Header())
	write(w, signed)
	return nil
}

func write(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = io.WriteString(w, body) // a client that has gone away is no fault of ours
}

// askOf reads what the asker wants. It may name only an audience that it is registered for.
func askOf(asker config.Client, form url.Values) (tokens.Ask, error) {
	if form.Get("token") == "" {
		return tokens.Ask{}, oauth.Errorf(oauth.InvalidRequest, "the parameter token is missing")
	}
	audience := form.Get("audience")
	if audience != "" && !slices.Contains(asker.Introspects, audience) {
		return tokens.Ask{}, oauth.Errorf(oauth.InvalidTarget, "the client may not ask about this audience; add it to the client's introspects")
	}
	scopes, err := oauth.SplitScope(form.Get("scope"))
	if err != nil {
		return tokens.Ask{}, err
	}
	return tokens.Ask{Registered: asker.Introspects, Audience: audience, Scopes: scopes}, nil
}
