// Package user is the contract of Tyk's package of that name: the members of a session that the binding sets.
package user

// SessionState is what Tyk knows of whoever is asking.
type SessionState struct {
	Expires       int64
	OrgID         string
	OauthClientID string
	ApplyPolicies []string
	Tags          []string
	Alias         string
	MetaData      map[string]interface{}
	KeyID         string

	modified bool
	keyHash  string
}

// KeyHash returns what the KeyID is stored under. It panics while there is none.
func (s *SessionState) KeyHash() string {
	if s.keyHash == "" {
		panic("no hash")
	}
	return s.keyHash
}

// SetKeyHash sets it.
func (s *SessionState) SetKeyHash(hash string) { s.keyHash = hash }

// KeyHashEmpty tells whether there is none.
func (s *SessionState) KeyHashEmpty() bool { return s.keyHash == "" }

// Touch says that the session is to be written to Redis.
func (s *SessionState) Touch() { s.modified = true }

// IsModified tells whether it is.
func (s *SessionState) IsModified() bool { return s.modified }
