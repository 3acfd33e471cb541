// Package exchange gives a service the token with which it calls the next service on behalf of the user who called it
// (RFC 8693): it exchanges the JWT that the service received, and keeps what it got until shortly before its end.
//
// What is kept goes by the received token's jti, so one user's never answers another's call. It is kept for a minute at
// most, as long as the issuer lets it live; the service asks for it only once it has verified the received token.
package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/phantomgate/phantomgate/apiguard"
)

// ErrRefused says that the issuer does not take the received token any more: it was revoked or has ended.
var ErrRefused = errors.New("exchange: the issuer no longer takes the token that was received")

const (
	grantType = "urn:ietf:params:oauth:grant-type:token-exchange"
	tokenType = "urn:ietf:params:oauth:token-type:access_token"

	margin     = 5 * time.Second // before its end, a token is not used any more: it must outlive the call
	maxAnswer  = 64 << 10
	maxEntries = 10_000
)

// Config says who exchanges, and for what.
type Config struct {
	TokenURL     string
	ClientID     string
	ClientSecret string
	Audience     string // of the service that is called
	Scope        string
	HTTP         *http.Client     // nil: one with a timeout of 5 seconds
	Now          func() time.Time // nil: time.Now
}

// Client exchanges tokens for one audience. It is safe for concurrent use.
type Client struct {
	cfg Config

	mu   sync.Mutex
	kept map[string]kept // by the received token's jti
}

type kept struct {
	token   string
	expires time.Time // to use it until; already shortened by the margin
}

// New checks that nothing is missing.
func New(cfg Config) (*Client, error) {
	if cfg.TokenURL == "" || cfg.ClientID == "" || cfg.ClientSecret == "" || cfg.Audience == "" || cfg.Scope == "" {
		return nil, errors.New("exchange: TokenURL, ClientID, ClientSecret, Audience and Scope are needed")
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 5 * time.Second}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, kept: map[string]kept{}}, nil
}

// Token gives the token for the next service, for a request that a Guard has let through. It fails with ErrRefused when the
// issuer no longer takes what was received; any other error means that it could not be found out.
func (c *Client) Token(r *http.Request) (string, error) {
	claims, ok := apiguard.FromContext(r.Context())
	if !ok {
		return "", errors.New("exchange: the request is not behind a guard")
	}
	if token, ok := c.find(claims.ID); ok {
		return token, nil
	}
	_, received, _ := strings.Cut(r.Header.Get("Authorization"), " ") // the guard has verified that there is one
	token, life, err := c.exchange(r.Context(), strings.TrimLeft(received, " "))
	if err != nil {
		return "", err
	}
	expires := c.cfg.Now().Add(life)
	if claims.Expires.Before(expires) { // an issuer whose answer outlives what was received is not believed
		expires = claims.Expires
	}
	c.keep(claims.ID, kept{token, expires.Add(-margin)})
	return token, nil
}

// Forget drops what is kept for a request, for when the next service refuses it.
func (c *Client) Forget(r *http.Request) {
	if claims, ok := apiguard.FromContext(r.Context()); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.kept, claims.ID)
	}
}

func (c *Client) find(jti string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.kept[jti]
	return found.token, ok && c.cfg.Now().Before(found.expires)
}

// keep makes room, when there is none, by dropping what has ended and, if that is nothing, all of it: it comes again.
func (c *Client) keep(jti string, k kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	if len(c.kept) >= maxEntries {
		for id, old := range c.kept {
			if !now.Before(old.expires) {
				delete(c.kept, id)
			}
		}
	}
	if len(c.kept) >= maxEntries {
		clear(c.kept)
	}
	if now.Before(k.expires) {
		c.kept[jti] = k
	}
}

// exchange asks the issuer, and gives the token and how long it lives.
func (c *Client) exchange(ctx context.Context, received string) (string, time.Duration, error) {
	form := url.Values{
		"grant_type": {grantType}, "subject_token": {received}, "subject_token_type": {tokenType},
		"audience": {c.cfg.Audience}, "scope": {c.cfg.Scope},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, fmt.Errorf("exchange: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(c.cfg.ClientID), url.QueryEscape(c.cfg.ClientSecret))
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return "", 0, fmt.Errorf("exchange: the issuer does not answer: %w", err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token     string `json:"access_token"`
		Issued    string `json:"issued_token_type"`
		Type      string `json:"token_type"`
		ExpiresIn int64  `json:"expires_in"`
		Error     string `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return "", 0, fmt.Errorf("exchange: the issuer's answer, status %d, is not JSON", resp.StatusCode)
	}
	switch {
	case resp.StatusCode == http.StatusBadRequest && answer.Error == "invalid_request": // RFC 8693, 2.2.2
		return "", 0, ErrRefused
	case resp.StatusCode != http.StatusOK:
		return "", 0, fmt.Errorf("exchange: the issuer answered %d %.40q", resp.StatusCode, answer.Error)
	case answer.Token == "" || answer.Issued != tokenType || !strings.EqualFold(answer.Type, "Bearer") || answer.ExpiresIn <= 0:
		return "", 0, errors.New("exchange: the issuer's answer lacks a bearer token of the type that was asked for, or its life")
	}
	return answer.Token, time.Duration(answer.ExpiresIn) * time.Second, nil
}
