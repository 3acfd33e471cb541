package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// scripted is an issuer without a network: the test takes each request as it comes, and says what to answer. What the
// feed did with an answer is done when its next request comes.
type scripted struct {
	t        *testing.T
	feed     *Feed
	requests chan *asked
	log      *lockedBuffer
	pauses   chan time.Duration // what the feed waited for
}

// asked is one request of the feed.
type asked struct {
	method, url, body, authorization string
	ctx                              context.Context
	reply                            chan *http.Response
}

const (
	testIssuer = "https://issuer.example"
	endpoint   = "http://127.0.0.1:1/ssf/streams"
)

// newScripted starts a feed over a scripted issuer.
func newScripted(t *testing.T, changes ...func(*Config)) *scripted {
	t.Helper()
	s := &scripted{t: t, requests: make(chan *asked), log: &lockedBuffer{}, pauses: make(chan time.Duration, 1000)}
	cfg := Config{
		Issuer: testIssuer, Endpoint: endpoint, ClientID: "gate way", ClientSecret: "canary:secret", Description: "replica-1",
		Verifier: plainEvents{}, Keep: time.Minute, PollTimeout: time.Minute, Transport: s,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)), Now: time.Now,
	}
	for _, change := range changes {
		change(&cfg)
	}
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.jitter = func() float64 { return 1 }
	f.after = func(d time.Duration) <-chan time.Time {
		s.pauses <- d
		ready := make(chan time.Time)
		close(ready)
		return ready
	}
	s.feed = f
	f.Start()
	t.Cleanup(func() {
		s.end()
		if text := s.log.String(); strings.Contains(text, "canary") || strings.Contains(text, "good:") {
			t.Errorf("a secret was logged:\n%s", text)
		}
	})
	return s
}

// end closes the feed, whose last request is not answered well.
func (s *scripted) end() {
	closed := make(chan struct{})
	go func() { s.feed.Close(); close(closed) }()
	for {
		select {
		case a := <-s.requests:
			a.reply <- respond(500, "")
		case <-closed:
			return
		}
	}
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	a := &asked{method: r.Method, url: r.URL.String(), authorization: r.Header.Get("Authorization"), ctx: r.Context(), reply: make(chan *http.Response, 1)}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		a.body = string(body)
	}
	select {
	case s.requests <- a:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	select {
	case resp := <-a.reply:
		if resp == nil {
			return nil, errors.New("connection reset")
		}
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// next returns the next request.
func (s *scripted) next() *asked {
	s.t.Helper()
	select {
	case a := <-s.requests:
		return a
	case <-time.After(20 * time.Second): // for a test that would hang
		s.t.Fatal("the feed asks nothing")
		return nil
	}
}

// created answers the making of a stream.
func (s *scripted) created(id string) {
	s.t.Helper()
	a := s.next()
	if a.method != "POST" || a.url != endpoint {
		s.t.Fatalf("%s %s, want a new stream", a.method, a.url)
	}
	a.reply <- respond(201, fmt.Sprintf(`{"stream_id":%q,"delivery":{"endpoint_url":"http://elsewhere.example/poll"}}`, id))
}

// polled takes the next poll, and returns what it asks.
func (s *scripted) polled() (*asked, request) {
	s.t.Helper()
	a := s.next()
	if a.method != "POST" || !strings.HasSuffix(a.url, "/poll") {
		s.t.Fatalf("%s %s, want a poll", a.method, a.url)
	}
	var r request
	if err := json.Unmarshal([]byte(a.body), &r); err != nil {
		s.t.Fatal(err)
	}
	return a, r
}

// answers takes the next poll, gives it this answer, and returns what it asked.
func (s *scripted) answers(epoch string, from, to uint64, sets map[string]string) request {
	s.t.Helper()
	a, r := s.polled()
	a.reply <- page(epoch, from, to, sets, false)
	return r
}

// settled returns when the answer before has been dealt with, and what the poll after it asks. The poll gets an answer
// that changes nothing.
func (s *scripted) settled(epoch string, at uint64) request {
	s.t.Helper()
	return s.answers(epoch, at, at, nil)
}

// paused returns how long the feed waited before its latest request; 0 when it did not.
func (s *scripted) paused() time.Duration {
	select {
	case pause := <-s.pauses:
		return pause
	default:
		return 0
	}
}

func page(epoch string, from, to uint64, sets map[string]string, more bool) *http.Response {
	if sets == nil {
		sets = map[string]string{}
	}
	body, err := json.Marshal(answer{Sets: sets, MoreAvailable: more, Epoch: epoch, From: &from, To: &to})
	if err != nil {
		panic(err)
	}
	return respond(200, string(body))
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// plainEvents takes for a signed event what begins with "good:".
type plainEvents struct{}

func (plainEvents) Close() error { return nil }

func (plainEvents) SecurityEvent(_ context.Context, raw string) (json.RawMessage, error) {
	if raw == "wait" {
		return nil, fmt.Errorf("no keys: %w", ErrUndecided)
	}
	if raw == "panic" {
		panic("boom")
	}
	claims, good := strings.CutPrefix(raw, "good:")
	if !good {
		return nil, errors.New("signed by a stranger")
	}
	return json.RawMessage(claims), nil
}

// revokes is an event: key has moved on to generation. change may spoil its claims.
func revokes(epoch string, sequence, key, generation uint64, change ...func(claims map[string]any)) (id, set string) {
	id = fmt.Sprintf("%s.%d", epoch, sequence)
	claims := map[string]any{
		"iss": testIssuer, "aud": "gate way", "iat": 1, "jti": id, "txn": "r1",
		"sub_id": map[string]any{"format": "opaque", "id": keyText(key)},
		"events": map[string]any{eventRevoked: map[string]any{"event_timestamp": 1, "generation": generation, "sequence": sequence}},
	}
	for _, c := range change {
		c(claims)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return id, "good:" + string(text)
}

// sets puts events together.
func sets(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
