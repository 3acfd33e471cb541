// Package clients knows the registered apps, authenticates them at the endpoints that ask for it, and judges redirect
// URIs.
package clients

import (
	"fmt"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// Registry is fixed once made, and safe for concurrent use.
type Registry struct {
	tenant  string
	clients map[string]config.Client
}

// New makes the registry of the one tenant there is. It fails when two clients have one id: config refuses that, with
// the line.
func New(cfg config.Config) (*Registry, error) {
	r := &Registry{tenant: oauth.DefaultTenant, clients: make(map[string]config.Client, len(cfg.Clients))}
	for _, client := range cfg.Clients {
		if _, ok := r.clients[client.ID]; ok || client.ID == "" {
			return nil, fmt.Errorf("clients: the id %q is empty or given twice", client.ID)
		}
		if client.Public == client.Secret.IsSet() {
			return nil, fmt.Errorf("clients: %q must either be public or have a secret", client.ID)
		}
		r.clients[client.ID] = client
	}
	return r, nil
}

// Find gives a tenant's client. That it is found says nothing about who is asking.
func (r *Registry) Find(tenant, id string) (config.Client, bool) {
	if tenant != r.tenant {
		return config.Client{}, false
	}
	client, ok := r.clients[id]
	return client, ok
}
