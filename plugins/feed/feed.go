// Package feed hears the issuer's revocation feed (docs/revocation-feed.md): Shared Signals events by long-poll.
//
// A Feed is one stream: a goroutine that polls, applies what it hears to its State, and acknowledges what has been
// applied. The State answers, for a cache of tokens, whether an answer may still be believed. Whatever may have gone
// unheard is taken for a revocation of everything: it costs questions to the issuer, and lets nothing pass.
//
// The package is a leaf: it imports nothing of ours. Who may sign an event is the caller's to say (Verifier).
package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"
)

// Config is what a Feed needs to know. All of it is required, except where a default is named.
type Config struct {
	// Issuer is the issuer's name as in `iss`.
	Issuer string
	// Endpoint is where streams are made; a stream is polled below it, whatever address the issuer gives for that, so
	// that an address which only gateways know will do.
	Endpoint string
	// Foreign is set when the issuer is not phantomgate's.
	Foreign *Foreign
	// ClientID and ClientSecret authenticate this gateway to the issuer, by HTTP Basic (RFC 6749 section 2.3.1): a poll is
	// JSON, and has no form to put them in. A foreign transmitter is sent a bearer token that was got by them.
	ClientID, ClientSecret string
	// Description tells an operator which replica this is; it may be empty.
	Description string
	// Verifier checks who signed an event. It is the Feed's: Close closes it.
	Verifier Verifier
	// Keep is how long an event is remembered: the longest life of a cached answer and of the question for it.
	Keep time.Duration
	// PollTimeout is how long to wait for an answer that comes once a second; 5 s when 0.
	PollTimeout time.Duration
	// Transport carries requests to the issuer. The default is a transport of the Feed's own, without a proxy.
	Transport http.RoundTripper
	// Logger takes what an operator must know. No secret and no event is logged.
	Logger *slog.Logger
	// Now is the clock. Its times have a monotonic reading. The wall's counts too, but makes nothing fresh that is not so by the other.
	Now func() time.Time
}

// A Config prints as its name: it holds a secret.
func (Config) String() string         { return "feed.Config" }
func (c Config) GoString() string     { return c.String() }
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Verifier checks security event tokens (RFC 8417).
type Verifier interface {
	// SecurityEvent returns the claims of raw when its header says that it is such a token and the issuer's key has
	// signed it; the claims themselves it does not check. An error that wraps ErrUndecided says that this could not be
	// found out now.
	SecurityEvent(ctx context.Context, raw string) (json.RawMessage, error)
	// Close ends what the Verifier holds.
	Close() error
}

// ErrUndecided: what a Verifier was asked could not be found out, for want of the issuer's keys.
var ErrUndecided = errors.New("it could not be checked")

// Feed hears one stream of the issuer. Methods are safe for concurrent use.
type Feed struct {
	cfg           Config
	authorization string
	client        *http.Client
	state         *State

	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	start sync.Once
	done  sync.WaitGroup

	// For tests: how to wait, and how much of a pause is left to chance, in [0, 1).
	after  func(time.Duration) <-chan time.Time
	jitter func() float64

	stream  // the goroutine's own, and so is what follows
	foreign foreign
}

// stream is what one stream has brought so far.
type stream struct {
	id      string // "" before there is one
	placed  bool   // the position is known: the stream has answered
	epoch   string
	applied uint64
	acks    []string         // applied, and not yet known to be acknowledged
	errs    map[string]fault // the same of what could not be used
	failed  int              // failures in a row
}

