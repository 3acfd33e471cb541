package tokens

import (
	"encoding/json"
	"fmt"

	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// Value is what is persisted behind a reference besides the readable columns: how the user logged in, and what is known
// of them. It is empty for a machine client. Only its sealed form is stored.
type Value struct {
	AuthTime  int64    `json:"auth_time,omitempty"` // seconds since 1970
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	// Claims are the user's, as JSON. Only access tokens have them: a refresh reads them afresh.
	Claims map[string]json.RawMessage `json:"claims,omitempty"`
}

// The purposes that bind a sealed value to its kind of row, so that none can stand in for another.
const (
	purposeAccess  = "access-value"
	purposeRefresh = "refresh-value"
)

// SealAccess seals the value of the access token with that jti under its grant's key.
func SealAccess(grantKey seal.Key, jti string, v Value) []byte {
	return grantKey.Seal(purposeAccess, jti, v.encode())
}

// OpenAccess opens the value of an access token. It fails with seal.ErrOpen once the grant's key has been destroyed.
func OpenAccess(dataKey seal.Key, t storage.LiveAccess) (Value, error) {
	return open(dataKey, t.Grant, purposeAccess, t.JTI, t.Value)
}

// SealRefresh seals the value of the refresh token with that hash under its grant's key.
func SealRefresh(grantKey seal.Key, hash []byte, v Value) []byte {
	return grantKey.Seal(purposeRefresh, string(hash), v.encode())
}

// OpenRefresh opens the value of a refresh token. It fails with seal.ErrOpen once the grant's key has been destroyed.
func OpenRefresh(dataKey seal.Key, t storage.LiveRefresh) (Value, error) {
	return open(dataKey, t.Grant, purposeRefresh, string(t.Hash), t.RefreshToken.Value)
}

// MarshalClaims turns a user's claims into the form that a value keeps, for those audiences alone.
func MarshalClaims(catalogue Catalogue, audiences []string, claims map[string]any) (map[string]json.RawMessage, error) {
	kept := visible(catalogue, audiences, claims)
	if len(kept) == 0 {
		return nil, nil
	}
	marshalled := make(map[string]json.RawMessage, len(kept))
	for name, value := range kept {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("tokens: the claim %q cannot be written as JSON: %w", name, err)
		}
		marshalled[name] = text
	}
	return marshalled, nil
}

func open(dataKey seal.Key, grant storage.Grant, purpose, id string, sealed []byte) (Value, error) {
	key, err := dataKey.Unwrap(grant.ID, grant.WrappedKey)
	if err != nil {
		return Value{}, fmt.Errorf("tokens: the key of grant %s: %w", grant.ID, err)
	}
	plain, err := key.Open(purpose, id, sealed)
	if err != nil {
		return Value{}, fmt.Errorf("tokens: a value of grant %s: %w", grant.ID, err)
	}
	v, err := decodeValue(plain)
	if err != nil {
		return Value{}, fmt.Errorf("tokens: a value of grant %s is not what was sealed: %w", grant.ID, err)
	}
	return v, nil
}
