package tokenhandler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// issuerClient asks the issuer in the app's name.
type issuerClient struct {
	cfg    Config
	client *http.Client
}

// maxIssuerBody bounds what is read of an issuer's answer. Nothing larger fits into cookies.
const maxIssuerBody = 64 << 10

// newIssuerClient follows no redirect and uses no proxy: a secret goes where the configuration says, and nowhere else.
func newIssuerClient(cfg Config, transport http.RoundTripper) *issuerClient {
	if transport == nil {
		transport = &http.Transport{
			MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: cfg.Timeout, MaxResponseHeaderBytes: maxIssuerBody,
		}
	}
	return &issuerClient{cfg: cfg, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// tokens is the token endpoint's answer (RFC 6749 section 5.1).
type tokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
}

func (c *issuerClient) redeem(ctx context.Context, code, verifier string) (tokens, error) {
	return c.tokens(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.cfg.RedirectURI}, "code_verifier": {verifier},
	})
}

func (c *issuerClient) refresh(ctx context.Context, reference string) (tokens, error) {
	return c.tokens(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {reference}})
}

func (c *issuerClient) tokens(ctx context.Context, form url.Values) (t tokens, err error) {
	body, err := c.post(ctx, c.cfg.TokenEndpoint, form)
	if err != nil {
		return tokens{}, err
	}
	if err := json.Unmarshal(body, &t); err != nil {
		return tokens{}, fmt.Errorf("%w: the token endpoint's answer is not the JSON of RFC 6749", errIssuer)
	}
	const longest = 10 * 365 * 24 * 60 * 60 // keeps the arithmetic in range
	if t.AccessToken == "" || !strings.EqualFold(t.TokenType, "Bearer") || t.ExpiresIn <= 0 || t.ExpiresIn > longest {
		return tokens{}, fmt.Errorf("%w: it lacks access_token, token_type Bearer or expires_in", errIssuer)
	}
	return t, nil
}

// revoke ends the grant that a refresh reference belongs to (RFC 7009).
func (c *issuerClient) revoke(ctx context.Context, refresh string) error {
	_, err := c.post(ctx, c.cfg.RevocationEndpoint, url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}})
	return err
}

// post sends a form with the app's credentials and returns the body of a 200.
func (c *issuerClient) post(ctx context.Context, endpoint string, form url.Values) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errIssuer, "its address cannot be used")
	}
	// RFC 6749 section 2.3.1: both are form-encoded first.
	r.SetBasicAuth(url.QueryEscape(c.cfg.ClientID), url.QueryEscape(c.cfg.ClientSecret))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _, body, err := c.send(r)
	if err != nil {
		return nil, err
	}
	return body, outcome(status, body)
}

// userInfo asks who is behind an access reference (OpenID Connect Core section 5.3).
func (c *issuerClient) userInfo(ctx context.Context, reference string) (json.RawMessage, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.UserInfoEndpoint, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errIssuer, "its address cannot be used")
	}
	r.Header.Set("Authorization", "Bearer "+reference)
	status, media, body, err := c.send(r)
	var members map[string]json.RawMessage
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusUnauthorized:
		return nil, unauthorizedRequest()
	case status != http.StatusOK:
		return nil, outcome(status, body)
	case media != "application/json" || json.Unmarshal(body, &members) != nil:
		return nil, fmt.Errorf("%w: userinfo is not a JSON object", errIssuer)
	}
	return body, nil
}

func (c *issuerClient) send(r *http.Request) (status int, media string, body []byte, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), c.cfg.Timeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.Header.Set("Accept", "application/json")
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, "", nil, transportError(err)
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxIssuerBody+1))
	if err != nil {
		return 0, "", nil, transportError(err)
	}
	if len(body) > maxIssuerBody {
		return 0, "", nil, fmt.Errorf("%w: longer than %d bytes", errIssuer, maxIssuerBody)
	}
	media, _, _ = mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return answer.StatusCode, media, body, nil
}

// transportError keeps only what an operator may read: the error of net/http holds the address, which may be foreign.
func transportError(err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &timeout) && timeout.Timeout():
		return errTimeout
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("%w: %v", errUnavailable, err)
}

// outcome tells what an answer's status says (RFC 6749 section 5.2).
func outcome(status int, body []byte) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusTooManyRequests || status >= 500:
		return fmt.Errorf("%w: it answered %d", errUnavailable, status)
	}
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &said) // without a code the status must do
	if status == http.StatusBadRequest && said.Error == "invalid_grant" {
		return errInvalidGrant
	}
	return fmt.Errorf("%w: it answered %d %s", errIssuer, status, errorCode(said.Error))
}

// errorCode returns code if it is one (RFC 6749 section 5.2), short enough to be shown; else "".
func errorCode(code string) string {
	if len(code) > 64 {
		return ""
	}
	for i := range len(code) {
		if c := code[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return ""
		}
	}
	return code
}
