package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/TykTechnologies/tyk/user"

	"github.com/phantomgate/phantomgate/plugins/claims"
	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// sessions makes Tyk's session of a phantom token, which was verified when it was swapped. Rate limits, quotas, the response
// cache and analytics go by the session's KeyID: it stands for one user of one client at one issuer's tenant. One KeyID for
// all users of a client would give one user's cached answer to another.
//
// What tokens say is remembered, for two generations of tokens: reading JSON for every request would cost more than all the
// rest of the swap.
type sessions struct {
	org, issuer, tenant string
	key                 []byte // of keyID
	open                identity
	rules               sessionRules

	mu         sync.RWMutex
	young, old map[string]*identity // by the Authorization header
}

// identityEntries bounds a generation; an entry is a token and what it says, about 2 KiB.
const identityEntries = 8192

// identity is what a phantom token says of whoever is asking.
type identity struct {
	keyID, client, alias string
	expires              int64
	policies             []string
	keyHash              atomic.Pointer[string] // what Tyk hashes keyID to; nil until it has
}

func newSessions(org, api string, issuer gateway.Issuer, key []byte, rules sessionRules) *sessions {
	s := &sessions{org: org, issuer: issuer.Issuer, tenant: cmp.Or(issuer.Tenant, "default"), key: key, rules: rules}
	s.open = identity{keyID: s.keyID("", "", api), alias: "open", policies: rules.Policies} // nobody's: no user is ""
	return s
}

// of returns the session of a request whose Authorization header is header; nil on an open route. Each is new: Tyk writes to
// it. keyHash is where what Tyk hashes its KeyID to is kept.
func (s *sessions) of(header []string) (session *user.SessionState, keyHash *atomic.Pointer[string], err error) {
	who := &s.open
	if header != nil {
		if who, err = s.identity(header[0]); err != nil {
			return nil, nil, err
		}
	}
	return &user.SessionState{
		KeyID: who.keyID, OrgID: s.org, OauthClientID: who.client, Alias: who.alias, Expires: who.expires,
		ApplyPolicies: slices.Clone(who.policies),
	}, &who.keyHash, nil
}

// identity returns what header, "Bearer" and a phantom token, says.
func (s *sessions) identity(header string) (*identity, error) {
	if who := s.known(header); who != nil {
		return who, nil
	}
	who, err := s.read(header)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= identityEntries {
		s.young, s.old = make(map[string]*identity), s.young
	}
	s.young[header] = who
	return who, nil
}

func (s *sessions) known(header string) *identity {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if who := s.young[header]; who != nil {
		return who
	}
	return s.old[header]
}

var errNoUser = errors.New("it names no user (sub)")

// read reads the claims of a token that was verified.
func (s *sessions) read(header string) (*identity, error) {
	parts := strings.Split(header, ".")
	if len(parts) != 3 {
		return nil, errors.New("it is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var subject, clientID, scope string
	var party string // what OpenID providers write in place of client_id
	var expires float64
	if err := claims.Read(payload, map[string]any{
		"sub": &subject, "client_id": &clientID, "azp": &party, "scope": &scope, "exp": &expires,
	}); err != nil {
		return nil, err
	}
	if subject == "" {
		return nil, errNoUser
	}
	client := cmp.Or(clientID, party)
	return &identity{
		keyID: s.keyID(client, subject), client: client, alias: strings.Trim(client+"/"+subject, "/"), expires: int64(expires),
		policies: s.rules.of(client, strings.Fields(scope)),
	}, nil
}

// keyID returns the KeyID of a user of a client (or, for open routes, of an API). It is in the form of Tyk's own keys, which
// names the hash that Tyk stores it under: any other key is hashed to 32 bits, whatever hash_key_function says, and two users
// would share a quota. And it cannot be foreseen: a session that has a quota is a key in Tyk's storage, which an API with Tyk's
// own authentication would take for a credential.
func (s *sessions) keyID(parts ...string) string {
	h := hmac.New(sha256.New, s.key)
	for _, part := range append([]string{s.issuer, s.tenant}, parts...) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	key, err := json.Marshal(struct {
		Org  string `json:"org"`
		ID   string `json:"id"`
		Hash string `json:"h"`
	}{s.org, "phantomgate" + hex.EncodeToString(h.Sum(nil)), "murmur128"})
	if err != nil { // three strings always marshal
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(key)
}
