// Package claims reads the claims of a JWT by their exact names (RFC 7519 section 2).
//
// The tags of encoding/json take a name in any case, the last one that comes: a claim "Sub" or "Tenant", which an issuer may
// have copied from what a user calls himself, would stand in for the one that is meant.
package claims

import (
	"encoding/json"
	"errors"
)

// Read reads the members of the JSON object data, each into what into points to; one that is not there leaves it as it is. It
// does not check who signed data, and null has no members. An error names the claim and nothing of its value.
func Read(data []byte, into map[string]any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return errors.New("the claims are not a JSON object")
	}
	for name, to := range into {
		value, ok := members[name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(value, to); err != nil {
			return errors.New("the claim " + name + " has another type")
		}
	}
	return nil
}
