package server

import (
	"net/http"

	"github.com/phantomgate/phantomgate/authserver/internal/server/admin"
	"github.com/phantomgate/phantomgate/authserver/internal/server/authorize"
	"github.com/phantomgate/phantomgate/authserver/internal/server/discovery"
	"github.com/phantomgate/phantomgate/authserver/internal/server/introspect"
	"github.com/phantomgate/phantomgate/authserver/internal/server/logout"
	"github.com/phantomgate/phantomgate/authserver/internal/server/revoke"
	"github.com/phantomgate/phantomgate/authserver/internal/server/ssf"
	"github.com/phantomgate/phantomgate/authserver/internal/server/token"
	"github.com/phantomgate/phantomgate/authserver/internal/server/userinfo"
)

// mounter is a room of endpoints.
type mounter interface{ Mount(mux *http.ServeMux) }

// mount adds a room, unless it could not be made.
func mount[M mounter](mux *http.ServeMux, room M, err error) error {
	if err == nil {
		room.Mount(mux)
	}
	return err
}

func (r *rooms) mountPublic(mux *http.ServeMux) error {
	for _, add := range []func(*http.ServeMux) error{r.mountMachines, r.mountBrowsers, r.mountDocuments} {
		if err := add(mux); err != nil {
			return err
		}
	}
	return nil
}

// mountMachines adds what clients and gateways call.
func (r *rooms) mountMachines(mux *http.ServeMux) error {
	tokens, err := token.New(token.Handler{Tenant: r.tenant, Store: r.store, Clients: r.clients, Grants: r.grants, Log: r.Log})
	if err := mount(mux, tokens, err); err != nil {
		return err
	}
	introspection, err := introspect.New(introspect.Handler{
		Tenant: r.tenant, Issuer: r.Config.Issuer, Finder: r.finder, Clients: r.clients, Audiences: r.audiences,
		Signer: r.ring, DataKey: r.dataKey, Names: r.names, Now: r.Now, Log: r.Log,
	})
	if err := mount(mux, introspection, err); err != nil {
		return err
	}
	revocations, err := revoke.New(revoke.Handler{Tenant: r.tenant, Store: r.store, Clients: r.clients, Revoker: r.revoker, Log: r.Log})
	if err := mount(mux, revocations, err); err != nil {
		return err
	}
	events, err := ssf.New(ssf.Handler{Tenant: r.tenant, Issuer: r.Config.Issuer, Feed: r.feed, Clients: r.clients, Bearer: r.finder, Log: r.Log})
	if err := mount(mux, events, err); err != nil {
		return err
	}
	info, err := userinfo.New(userinfo.Deps{Tenant: r.tenant, Tokens: r.finder, Log: r.Log})
	return mount(mux, info, err)
}

// mountBrowsers adds what people see.
func (r *rooms) mountBrowsers(mux *http.ServeMux) error {
	authorization, err := authorize.New(authorize.Deps{
		Issuer: r.Config.Issuer, Tenant: r.tenant, Store: r.store, Clients: r.clients, Users: r.users, Catalogue: r.audiences,
		Sessions: r.sessions, Tickets: r.tickets, Grants: r.grants, Keys: r.ring, Pages: r.pages, Log: r.Log, Now: r.Now,
	})
	if err := mount(mux, authorization, err); err != nil {
		return err
	}
	ending, err := logout.New(logout.Deps{
		Issuer: r.Config.Issuer, Tenant: r.tenant, Clients: r.clients, Users: r.users, Sessions: r.sessions,
		Tickets: r.tickets, Keys: r.ring, Pages: r.pages, Log: r.Log,
	})
	return mount(mux, ending, err)
}

// mountDocuments adds what is published about the issuer.
func (r *rooms) mountDocuments(mux *http.ServeMux) error {
	documents, err := discovery.New(discovery.Deps{Config: r.Config, Keys: r.ring})
	return mount(mux, documents, err)
}

func (r *rooms) mountAdmin(mux *http.ServeMux) error {
	operators, err := admin.New(admin.Handler{
		Tenant: r.tenant, Bearer: r.finder, Revoker: r.revoker, Tokens: r.store, Streams: r.store, Users: r.users, Audiences: r.audiences,
		Log: r.Log, Now: r.Now,
	})
	return mount(mux, operators, err)
}
