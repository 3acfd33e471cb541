package phantomtoken

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// introspection asks the issuer for the JWT behind a reference, in the issuer's own dialect.
type introspection struct {
	endpoint      string
	authorization string // empty when the credentials are in the form
	credentials   string // the end of the form
	dialect       dialect
	followed      bool // by a feed
	client        *http.Client
}

// answer is what the issuer said about a live token.
type answer struct {
	jwt string // not verified yet
	// maxAge is how long the answer may be kept, if limited is set.
	maxAge  time.Duration
	limited bool
	// revocation is what a revocation of the token is known by.
	revocation revocation
}

// mostAnswer bounds the issuer's answers. Servers take header lines of far less.
const mostAnswer = 64 << 10

// mostRetryAfter bounds what we believe of an issuer's Retry-After.
const mostRetryAfter = time.Minute

// newClient makes the client for the issuer. It follows no redirect: a secret is sent to the configured address only.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    defaultMaxInFlight,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    5 * time.Second,
			MaxResponseHeaderBytes: mostAnswer,
		}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func newIntrospection(cfg Config, client *http.Client) (*introspection, error) {
	dialect, err := cfg.Answer.dialect()
	if err != nil {
		return nil, err
	}
	i := &introspection{endpoint: cfg.IntrospectionEndpoint, dialect: dialect, followed: cfg.Feed != nil && !cfg.Feed.Foreign(), client: client}
	switch cfg.ClientAuth {
	case "", ClientAuthBasic:
		// RFC 6749 section 2.3.1: both are form-encoded before they are joined.
		credentials := url.QueryEscape(cfg.ClientID) + ":" + url.QueryEscape(cfg.ClientSecret)
		i.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
	case ClientAuthPost:
		i.credentials = "&" + url.Values{"client_id": {cfg.ClientID}, "client_secret": {cfg.ClientSecret}}.Encode()
	default:
		return nil, fmt.Errorf("ClientAuth %q is not known", string(cfg.ClientAuth))
	}
	return i, nil
}

// ask asks for reference narrowed to ask. The JWT of the answer still has to be verified.
func (i *introspection) ask(ctx context.Context, reference string, ask *Ask) (answer, error) {
	form := i.dialect.parameter + "=" + url.QueryEscape(reference) + ask.form + i.credentials
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.endpoint, strings.NewReader(form))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", i.dialect.accept)
	if i.authorization != "" {
		req.Header.Set("Authorization", i.authorization)
	}
	// Asking twice does no harm. This entry is not sent; it lets the transport ask again on a new connection when the
	// issuer has just closed an idle one.
	req.Header["Idempotency-Key"] = nil
	resp, err := i.client.Do(req)
	if err != nil {
		return answer{}, connectionError(ctx, err)
	}
	defer resp.Body.Close()
	body, err := readBounded(ctx, resp.Body, mostAnswer)
	if err != nil {
		return answer{}, err
	}
	found, err := i.dialect.readAnswer(resp, body)
	if err == nil && i.followed {
		found.revocation = readRevocation(resp.Header)
	}
	return found, err
}

func (d dialect) readAnswer(resp *http.Response, body []byte) (answer, error) {
	switch {
	case resp.StatusCode == http.StatusOK:
		return d.read(resp, body)
	case resp.StatusCode == http.StatusNoContent && d.noContent:
		return answer{}, ErrInactive
	case resp.StatusCode == http.StatusUnauthorized:
		return answer{}, fmt.Errorf("%w: it refuses this gateway's client id or secret", ErrIssuer)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		reason := fmt.Sprintf("the issuer answered %d", resp.StatusCode)
		return answer{}, &UnavailableError{retryAfter(resp.Header.Get("Retry-After")), reason}
	}
	code := errorCode(body)
	if err := d.refused(resp.StatusCode, code); err != nil {
		return answer{}, err
	}
	return answer{}, fmt.Errorf("%w: status %d %q", ErrIssuer, resp.StatusCode, code)
}

// errorCode returns the "error" member of an OAuth error, if it looks like a code at all.
func errorCode(body []byte) string {
	var problem struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &problem) != nil || len(problem.Error) > 64 {
		return ""
	}
	for _, c := range problem.Error {
		if (c < 'a' || c > 'z') && c != '_' {
			return "" // not a code: it could hold anything, and would be logged
		}
	}
	return problem.Error
}

// readBounded reads body, at most limit bytes of it; a longer one is an error.
func readBounded(ctx context.Context, body io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, connectionError(ctx, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrIssuer, limit)
	}
	return data, nil
}

// connectionError tells apart what went wrong on the way. The error of net/http names the address, which holds no
// secret.
func connectionError(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("given up: %w", context.Canceled)
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: %v", ErrTimeout, err)
	}
	return &UnavailableError{time.Second, err.Error()}
}

// retryAfter reads seconds (RFC 9110 section 10.2.3). Dates and nonsense count as a second.
func retryAfter(value string) time.Duration {
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 1 {
		return time.Second
	}
	return min(time.Duration(min(seconds, 3600))*time.Second, mostRetryAfter)
}

// cacheLifetime reads Cache-Control (RFC 9111 section 5.2.2) as a private cache does: how long the answer may be kept,
// if it says so. What it forbids, or says in a way that cannot be read, is not kept at all.
func cacheLifetime(values []string) (maxAge time.Duration, limited bool) {
	for directive := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0, true
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return 0, true
			}
			age := time.Duration(seconds) * time.Second
			if !limited || age < maxAge {
				maxAge, limited = age, true
			}
		}
	}
	return maxAge, limited
}
