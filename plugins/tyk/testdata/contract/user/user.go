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
}

// Touch says that the session is to be written to Redis.
func (s *SessionState) Touch() { s.modified = true }

// IsModified tells whether it is.
func (s *SessionState) IsModified() bool { return s.modified }
