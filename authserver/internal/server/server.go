// Package server is the issuer's wiring: it makes every room from the config, once, and mounts the endpoints on the public
// and on the operators' side. Nothing is decided here.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/audiences"
	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/clients"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/feed"
	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/keys"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/revocation"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/sessions"
	"github.com/phantomgate/phantomgate/authserver/internal/storage/sqlite"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
	"github.com/phantomgate/phantomgate/authserver/internal/web/login"
)

// Options are what a Server is made from. All of them.
type Options struct {
	Config config.Config
	Log    *slog.Logger
	Now    func() time.Time
}

// Server is a whole issuer that listens nowhere yet.
type Server struct {
	Public http.Handler // what clients, browsers and gateways reach
	Admin  http.Handler // what operators reach

	store *sqlite.Store
	ring  *keys.Ring
	feed  *feed.Service
	log   *slog.Logger
	now   func() time.Time
}

// rooms are the parts that several endpoints share.
type rooms struct {
	Options
	tenant    string
	dataKey   seal.Key
	names     revocation.Namer
	store     *sqlite.Store
	audiences *audiences.Catalogue
	clients   *clients.Registry
	users     *users.Directory
	ring      *keys.Ring
	revoker   *revocation.Service
	grants    *grants.Service
	sessions  *sessions.Keeper
	tickets   sessions.Tickets
	finder    bearer.Finder
	feed      *feed.Service
	pages     *login.Pages
}

// New opens the store and makes every room. Close ends what it holds.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil || o.Now == nil {
		return nil, errors.New("server: Log and Now are both needed")
	}
	store, err := sqlite.Open(ctx, sqlite.Options{Path: o.Config.Storage.SQLite, Logger: o.Log})
	if err != nil {
		return nil, err
	}
	s, err := build(ctx, o, store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return s, nil
}

func build(ctx context.Context, o Options, store *sqlite.Store) (*Server, error) {
	r, err := newRooms(ctx, o, store)
	if err != nil {
		return nil, err
	}
	public, admin := http.NewServeMux(), http.NewServeMux()
	if err := errors.Join(r.mountPublic(public), r.mountAdmin(admin)); err != nil {
		return nil, err
	}
	health := func(w http.ResponseWriter, req *http.Request) { healthz(w, req, store) }
	public.HandleFunc("GET /healthz", health)
	admin.HandleFunc("GET /healthz", health)
	cfg := o.Config
	return &Server{
		Public: guard(public, hostsOf(cfg.Issuer, cfg.Listen, cfg.Hosts), o.Log),
		Admin:  guard(admin, hostsOf("", cfg.Admin.Listen, cfg.Admin.Hosts), o.Log),
		store:  store, ring: r.ring, feed: r.feed, log: o.Log, now: o.Now,
	}, nil
}

func newRooms(ctx context.Context, o Options, store *sqlite.Store) (*rooms, error) {
	r := &rooms{Options: o, tenant: oauth.DefaultTenant, store: store}
	var err error
	if r.dataKey, err = o.Config.OpenDataKey(); err != nil {
		return nil, err
	}
	if r.names.MAC, err = o.Config.OpenMAC("revocation keys"); err != nil {
		return nil, err
	}
	if r.audiences, err = audiences.New(o.Config.Audiences); err != nil {
		return nil, err
	}
	if r.clients, err = clients.New(o.Config); err != nil {
		return nil, err
	}
	if r.users, err = users.Open(ctx, o.Config, store, users.Options{Logger: o.Log, Now: o.Now}); err != nil {
		return nil, err
	}
	if r.ring, err = keys.Open(ctx, store, r.dataKey, keys.Options{
		Tenant: r.tenant, Algorithm: o.Config.Signing.Algorithm, RotateEvery: o.Config.Signing.RotateEvery,
		PublishFor: o.Config.Signing.PublishFor, Overlap: overlap(o.Config), Now: o.Now, Logger: o.Log,
	}); err != nil {
		return nil, err
	}
	if r.pages, err = login.New(o.Config.Issuer, o.Log); err != nil {
		return nil, err
	}
	return r, r.makeServices()
}

// overlap is how long a key stays published after it has stopped signing: the longest life of what it signed (an ID token
// lives as long as its access token, a phantom token shorter), the time that a JWKS may be cached, and room for clocks that
// differ.
func overlap(cfg config.Config) time.Duration {
	longest := cfg.Signing.PublishFor
	for _, client := range cfg.Clients {
		longest = max(longest, client.Policy.AccessToken)
	}
	return longest + cfg.Signing.PublishFor + 5*time.Minute
}

func (r *rooms) makeServices() error {
	var err error
	if r.revoker, err = revocation.New(revocation.Service{Store: r.store, Users: r.users, Clients: r.clients, Now: r.Now}); err != nil {
		return err
	}
	r.finder = bearer.Finder{Store: r.store, Clients: r.clients, Users: r.users, Now: r.Now}
	if r.grants, err = grants.New(grants.Options{
		Issuer: r.Config.Issuer, Store: r.store, DataKey: r.dataKey, Users: r.users, Audiences: r.audiences,
		Signer: r.ring, Verifier: r.ring, Bearer: r.finder, Revoker: r.revoker, Now: r.Now, Logger: r.Log,
	}); err != nil {
		return err
	}
	if r.sessions, err = sessions.New(sessions.Keeper{Store: r.store, Now: r.Now}); err != nil {
		return err
	}
	if r.feed, err = feed.New(feed.Options{
		Issuer: r.Config.Issuer, Tenant: r.tenant, Most: r.Config.Feed.StreamsPerClient, Store: r.store, Signer: r.ring, Names: r.names,
		Now: r.Now, After: time.After, Log: r.Log,
	}); err != nil {
		return err
	}
	r.tickets = sessions.Tickets{Key: r.dataKey, Now: r.Now}
	return nil
}

// healthz answers 200 once the store answers, else 503.
func healthz(w http.ResponseWriter, r *http.Request, store *sqlite.Store) {
	w.Header().Set("Cache-Control", "no-store")
	if err := store.Ping(r.Context()); err != nil {
		http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
