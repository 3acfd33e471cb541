package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	// patience is for one request: the issuer gives up its answer after 30 seconds.
	patience = 35 * time.Second
	// maxAnswer is the longest answer that is read, in bytes.
	maxAnswer = 16 << 20
)

// client calls the admin API. It gets itself a bearer token, and another one when that has ended.
type client struct {
	issuer, admin string
	as            account
	http          *http.Client
	pause         func(ctx context.Context, d time.Duration) error
	tell          func(format string, args ...any)

	token         string // empty: none yet, or it has ended
	tokenEndpoint string
}

func (p program) client(s *settings) (*client, error) {
	issuer, admin, as, err := s.resolve(p.getenv)
	if err != nil {
		return nil, err
	}
	transport, err := s.transport()
	if err != nil {
		return nil, err
	}
	return &client{
		issuer: issuer, admin: admin, as: as, pause: p.pause,
		http: &http.Client{
			Timeout:   patience,
			Transport: transport,
			// Nothing here redirects: whoever does would be sent a token or a secret.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		tell: func(format string, args ...any) { fmt.Fprintf(p.err, format+"\n", args...) },
	}, nil
}

// question is one request to the admin API.
type question struct {
	method, path string
	body         any    // nil: none
	key          string // the Idempotency-Key; empty: none
}

// refusal is an answer that is not what was asked for.
type refusal struct {
	status     int
	text       string // what the other side says about it
	retryAfter time.Duration
}

func (r *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("answered %d %s: %s", r.status, http.StatusText(r.status), r.text))
}

// unanswered says that no answer came: what was asked may have been done.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

// ask asks again for as long as it may help, which what is asked must bear.
func (c *client) ask(ctx context.Context, q question, into any) error {
	return c.retry(ctx, brief, func() error { return c.once(ctx, q, into) })
}

// once asks once; and once more, with a new token, when the one it had has ended: that request was not carried out.
func (c *client) once(ctx context.Context, q question, into any) error {
	fresh := c.token == ""
	for {
		if c.token == "" {
			if err := c.login(ctx); err != nil {
				return err
			}
		}
		err := c.send(ctx, q, into)
		var refused *refusal
		if !errors.As(err, &refused) {
			return err
		}
		if refused.status == http.StatusForbidden {
			return fmt.Errorf("%s: %w; give the client %s the scope admin in the issuer's config", q.path, err, c.as.id)
		}
		if refused.status != http.StatusUnauthorized || fresh {
			return fmt.Errorf("%s: %w", q.path, err)
		}
		c.token, fresh = "", true
	}
}

func (c *client) send(ctx context.Context, q question, into any) error {
	var body io.Reader
	if q.body != nil {
		data, err := json.Marshal(q.body)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, q.method, c.admin+q.path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	if q.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if q.key != "" {
		request.Header.Set("Idempotency-Key", q.key)
	}
	return c.do(request, into)
}

// login gets a token by client credentials, for this one scope.
func (c *client) login(ctx context.Context) error {
	if err := c.discover(ctx); err != nil {
		return err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"admin"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.tokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(c.as.id), url.QueryEscape(c.as.secret)) // RFC 6749, 2.3.1
	var answer struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
	}
	err = c.do(request, &answer)
	var refused *refusal
	switch {
	case errors.As(err, &refused) && refused.status == http.StatusUnauthorized:
		return fmt.Errorf("the issuer does not accept the client %s with this secret: %w; look at --as and --secret-file (or %s)", c.as.id, err, envSecret)
	case err != nil:
		return fmt.Errorf("no token: %w", err)
	case answer.Token == "" || !strings.EqualFold(answer.Type, "Bearer"):
		return fmt.Errorf("no token: %s answers without a bearer token; is --issuer right?", c.tokenEndpoint)
	}
	c.token = answer.Token
	return nil
}

// discover finds out where tokens are given. The answer is about the issuer that was named, or it is not used.
func (c *client) discover(ctx context.Context) error {
	if c.tokenEndpoint != "" {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.issuer+"/.well-known/oauth-authorization-server", nil)
	if err != nil {
		return err
	}
	var answer struct {
		Issuer        string `json:"issuer"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := c.do(request, &answer); err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	if answer.Issuer != c.issuer {
		return fmt.Errorf("discovery: %s calls itself %q; give --issuer its public name", c.issuer, clean(answer.Issuer))
	}
	endpoint, err := url.Parse(answer.TokenEndpoint)
	if err != nil || endpoint.Host == "" {
		return fmt.Errorf("discovery: %s names no token endpoint; is --issuer right?", c.issuer)
	}
	if err := safe(endpoint); err != nil {
		return fmt.Errorf("discovery: the token endpoint: %w", err)
	}
	c.tokenEndpoint = endpoint.String()
	return nil
}

// do sends a request and reads its answer, which is JSON of at most maxAnswer bytes.
func (c *client) do(request *http.Request, into any) error {
	response, err := c.http.Do(request)
	if untrusted(err) {
		return fmt.Errorf("%w; if a private CA has signed it, name that CA's file with --ca", err)
	}
	if err != nil {
		return unanswered{err}
	}
	defer func() { _ = response.Body.Close() }() // nothing was written that closing could lose
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return unanswered{fmt.Errorf("the answer broke off: %w", err)}
	}
	if response.StatusCode != http.StatusOK {
		return refused(response, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return errors.New("the answer is not the JSON that is expected; do --issuer and --admin lead to a phantomgate issuer?")
	}
	return nil
}

// refused reads problem details (RFC 9457), or an error of RFC 6749. Whatever else came is not repeated: a stranger between
// us and the issuer may have put into it what we sent.
func refused(response *http.Response, body []byte) error {
	var told struct {
		Detail      string `json:"detail"`
		Description string `json:"error_description"`
		Code        string `json:"error"`
		RequestID   string `json:"request_id"`
	}
	if err := json.Unmarshal(body, &told); err != nil {
		told.Detail = "not by an issuer, it seems"
	}
	text := clean(told.Detail + told.Description)
	if told.Code != "" {
		text = clean(told.Code) + ": " + text
	}
	if told.RequestID != "" {
		text += " (request id " + clean(told.RequestID) + ")"
	}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		seconds = 0
	}
	return &refusal{status: response.StatusCode, text: text, retryAfter: time.Duration(seconds) * time.Second}
}

// clean keeps what others wrote from moving the terminal's cursor.
func clean(s string) string {
	return mask(strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, s))
}