// New makes a Feed. It asks nobody: Start does. Close ends it.
func New(cfg Config) (*Feed, error) {
	if cfg.PollTimeout == 0 {
		cfg.PollTimeout = defaultPollTimeout
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	f := &Feed{
		cfg: cfg, authorization: basic(cfg.ClientID, cfg.ClientSecret), client: newClient(cfg.Transport),
		state: NewState(cfg.Keep, cfg.Now()), after: time.After, jitter: rand.Float64,
	}
	if cfg.Foreign != nil {
		f.authorization, f.state = "", NewForeignState(cfg.Keep, cfg.Now())
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f, nil
}

func (c Config) check() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"Issuer", c.Issuer}, {"ClientID", c.ClientID}, {"ClientSecret", c.ClientSecret},
	} {
		if f.value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", f.name))
		}
	}
	if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		errs = append(errs, errors.New("the Endpoint is no address"))
	}
	if o := c.Foreign; o != nil && (o.TokenEndpoint == "" || o.VerificationEndpoint == "" || o.Scope == "") {
		errs = append(errs, errors.New("Foreign wants a TokenEndpoint, a VerificationEndpoint and a Scope"))
	}
	if c.Keep <= 0 || c.PollTimeout <= 0 {
		errs = append(errs, errors.New("both Keep and PollTimeout must be above zero"))
	}
	if c.Verifier == nil || c.Logger == nil || c.Now == nil {
		errs = append(errs, errors.New("missing: Verifier, Logger or Now"))
	}
	return errors.Join(errs...)
}

// State returns what is known so far. It is the same one for as long as the Feed lives.
func (f *Feed) State() *State { return f.state }

// Start begins to hear the feed, in a goroutine of its own. Only the first call does anything.
func (f *Feed) Start() {
	f.start.Do(func() { f.done.Go(f.run) })
}

// Close ends the stream at the issuer, if that can be done within a second, or within two while it is being made, and waits
// for the goroutine to end. From then on nothing is fresh. It may be called more than once.
func (f *Feed) Close() error {
	f.start.Do(func() {}) // one that was never started never will be
	f.stop()
	f.done.Wait()
	f.state.Lose()
	f.client.CloseIdleConnections()
	return f.cfg.Verifier.Close()
}

const (
	defaultPollTimeout = 5 * time.Second
	// After a failure there is a pause, which grows, half of it by chance: many gateways see an issuer fail at once.
	leastPause = 100 * time.Millisecond
	mostPause  = 2 * time.Second
	// mostRetryAfter bounds what is believed of an issuer's Retry-After.
	mostRetryAfter = 10 * time.Second
	// An answer that comes at once, though it says nothing new and was to wait, has this long to wait here.
	hastyPause = 20 * time.Millisecond
)

func (f *Feed) run() {
	defer f.end()
	for f.ctx.Err() == nil {
		pause, err := f.step()
		if err != nil {
			pause = f.failure(err)
		} else if f.failed > 0 {
			f.cfg.Logger.Info("the revocation feed is heard again", "failures", f.failed)
			f.failed = 0
		}
		if pause > 0 {
			select {
			case <-f.after(pause):
			case <-f.ctx.Done():
			}
		}
	}
}

// step makes the stream if there is none, or else polls it once. A panic is a failure: it must not end the process, and
// lets nothing pass, since nothing was heard.
func (f *Feed) step() (pause time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.cfg.Logger.Error("panic while hearing the revocation feed", "panic", p, "stack", string(debug.Stack()))
			err = errors.New("panic")
		}
	}()
	if f.cfg.Foreign != nil {
		return f.stepForeign()
	}
	if f.id == "" {
		return 0, f.create()
	}
	return f.poll()
}

// failure takes note of err, and returns how long to wait before the next try.
func (f *Feed) failure(err error) time.Duration {
	if f.ctx.Err() != nil {
		return 0
	}
	if errors.Is(err, errNoStream) {
		// What was revoked since the last answer will never be told. Nothing is believed before a new stream has answered,
		// and everything is forgotten then.
		f.id = ""
		f.state.Lose()
	}
	if f.failed++; f.failed == 1 || f.failed%remindEvery == 0 {
		f.cfg.Logger.Warn("the revocation feed is not heard; where that lasts, the issuer is asked about every request",
			"failures", f.failed, "error", err)
	}
	pause := min(leastPause<<min(f.failed-1, 10), mostPause)
	pause = pause/2 + time.Duration(f.jitter()*float64(pause/2))
	var later *laterError
	if errors.As(err, &later) {
		pause = max(pause, min(later.retryAfter, mostRetryAfter))
	}
	return pause
}

// remindEvery is after how many failures in a row an operator is told again: about once a minute.
const remindEvery = 30
