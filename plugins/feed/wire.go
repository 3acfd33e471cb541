package feed

import (
	"bytes"
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
	"time"
)

const (
	eventRevoked      = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	eventVerification = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	eventReset        = "https://phantomgate.dev/secevent/event-type/reset"

	pollDelivery = "urn:ietf:rfc:8936"
	// mostEvents is how many events one answer may have.
	mostEvents = 1000
	// mostBody bounds an answer: a thousand events have a fourth of it.
	mostBody = 4 << 20
	// endTimeout is how long Close waits for the stream to be ended.
	endTimeout = time.Second
	// mostStreamID bounds the name of a stream, which becomes a part of every address.
	mostStreamID = 256
)

// errNoStream: the issuer does not know the stream any more.
var errNoStream = errors.New("the issuer does not know this stream any more")

// errTooLong: an answer has more than mostBody.
var errTooLong = fmt.Errorf("the issuer's answer is longer than %d bytes", mostBody)

// laterError says that the issuer cannot tell now, and when to ask again.
type laterError struct {
	status     int
	retryAfter time.Duration
}

func (e *laterError) Error() string { return fmt.Sprintf("the issuer answered %d", e.status) }

// newClient makes the client for the issuer. It follows no redirect: a secret is sent to the configured address only.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:   true,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 5 * time.Second,
		}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// basic is HTTP Basic as OAuth has it (RFC 6749 section 2.3.1): both are form-encoded before they are joined.
func basic(id, secret string) string {
	credentials := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

// create makes the stream.
func (f *Feed) create() error {
	asked := newStream{delivery{Method: pollDelivery}, []string{eventRevoked, eventVerification, eventReset}, f.cfg.Description}
	var made struct {
		ID string `json:"stream_id"`
	}
	ctx, cancel := f.making()
	defer cancel()
	status, err := f.ask(ctx, f.cfg.PollTimeout, http.MethodPost, f.cfg.Endpoint, asked, &made)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return fmt.Errorf("there is no feed at %s; an issuer that has none is configured so (issuer.noFeed)", f.cfg.Endpoint)
	case status != http.StatusCreated:
		return fmt.Errorf("making a stream was answered %d", status)
	case made.ID == "" || len(made.ID) > mostStreamID:
		return errors.New("the new stream has no usable stream_id")
	}
	f.stream = stream{id: made.ID, failed: f.failed}
	return nil
}

// making is the context in which a stream is made. Who is stopped now still hears the answer, if it comes soon: else a stream
// would be left that nobody knows.
func (f *Feed) making() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.ctx))
	stop := context.AfterFunc(f.ctx, func() { time.AfterFunc(endTimeout, cancel) })
	return ctx, func() { stop(); cancel() }
}

// end ends the stream at the issuer. An issuer that does not hear of it removes the stream after a while.
func (f *Feed) end() {
	if f.id != "" {
		f.endStream(f.id)
	}
}

func (f *Feed) endStream(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	end := func() error {
		if f.cfg.Foreign != nil && f.authorization == "" {
			if err := f.login(ctx, endTimeout); err != nil {
				return err
			}
		}
		_, err := f.ask(ctx, endTimeout, http.MethodDelete, f.cfg.Endpoint+"?stream_id="+url.QueryEscape(id), nil, nil)
		return err
	}
	err := end()
	if err != nil && f.authorization == "" { // its token has ended
		err = end()
	}
	if err != nil {
		f.cfg.Logger.Info("the revocation feed's stream was not ended at the issuer", "error", err)
	}
}

// request is one poll (RFC 8936 section 2.4).
type request struct {
	MaxEvents         int              `json:"maxEvents"`
	ReturnImmediately bool             `json:"returnImmediately"`
	Position          string           `json:"position,omitempty"` // epoch.sequence of all that was dealt with
	Ack               []string         `json:"ack,omitempty"`
	SetErrs           map[string]fault `json:"setErrs,omitempty"`
}

// fault says what is wrong with an event (RFC 8935 section 2.4).
type fault struct {
	Err         string `json:"err"`
	Description string `json:"description"`
}

