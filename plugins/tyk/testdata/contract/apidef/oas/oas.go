// Package oas is the contract of Tyk's package of that name. A test of the binding makes an OAS of its JSON.
package oas

import "encoding/json"

// OAS is an OpenAPI definition with Tyk's extension.
type OAS struct {
	Document json.RawMessage
}

// MarshalJSON returns the definition as it is written.
func (s *OAS) MarshalJSON() ([]byte, error) { return s.Document, nil }
