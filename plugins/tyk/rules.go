package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// sessionRules say which of Tyk's policies a session gets. They are the one member of config_data that is not
// gateway.Config's: "session".
type sessionRules struct {
	// Policies of every session, by their ids in Tyk. All must exist, and be of the API's organisation: Tyk answers 500
	// otherwise.
	Policies []string `json:"policies"`
	// PoliciesByClient and PoliciesByScope are added for a client, and for each scope that the phantom token has: those of
	// the route, and not all that the client holds, but with acceptOtherScopes.
	PoliciesByClient map[string][]string `json:"policiesByClient"`
	PoliciesByScope  map[string][]string `json:"policiesByScope"`
}

// of returns the policies of a client's token with scopes, each once.
func (r sessionRules) of(client string, scopes []string) []string {
	all := slices.Concat(r.Policies, r.PoliciesByClient[client])
	for _, scope := range scopes {
		all = append(all, r.PoliciesByScope[scope]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// splitConfig takes what is the binding's own out of config_data and returns the rest, which is gateway.Config.
func splitConfig(data map[string]any) (config []byte, rules sessionRules, err error) {
	rest := maps.Clone(data)
	own, there := rest["session"]
	delete(rest, "session")
	if config, err = json.Marshal(rest); err != nil { // it was read from JSON
		return nil, rules, err
	}
	if !there {
		return config, rules, nil
	}
	text, err := json.Marshal(own)
	if err != nil {
		return config, rules, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rules); err != nil {
		return config, rules, fmt.Errorf("session: %w", err)
	}
	return config, rules, nil
}
