package grants

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// Authorization is what a user has just allowed a client.
type Authorization struct {
	Client  config.Client
	Session storage.Session // the login that stands behind it: tenant, user, acr, amr, auth_time
	// Births are the generations of every reach, read before the login, the session and the consent were looked at.
	Births      storage.Births
	Scopes      []string // what was allowed; all of them registered for the client
	RedirectURI string   // as in the request, port and all: the token request must repeat it
	Challenge   string   // PKCE, S256 (RFC 7636, 4.2)
	Nonce       string   // told again in the ID token; may be empty
	Consent     bool     // remember that the user allowed these scopes
}

// codeValue is what is sealed behind a code.
type codeValue struct {
	RedirectURI string       `json:"redirect_uri"`
	Challenge   string       `json:"challenge"`
	Nonce       string       `json:"nonce,omitempty"`
	Login       tokens.Value `json:"login"`
}

const purposeCode = "code-value"

// codeLength is that of 256 random bits in base64url.
const codeLength = 43

// Begin creates a grant and gives the code that the client redeems for its tokens, once, within a minute at most. What it
// creates is born under a.Births: a revocation that overtook the login ends it at birth.
func (s *Service) Begin(ctx context.Context, a Authorization) (code string, err error) {
	if err := a.check(); err != nil {
		return "", err
	}
	now := s.Now()
	offline := slices.Contains(a.Scopes, oauth.ScopeOfflineAccess)
	grant := storage.Grant{
		Tenant: a.Session.Tenant, ID: newID(), ClientID: a.Client.ID, Subject: a.Session.Subject, SessionID: a.Session.ID,
		Scope: oauth.JoinScope(a.Scopes), Offline: offline, Births: a.Births, CreatedAt: now,
	}
	codeAge := min(a.Client.Policy.Code, config.MaxCode)
	grant.ExpiresAt = a.end(now, codeAge, offline)
	key, wrapped, err := s.DataKey.NewWrapped(grant.ID)
	if err != nil {
		return "", fmt.Errorf("grants: %w", err)
	}
	grant.WrappedKey = wrapped

	code = newCode()
	row := storage.Code{Hash: tokens.Hash(code), GrantID: grant.ID, IssuedAt: now, ExpiresAt: now.Add(codeAge)}
	plain, err := json.Marshal(codeValue{RedirectURI: a.RedirectURI, Challenge: a.Challenge, Nonce: a.Nonce, Login: tokens.Value{
		AuthTime: a.Session.AuthTime.Unix(), ACR: a.Session.ACR, AMR: strings.Fields(a.Session.AMR), SessionID: a.Session.ID,
	}})
	if err != nil {
		return "", fmt.Errorf("grants: %w", err)
	}
	row.Value = key.Seal(purposeCode, string(row.Hash), plain)

	var consent *storage.Consent
	if a.Consent {
		consent = &storage.Consent{Tenant: grant.Tenant, Subject: grant.Subject, ClientID: grant.ClientID, Scope: grant.Scope, At: now}
	}
	if err := s.Store.CreateGrantWithCode(ctx, grant, row, consent); errors.Is(err, storage.ErrEnded) {
		return "", oauth.Errorf(oauth.LoginRequired, "the session ended meanwhile; log in again")
	} else if err != nil {
		return "", fmt.Errorf("grants: begin: %w", err)
	}
	return code, nil
}

// end is when the grant ends, however often it is refreshed. One that is refreshed ends with the login it came from, unless
// it is meant to outlive it; it always lasts for one access token.
func (a Authorization) end(now time.Time, codeAge time.Duration, offline bool) time.Time {
	end := now.Add(codeAge + a.Client.Policy.AccessToken)
	if !mayRefresh(a.Client, offline) {
		return end
	}
	last := now.Add(a.Client.Policy.RefreshAbsolute)
	if !offline {
		last = earlier(last, a.Session.ExpiresAt)
	}
	if last.After(end) {
		return last
	}
	return end
}

// check refuses an authorization that no request could have earned. The endpoint has checked all of it before; a mistake
// there must not become a grant.
func (a Authorization) check() error {
	switch {
	case a.Client.ID == "", a.Session.Tenant == "", a.Session.Subject == "", a.Session.ID == "":
		return fmt.Errorf("grants: an authorization needs a client and a session with tenant, id and subject")
	case a.RedirectURI == "":
		return fmt.Errorf("grants: an authorization needs the redirect URI of its request")
	case !ValidChallenge(a.Challenge):
		return fmt.Errorf("grants: an authorization needs a PKCE challenge of the method S256")
	case len(a.Scopes) == 0:
		return oauth.Errorf(oauth.InvalidScope, "no scope was allowed")
	}
	for _, scope := range a.Scopes {
		if !slices.Contains(a.Client.Scopes, scope) {
			return oauth.Errorf(oauth.InvalidScope, "the client is not registered for the scope %s", scope)
		}
	}
	return nil
}

// newID makes an id that is never used again: 128 random bits and a little more.
func newID() string { return rand.Text() }

// newCode makes a code of 256 random bits.
func newCode() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(secret[:])
}
