// Package audiences is the catalogue of the services that tokens are meant for, their scopes, and the claims each may
// see. A token's audiences follow from its scopes; nothing else puts one into a token.
package audiences

import (
	"fmt"
	"slices"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

// Catalogue is fixed once made, and safe for concurrent use. What it hands out must not be altered.
type Catalogue struct {
	order     []config.Audience
	positions map[string]int // of an audience's name in order
	scopes    map[string]owned
}

type owned struct {
	scope    config.Scope
	audience int
}

// New makes the catalogue. It fails when two audiences, or two scopes, have one name: config refuses that, with the line.
func New(declared []config.Audience) (*Catalogue, error) {
	c := &Catalogue{order: slices.Clone(declared), positions: map[string]int{}, scopes: map[string]owned{}}
	for i, audience := range c.order {
		if _, ok := c.positions[audience.Name]; ok || audience.Name == "" {
			return nil, fmt.Errorf("audiences: the name %q is empty or given twice", audience.Name)
		}
		c.positions[audience.Name] = i
		for _, scope := range audience.Scopes {
			if _, ok := c.scopes[scope.Name]; ok || scope.Name == "" {
				return nil, fmt.Errorf("audiences: the scope %q is empty or given twice", scope.Name)
			}
			c.scopes[scope.Name] = owned{scope, i}
		}
	}
	return c, nil
}

// Scope finds a scope and the audience it belongs to. The issuer's own scopes (openid, …) belong to none: not ok.
func (c *Catalogue) Scope(name string) (scope config.Scope, audience string, ok bool) {
	found, ok := c.scopes[name]
	if !ok {
		return config.Scope{}, "", false
	}
	return found.scope, c.order[found.audience].Name, true
}

// Audience finds an audience by its name.
func (c *Catalogue) Audience(name string) (config.Audience, bool) {
	i, ok := c.positions[name]
	if !ok {
		return config.Audience{}, false
	}
	return c.order[i], true
}

// Of gives the names of the audiences that the scopes belong to, each once, in the order of the file.
func (c *Catalogue) Of(scopes []string) []string {
	var found []int
	for _, name := range scopes {
		if o, ok := c.scopes[name]; ok && !slices.Contains(found, o.audience) {
			found = append(found, o.audience)
		}
	}
	slices.Sort(found)
	names := make([]string, len(found))
	for i, position := range found {
		names[i] = c.order[position].Name
	}
	return names
}
