// Package admin is the operators' API: revoke by any reach, and see what is alive. It is served on a listener of its own,
// to a bearer of the scope `admin`.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/revocation"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
)

// Scope is what an operator's token must have.
const Scope = "admin"

// maxBody is the largest request body, in bytes.
const maxBody = 16 << 10

// Revoker carries revocations out.
type Revoker interface {
	RevokeTarget(ctx context.Context, tenant string, target revocation.Target, by string) (storage.Revocation, error)
	Find(ctx context.Context, tenant, id string) (storage.Revocation, error)
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
	Users     Users
	Audiences Audiences
	Log       *slog.Logger
	Now       func() time.Time
}

// New checks that nothing is missing.
func New(h Handler) (*Handler, error) {
	if h.Tenant == "" || h.Bearer == nil || h.Revoker == nil || h.Tokens == nil || h.Users == nil ||
		h.Audiences == nil || h.Log == nil || h.Now == nil {
		return nil, errors.New("admin: every field of Handler is needed")
	}
	return &h, nil
}

// Mount adds the routes.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST /admin/v1/revocations", h.guard(h.revoke))
	mux.HandleFunc("GET /admin/v1/revocations/{id}", h.guard(h.revocation))
	mux.HandleFunc("GET /admin/v1/tokens", h.guard(h.tokens))
}

// guard lets nobody through without an operator's token.
func (h *Handler) guard(next func(w http.ResponseWriter, r *http.Request, operator string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		operator, err := h.operator(r)
		if err == nil {
			err = next(w, r, operator)
		}
		if err != nil {
			wire.Error(w, r, h.Log, err)
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

type revocationAnswer struct {
	ID         string       `json:"id"`
	Kind       storage.Kind `json:"kind"`
	Generation int64        `json:"generation"`
	Sequence   int64        `json:"sequence"`
	At         time.Time    `json:"at"`
}

func answer(r storage.Revocation) revocationAnswer {
	return revocationAnswer{ID: r.ID, Kind: r.Kind, Generation: r.Generation, Sequence: r.Sequence, At: r.At.UTC()}
}

func (h *Handler) revoke(w http.ResponseWriter, r *http.Request, operator string) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return oauth.Errorf(oauth.InvalidRequest, "the body could not be read, or is larger than %d bytes", maxBody)
	}
	target, err := parseTarget(body)
	if err != nil {
		return err
	}
	done, err := h.Revoker.RevokeTarget(r.Context(), h.Tenant, target, operator)
	if err != nil {
		return err
	}
	h.Log.InfoContext(r.Context(), "revoked", "id", done.ID, "kind", string(done.Kind), "by", operator)
	wire.JSON(w, http.StatusOK, answer(done))
	return nil
}

// parseTarget is strict: an unknown, doubled or empty member is refused, so that no other revocation than meant is done.
func parseTarget(body []byte) (revocation.Target, error) {
	var target revocation.Target
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&target); err != nil {
		return target, oauth.Errorf(oauth.InvalidRequest,
			"send a JSON object with exactly one of token, grant, session, user, client, tenant, everything, or user and client")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return target, oauth.Errorf(oauth.InvalidRequest, "send one JSON object and nothing after it")
	}
	if ambiguous(body) {
		return target, oauth.Errorf(oauth.InvalidRequest, "a member is given twice, or is empty")
	}
	return target, nil
}

// ambiguous tells whether a flat JSON object names a member twice, in any case (encoding/json would take the last), or one
// that is empty: a script whose variable was not set would revoke a whole client where it meant one user of it.
func ambiguous(body []byte) bool {
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	seen := map[string]bool{}
	_, _ = decoder.Token() // the opening brace; the caller has parsed it
	for decoder.More() {
		name, err := decoder.Token()
		text, _ := name.(string)
		if err != nil || seen[strings.ToLower(text)] {
			return true
		}
		seen[strings.ToLower(text)] = true
		if value, err := decoder.Token(); err != nil || value == "" || value == nil || value == false {
			return true
		}
	}
	return false
}

func (h *Handler) revocation(w http.ResponseWriter, r *http.Request, _ string) error {
	found, err := h.Revoker.Find(r.Context(), h.Tenant, r.PathValue("id"))
	if err != nil {
		return err
	}
	wire.JSON(w, http.StatusOK, struct {
		revocationAnswer
		Applied []struct{} `json:"applied"` // no gateway hears the feed yet
	}{answer(found), []struct{}{}})
	return nil
}

type tokenAnswer struct {
	JTI       string    `json:"jti"`
	Grant     string    `json:"grant"`
	Client    string    `json:"client"`
	Actors    []string  `json:"actors,omitempty"` // of an exchanged token: who exchanged, the last one first
	User      string    `json:"user,omitempty"`
	Login     string    `json:"login,omitempty"`
	Session   string    `json:"session,omitempty"`
	Scope     string    `json:"scope"`
	Audiences []string  `json:"audiences"`
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// pageSize is how many tokens a list shows at once.
const pageSize = 100

func (h *Handler) tokens(w http.ResponseWriter, r *http.Request, _ string) error {
	filter, err := h.filter(r)
	if err != nil {
		return err
	}
	live, err := h.Tokens.ListTokens(r.Context(), filter, h.Now())
	if err != nil {
		return err
	}
	list := struct {
		Tokens []tokenAnswer `json:"tokens"`
		Next   string        `json:"next,omitempty"` // give it as `after` for the next page
	}{Tokens: []tokenAnswer{}}
	for _, token := range live {
		list.Tokens = append(list.Tokens, h.token(token))
	}
	if len(live) == filter.Limit {
		list.Next = live[len(live)-1].JTI
	}
	wire.JSON(w, http.StatusOK, list)
	return nil
}

func (h *Handler) filter(r *http.Request) (storage.TokenFilter, error) {
	filter := storage.TokenFilter{Tenant: h.Tenant, Limit: pageSize}
	query, err := wire.ParseForm(r.URL.RawQuery)
	if err != nil {
		return filter, err
	}
	for name := range query {
		value := query.Get(name)
		switch name {
		case "user":
			user, ok := h.Users.FindNamed(h.Tenant, value)
			if !ok {
				return filter, oauth.Errorf(oauth.NotFound, "there is no such user")
			}
			filter.Subject = user.Subject
		case "client":
			filter.ClientID = value
		case "after":
			filter.After = value
		case "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > pageSize {
				return filter, oauth.Errorf(oauth.InvalidRequest, "limit is a number from 1 to %d", pageSize)
			}
			filter.Limit = n
		default:
			return filter, oauth.Errorf(oauth.InvalidRequest, "the list knows user, client, after and limit, and nothing else")
		}
	}
	return filter, nil
}

func (h *Handler) token(live storage.LiveAccess) tokenAnswer {
	user, _ := h.Users.Find(h.Tenant, live.Grant.Subject)
	scopes := strings.Fields(live.Scope)
	return tokenAnswer{
		JTI: live.JTI, Grant: live.GrantID, Client: live.Grant.ClientID, Actors: live.Actors, User: live.Grant.Subject, Login: user.Login,
		Session: live.Grant.SessionID, Scope: live.Scope, Audiences: h.Audiences.Of(scopes),
		IssuedAt: live.IssuedAt.UTC(), ExpiresAt: live.ExpiresAt.UTC(),
	}
}
