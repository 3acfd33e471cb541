package admin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

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
