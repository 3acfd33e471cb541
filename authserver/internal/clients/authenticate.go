package clients

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// errInvalidClient is the one answer to every failure: which part was wrong helps only those who guess.
func errInvalidClient() error {
	return oauth.Errorf(oauth.InvalidClient,
		"client authentication failed; use client_secret_basic or client_secret_post, not both, or client_id alone for a public client")
}

// Authenticate tells which client sent the request (RFC 6749, 2.3.1): by its secret in a Basic Authorization header or
// in the form, or, for a public client only, by its id alone. A public client's name is no proof of who is asking.
//
// The form is the request's body as wire.Form read it. Any failure is one and the same oauth.InvalidClient.
func (r *Registry) Authenticate(req *http.Request, form url.Values) (config.Client, error) {
	id, secret, ok := credentials(req, form)
	if !ok {
		return config.Client{}, errInvalidClient()
	}
	client, known := r.Find(r.tenant, id)
	if known && client.Public {
		if secret != "" || req.Header.Get("Authorization") != "" {
			return config.Client{}, errInvalidClient()
		}
		return client, nil
	}
	// An unknown client costs the same hash and comparison. SHA-256 is enough: a client's secret is generated, so there
	// is nothing to guess (what a person chose gets a slow hash).
	given, want := sha256.Sum256([]byte(secret)), client.Secret.Hash()
	same := subtle.ConstantTimeCompare(given[:], want[:]) == 1
	if !same || !known || secret == "" {
		return config.Client{}, errInvalidClient()
	}
	return client, nil
}

// credentials finds the id and secret, sent in exactly one way. A client_id in the form beside the header must agree.
func credentials(req *http.Request, form url.Values) (id, secret string, ok bool) {
	switch headers := req.Header.Values("Authorization"); len(headers) {
	case 0:
		id = form.Get("client_id")
		return id, form.Get("client_secret"), id != "" && len(form["client_id"]) == 1 && len(form["client_secret"]) <= 1
	case 1:
		id, secret, ok = basic(req)
		_, both := form["client_secret"]
		other, named := form["client_id"]
		return id, secret, ok && !both && (!named || len(other) == 1 && other[0] == id)
	default:
		return "", "", false
	}
}

// basic reads the header, whose two halves are form-encoded before they are joined, so that they may hold a colon. A
// client that does not encode gets away with it while its secret has no + and no %.
func basic(req *http.Request) (id, secret string, ok bool) {
	id, secret, ok = req.BasicAuth()
	if !ok {
		return "", "", false
	}
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	return id, secret, errID == nil && errSecret == nil && id != ""
}
