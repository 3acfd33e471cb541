// Package loopback logs a person in the way an app on their own machine does (RFC 8252 section 7.3): it listens on a
// loopback port of its own, sends the browser to the issuer with PKCE (RFC 7636), waits for it to come back with a code,
// and redeems that. The demo's login command and the end-to-end tests share it.
package loopback

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
)

// maxMetadataBytes bounds the issuer's metadata document.
const maxMetadataBytes = 1 << 20

// Client is an app that logs people in.
type Client struct {
	Issuer string
	ID     string
	Secret string // empty for a public client
	Scopes []string
	HTTP   *http.Client
}

// metadata is what is read of RFC 8414's document.
type metadata struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
}

// Login takes a person through the issuer's pages: browse is called with the address to open, and may return before the
// person is done. It answers what the issuer's token endpoint answered.
func (c Client) Login(ctx context.Context, browse func(address string) error) (*oauth2.Token, error) {
	endpoints, err := c.discover(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the browser's return: %w", err)
	}
	config := oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, Scopes: c.Scopes, RedirectURL: "http://" + listener.Addr().String() + "/callback",
		Endpoint: oauth2.Endpoint{AuthURL: endpoints.AuthorizationEndpoint, TokenURL: endpoints.TokenEndpoint, AuthStyle: oauth2.AuthStyleInHeader},
	}
	if c.Secret == "" {
		config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	returned, stop := receive(listener, state)
	defer stop()
	if err := browse(config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the browser's return: %w", context.Cause(ctx))
	case answer := <-returned:
		code, err := c.check(answer)
		if err != nil {
			return nil, err
		}
		return config.Exchange(context.WithValue(ctx, oauth2.HTTPClient, c.HTTP), code, oauth2.VerifierOption(verifier))
	}
}

// discover reads the issuer's metadata (RFC 8414), which must be about that issuer (section 3.3).
func (c Client) discover(ctx context.Context) (metadata, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Issuer+"/.well-known/oauth-authorization-server", nil)
	if err != nil {
		return metadata{}, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return metadata{}, fmt.Errorf("asking the issuer for its endpoints: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written that closing could lose
	var m metadata
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxMetadataBytes)).Decode(&m); err != nil || resp.StatusCode != http.StatusOK {
		return metadata{}, fmt.Errorf("the issuer's metadata cannot be read (%s): %w", resp.Status, err)
	}
	if m.Issuer != c.Issuer {
		return metadata{}, fmt.Errorf("the metadata is of %q, not of %q", m.Issuer, c.Issuer)
	}
	return m, nil
}

// receive serves the redirect URI. The first request to it with our state is the answer; any other, which whatever runs on
// this machine may send, is turned away and changes nothing. stop ends it.
func receive(listener net.Listener, state string) (<-chan url.Values, func()) {
	answers := make(chan url.Values, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("state")), []byte(state)) != 1 {
			http.Error(w, "This is not the answer to a login that was begun here.", http.StatusBadRequest)
			return
		}
		select {
		case answers <- r.URL.Query():
		default: // it has come before
		}
		// The code is in this page's address: nothing else may learn it.
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, "Done. You can close this page and go back to the terminal.\n")
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }() // ends when stop closes it
	return answers, func() {
		// Graceful, so that the browser gets its page, but not for longer than that takes.
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	}
}

// check reads the authorization response, which must come from our issuer (RFC 9207).
func (c Client) check(answer url.Values) (string, error) {
	if iss := answer.Get("iss"); iss != c.Issuer {
		return "", fmt.Errorf("the answer comes from %q, not from %q", iss, c.Issuer)
	}
	if code := answer.Get("error"); code != "" {
		return "", fmt.Errorf("the issuer refused: %s (%s)", code, answer.Get("error_description"))
	}
	if answer.Get("code") == "" {
		return "", errors.New("the answer carries no code")
	}
	return answer.Get("code"), nil
}
