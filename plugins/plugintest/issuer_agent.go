package plugintest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// agentSide is what an Issuer keeps for the OAuth agent: codes on their way,
// and refresh references with whether they live. i.mu guards it.
type agentSide struct {
	codes   map[string]loginRequest
	refresh map[string]bool
	// lifetime is that of access tokens, in seconds.
	lifetime int
	// failure, when set, is the token endpoint's whole answer: a status and
	// an error code.
	failure struct {
		status int
		code   string
	}
}

// loginRequest is what an authorization request asked for.
type loginRequest struct{ nonce, challenge string }

const agentSecret = "canary-agent-secret-&+%"

// Authorize plays browser and user at the authorization endpoint: alice logs
// in. It returns the page that the issuer sends the browser to.
func (i *Issuer) Authorize(w *Walk, request string) (page string) {
	w.T.Helper()
	address, err := url.Parse(request)
	if err != nil {
		w.T.Fatalf("the authorization request is no address: %v", err)
	}
	q := address.Query()
	if address.Path != "/oauth/authorize" || q.Get("response_type") != "code" || q.Get("client_id") != "spa" ||
		q.Get("code_challenge_method") != "S256" || len(q.Get("state")) < 20 || len(q.Get("nonce")) < 20 {
		w.T.Fatalf("the authorization request lacks what it needs: %s", request)
	}
	code := "canary-code-&+" + rand.Text()
	i.mu.Lock()
	i.agent.codes[code] = loginRequest{q.Get("nonce"), q.Get("code_challenge")}
	i.mu.Unlock()
	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}
	return q.Get("redirect_uri") + "?" + answer.Encode()
}

// FailTokens has the token endpoint answer an error until status is 0.
func (i *Issuer) FailTokens(status int, code string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.agent.failure.status, i.agent.failure.code = status, code
}

// ShortTokens has access tokens live for seconds from now on.
func (i *Issuer) ShortTokens(seconds int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.agent.lifetime = seconds
}

// Sessions counts the refresh references that live.
func (i *Issuer) Sessions() (n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, alive := range i.agent.refresh {
		if alive {
			n++
		}
	}
	return n
}

// LogoutToken is the issuer's word that a session or a user's sessions ended
// (OpenID Connect Back-Channel Logout). Empty names are left out.
func (i *Issuer) LogoutToken(sid, sub string) string {
	claims := jwt.MapClaims{
		"iss": i.URL, "aud": "spa", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	if sid != "" {
		claims["sid"] = sid
	}
	if sub != "" {
		claims["sub"] = sub
	}
	return i.keys.sign(map[string]any{"typ": "logout+jwt", "alg": "ES256", "kid": i.keys.current().id}, claims)
}

func isAgent(r *http.Request) bool {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	return id == "spa" && subtle.ConstantTimeCompare([]byte(secret), []byte(agentSecret)) == 1
}

// token is the token endpoint. It rotates refresh references without a grace,
// so that one sent twice is seen.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	failure, lifetime := i.agent.failure, i.agent.lifetime
	i.mu.Unlock()
	switch {
	case r.ParseForm() != nil:
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	case failure.status != 0:
		oauthError(w, failure.status, failure.code)
		return
	case !isAgent(r):
		oauthError(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	nonce, ok := i.consume(r.PostForm)
	if !ok {
		oauthError(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	if lifetime == 0 {
		lifetime = 300
	}
	answer := map[string]any{
		"access_token": i.GrantScopes("eventcatalog.read", "eventcatalog.write"), "token_type": "Bearer", "expires_in": lifetime,
	}
	if nonce != "" {
		answer["id_token"] = i.keys.sign(map[string]any{"typ": "JWT", "alg": "ES256", "kid": i.keys.current().id}, jwt.MapClaims{
			"iss": i.URL, "sub": "alice-id", "aud": "spa", "nonce": nonce, "sid": "alice-session",
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		})
	}
	refresh := "canary-refresh-&+" + rand.Text()
	answer["refresh_token"] = refresh
	i.mu.Lock()
	i.agent.refresh[refresh] = true
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// consume takes a code, whose nonce it returns, or a refresh reference.
func (i *Issuer) consume(form url.Values) (nonce string, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if form.Get("grant_type") == "refresh_token" {
		refresh := form.Get("refresh_token")
		ok = i.agent.refresh[refresh]
		if _, known := i.agent.refresh[refresh]; known {
			i.agent.refresh[refresh] = false
		}
		return "", ok
	}
	code := form.Get("code")
	login, ok := i.agent.codes[code]
	i.agent.codes[code] = loginRequest{}
	challenge := sha256.Sum256([]byte(form.Get("code_verifier")))
	return login.nonce, ok && login.challenge == base64.RawURLEncoding.EncodeToString(challenge[:])
}

func (i *Issuer) revokeEndpoint(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil || !isAgent(r) {
		oauthError(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.agent.refresh[r.PostForm.Get("token")] = false
}

// agentSecrets are the agent's strings that must appear in no log. i.mu is
// held.
func (i *Issuer) agentSecrets() map[string][]string {
	all := map[string][]string{"agent secret": {agentSecret, url.QueryEscape(agentSecret)}}
	for code := range i.agent.codes {
		all["code"] = append(all["code"], code, url.QueryEscape(code))
	}
	for refresh := range i.agent.refresh {
		all["refresh reference"] = append(all["refresh reference"], refresh, url.QueryEscape(refresh))
	}
	for what, canaries := range all {
		all[what] = slices.DeleteFunc(canaries, func(s string) bool { return strings.TrimSpace(s) == "" })
	}
	return all
}
