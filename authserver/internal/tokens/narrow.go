package tokens

import (
	"encoding/json"
	"slices"
)

// Ask is what an asker wants of a token, and the most it may be told.
type Ask struct {
	Registered []string // the audiences the asker may ask for
	Audience   string   // the one it wants, or "" for all it is registered for
	Scopes     []string // the ones it wants, or none for all
}

// Narrowed is what remains of a token for one asker.
type Narrowed struct {
	Audiences []string
	Scopes    []string
	Claims    map[string]json.RawMessage
}

// Empty tells that nothing remains: the token says nothing to this asker.
func (n Narrowed) Empty() bool { return len(n.Scopes) == 0 }

// Narrow keeps the scopes of a token that the client may still have, that belong to an audience the asker is registered
// for and wants, and that it asked for; and of the claims those that the remaining audiences may see. The issuer's own
// scopes (openid, …) belong to no audience and never remain.
func Narrow(catalogue Catalogue, granted, allowed []string, claims map[string]json.RawMessage, ask Ask) Narrowed {
	var n Narrowed
	for _, scope := range granted {
		if _, audience, ok := catalogue.Scope(scope); ok && slices.Contains(allowed, scope) && ask.covers(audience, scope) {
			n.Scopes = append(n.Scopes, scope)
		}
	}
	n.Audiences = catalogue.Of(n.Scopes)
	n.Claims = visible(catalogue, n.Audiences, claims)
	return n
}

// covers tells whether a scope of that audience is within what is asked for, and within what may be told.
func (a Ask) covers(audience, scope string) bool {
	return slices.Contains(a.Registered, audience) &&
		(a.Audience == "" || a.Audience == audience) &&
		(len(a.Scopes) == 0 || slices.Contains(a.Scopes, scope))
}

// visible gives those claims that at least one of the audiences may see. None of them has a name of the protocol's:
// config refuses that for audiences and users alike.
func visible[V any](catalogue Catalogue, audiences []string, claims map[string]V) map[string]V {
	var seen map[string]V
	for _, name := range audiences {
		audience, _ := catalogue.Audience(name)
		for _, claim := range audience.Claims {
			value, ok := claims[claim]
			if !ok {
				continue
			}
			if seen == nil {
				seen = make(map[string]V)
			}
			seen[claim] = value
		}
	}
	return seen
}
