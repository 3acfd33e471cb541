package grantstest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/clients"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// Policy is that of every client; the client `eager` has a refresh reference without offline_access.
var Policy = config.Policy{
	AccessToken: 15 * time.Minute, PhantomToken: 5 * time.Minute, Code: time.Minute, RefreshIdle: 24 * time.Hour,
	RefreshAbsolute: 30 * 24 * time.Hour, Session: 8 * time.Hour, Refresh: config.RefreshOffline,
}

var declared = []config.Audience{
	{Name: "eventcatalog", Title: "Events", Scopes: []config.Scope{{Name: "eventcatalog.read"}, {Name: "eventcatalog.write"}}, Claims: []string{"region"}},
	{Name: "shoppingbasket", Title: "Basket", Scopes: []config.Scope{{Name: "shoppingbasket.read"}}, Claims: []string{"loyalty"}},
	{Name: "discount", Title: "Discount", Scopes: []config.Scope{{Name: "discount.fullaccess"}, {Name: "discount.read"}}, Claims: []string{"shoe_size"}},
	{Name: "vouchers", Title: "Vouchers", Scopes: []config.Scope{{Name: "vouchers.use"}}},
}

func registered() []config.Client {
	code := []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	all := []string{"openid", "profile", "offline_access", "eventcatalog.read", "eventcatalog.write", "shoppingbasket.read"}
	exchange := []string{oauth.GrantTokenExchange}
	eager := Policy
	eager.Refresh = config.RefreshAlways
	list := []config.Client{
		{ID: "web", GrantTypes: code, Scopes: all},
		{ID: "other", GrantTypes: code, Scopes: all},
		{ID: "mobile", Public: true, GrantTypes: code, Scopes: all},
		{ID: "eager", GrantTypes: code, Scopes: all, Policy: eager},
		{ID: "once", GrantTypes: code[:1], Scopes: all},
		{ID: "batch", GrantTypes: []string{oauth.GrantClientCredentials}, Scopes: []string{"openid", "eventcatalog.read", "shoppingbasket.read"}},
		{ID: "shoppingbasket", GrantTypes: exchange, Exchange: []config.Exchange{
			{From: "shoppingbasket", Audience: "discount", Scopes: []string{"discount.fullaccess", "discount.read"}}}},
		{ID: "discount", GrantTypes: exchange, Exchange: []config.Exchange{
			{From: "discount", Audience: "vouchers", Scopes: []string{"vouchers.use"}}}},
		{ID: "gateway", Introspects: []string{"eventcatalog", "shoppingbasket"}},
		{ID: "catalog-gateway", Introspects: []string{"eventcatalog"}},
	}
	for i := range list {
		client := &list[i]
		client.RedirectURIs = []string{"http://127.0.0.1/callback"}
		if client.Policy == (config.Policy{}) {
			client.Policy = Policy
		}
		if !client.Public {
			client.Secret = config.NewSecret(client.ID + Secret)
		}
	}
	return list
}

// Clients is the real registry, of clients that may be changed or forgotten.
type Clients struct {
	mu       sync.Mutex
	list     []config.Client
	registry *clients.Registry
	// During, when set, runs while a client is being authenticated.
	During func()
}

func newClients(t testing.TB) *Clients {
	t.Helper()
	c := &Clients{list: registered()}
	c.Change(t, "", nil)
	return c
}

// Find finds a client.
func (c *Clients) Find(tenant, id string) (config.Client, bool) { return c.now().Find(tenant, id) }

// Authenticate authenticates the client of a request.
func (c *Clients) Authenticate(r *http.Request, form url.Values) (config.Client, error) {
	if c.During != nil {
		c.During()
	}
	return c.now().Authenticate(r, form)
}

// Change changes a client, as a new config would; nil forgets it.
func (c *Clients) Change(t testing.TB, id string, change func(*config.Client)) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.Clone(c.list)
	if n := slices.IndexFunc(c.list, func(client config.Client) bool { return client.ID == id }); n >= 0 {
		if change == nil {
			c.list = slices.Delete(c.list, n, n+1)
		} else {
			change(&c.list[n])
		}
	}
	var err error
	c.registry, err = clients.New(config.Config{Clients: c.list})
	must(t, err)
}

func (c *Clients) now() *clients.Registry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.registry
}

// Post sends a form to an endpoint as a client: by Basic, or by client_id alone for the public one. Form is name, value,
// name, value, ….
func (i *Issuer) Post(path, clientID string, form ...string) *httptest.ResponseRecorder {
	return i.PostAccept("", path, clientID, form...)
}

// PostAccept is Post with an Accept header.
func (i *Issuer) PostAccept(accept, path, clientID string, form ...string) *httptest.ResponseRecorder {
	values := url.Values{}
	for n := 0; n+1 < len(form); n += 2 {
		values.Add(form[n], form[n+1])
	}
	client, _ := i.Clients.Find(Tenant, clientID)
	if client.Public {
		values.Set("client_id", clientID)
	}
	r := httptest.NewRequest(http.MethodPost, URL+path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	if !client.Public && clientID != "" {
		r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientID+Secret))
	}
	w := httptest.NewRecorder()
	i.Mux.ServeHTTP(w, r)
	return w
}