// answer is what a poll is told. Everything but moreAvailable and skipped must be there.
type answer struct {
	Sets          map[string]string `json:"sets"`
	Skipped       []uint64          `json:"skipped,omitempty"`
	MoreAvailable bool              `json:"moreAvailable"`
	Epoch         string            `json:"epoch"`
	From          *uint64           `json:"from"`
	To            *uint64           `json:"to"`
}

func (a answer) check() error {
	switch {
	case a.Sets == nil || a.From == nil || a.To == nil:
		return errors.New("a poll's answer lacks sets, from or to")
	case !isEpoch(a.Epoch) || *a.From > *a.To:
		return errors.New("a poll's answer has no usable epoch, from and to")
	}
	return nil
}

// poll asks once what there is to hear. pause is how long to wait before the next one, mostly not at all.
func (f *Feed) poll() (pause time.Duration, err error) {
	// After a failure, and at first, it matters to know soon how things stand.
	immediately := !f.placed || f.failed > 0
	before, sent := f.applied, f.cfg.Now()
	var a answer
	asked := request{MaxEvents: mostEvents, ReturnImmediately: immediately, Position: f.position(), Ack: f.acks, SetErrs: f.errs}
	status, err := f.ask(f.ctx, f.cfg.PollTimeout, http.MethodPost, f.cfg.Endpoint+"/"+url.PathEscape(f.id)+"/poll", asked, &a)
	switch {
	case err != nil:
		return 0, err
	case status == http.StatusNotFound:
		return 0, errNoStream
	case status != http.StatusOK:
		return 0, fmt.Errorf("a poll was answered %d", status)
	}
	if err := a.check(); err != nil {
		return 0, err
	}
	f.acks, f.errs = nil, nil
	if err := f.take(f.ctx, a); err != nil {
		return 0, err
	}
	if !a.MoreAvailable { // or else there is more to hear before everything is known that had been revoked
		f.state.Heard(sent)
	}
	if f.applied == before && !immediately && f.cfg.Now().Sub(sent) < hastyPause {
		return hastyPause, nil
	}
	return 0, nil
}

// position is what the feed has dealt with; "" before the stream's first answer.
func (f *Feed) position() string {
	if !f.placed {
		return ""
	}
	return f.epoch + "." + strconv.FormatUint(f.applied, 10)
}

// ask sends one request with a JSON body, if any, and reads a JSON answer into out when there is one of status 200 or
// 201. 401, 403, 429 and 5xx are errors.
func (f *Feed) ask(ctx context.Context, timeout time.Duration, method, address string, in, out any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := f.request(ctx, method, address, in)
	if err != nil {
		return 0, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, mostBody+1))
	switch {
	case err != nil:
		return 0, err
	case len(data) > mostBody:
		return 0, errTooLong
	case f.cfg.Foreign != nil && resp.StatusCode == http.StatusUnauthorized:
		f.authorization = "" // the next step gets another token
		return 0, errors.New("the transmitter answered 401: the token for the feed has ended, or is not accepted")
	case f.cfg.Foreign != nil && resp.StatusCode == http.StatusForbidden:
		return 0, errors.New("the transmitter answered 403: it does not let this gateway hear its feed; check issuer.feedScope")
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return 0, fmt.Errorf("the issuer answered %d: it does not let this gateway hear the feed; check its client id and secret, and that it may introspect", resp.StatusCode)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return 0, &laterError{resp.StatusCode, retryAfter(resp)}
	case out != nil && (resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated):
		if err := json.Unmarshal(data, out); err != nil {
			return 0, errors.New("the issuer's answer is not the JSON that was expected")
		}
	}
	return resp.StatusCode, nil
}

// retryAfter is how long the answer asks to wait.
func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0 // a date, or nonsense: the pause will do
	}
	return time.Duration(seconds) * time.Second
}

func (f *Feed) request(ctx context.Context, method, address string, in any) (*http.Request, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", f.authorization)
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	// Asking twice does no harm. This entry is not sent; it lets the transport ask again on a new connection when the
	// issuer has just closed an idle one.
	req.Header["Idempotency-Key"] = nil
	return req, nil
}
