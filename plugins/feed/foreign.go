package feed

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Foreign is how a transmitter is spoken to that is not phantomgate's: Shared Signals (SSF 1.0) with CAEP events, polled
// (RFC 8936), and none of what our own issuer adds to that. All of it is required.
type Foreign struct {
	// TokenEndpoint is where a bearer token is got by client credentials (RFC 6749 section 4.4), for Scope; SecretInForm
	// sends id and secret in the form there, in place of HTTP Basic.
	TokenEndpoint, Scope string
	SecretInForm         bool
	// VerificationEndpoint is where the transmitter is asked for a verification event (SSF 1.0 section 8.1.4).
	VerificationEndpoint string
}

const (
	eventStreamUpdated = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
	eventEstablished   = "https://schemas.openid.net/secevent/caep/event-type/session-established"
	eventPresented     = "https://schemas.openid.net/secevent/caep/event-type/session-presented"
	eventClaimsChange  = "https://schemas.openid.net/secevent/caep/event-type/token-claims-change"
	eventCredential    = "https://schemas.openid.net/secevent/caep/event-type/credential-change"

	// foreignEpoch names the time in which the events of a foreign transmitter are counted here: it has no count itself.
	foreignEpoch = "foreign"
	// pollEvery is how often it is asked. A poll that waits would hear an event sooner; but how long a transmitter lets it
	// wait is not ours to say, and an answer is only as fresh as its question.
	pollEvery = time.Second
	// proofEvery is how often a verification event is asked for, unless the transmitter wants it less often; proofWait how
	// long it may take to come.
	proofEvery = 30 * time.Second
	proofWait  = 10 * time.Second
)

// foreign is what is known of a foreign transmitter's stream. It belongs to the Feed's goroutine.
type foreign struct {
	poll      string // the address of polls
	audience  []string
	most      int        // events that an answer may have
	faulty    [][32]byte // hashes of the last ones that could not be used, mostEvents of them
	paused    bool
	change    *change       // of paused, that this answer brings
	changed   float64       // the time of the last one that counted
	every     time.Duration // proofEvery, or longer
	state     string        // of the verification event that was asked for last
	asked     time.Time     // when that was; zero before the first
	proven    bool          // and it has come
	tokenEnds time.Time     // when to get another, a little early; zero: not known

	renewal, proving errand
}

// stepForeign polls the stream once, with what must be done before: a token, a stream, a verification event. Once there is a
// stream the polls go on while another token or verification event cannot be had.
func (f *Feed) stepForeign() (pause time.Duration, err error) {
	if f.authorization == "" {
		if err := f.login(f.ctx, f.cfg.PollTimeout); err != nil {
			return 0, err
		}
	} else if ends := f.foreign.tokenEnds; !ends.IsZero() && !f.cfg.Now().Before(ends) {
		f.tries(&f.foreign.renewal, "another token for the revocation feed", func() error { return f.login(f.ctx, errandTimeout) })
	}
	if f.id == "" {
		if err := f.subscribe(); err != nil {
			return 0, err
		}
		if err := f.ctx.Err(); err != nil { // closed meanwhile
			return 0, err
		}
	}
	now := f.cfg.Now()
	if asked := f.foreign.asked; asked.IsZero() {
		if err := f.askProof(now); err != nil {
			if f.authorization != "" { // is the stream still there?
				if _, gone := f.hear(now); errors.Is(gone, errNoStream) {
					return 0, gone
				}
			}
			return 0, err
		}
	} else if now.Sub(asked) >= f.foreign.every {
		f.tries(&f.foreign.proving, "a verification event", func() error { return f.askProof(now) })
		if f.authorization == "" {
			return 0, errors.New("the verification endpoint does not accept the token for the feed")
		}
	}
	return f.hear(f.cfg.Now())
}

// subscribe makes the stream, and ends one that cannot be used: the next try makes another. What was cached before is forgotten: nobody has told what happened until now.
func (f *Feed) subscribe() error {
	var made madeStream
	ctx, cancel := f.making()
	defer cancel()
	status, err := f.ask(ctx, f.cfg.PollTimeout, http.MethodPost, f.cfg.Endpoint,
		newStream{delivery{Method: pollDelivery}, []string{eventRevoked, eventClaimsChange, eventCredential}, f.cfg.Description}, &made)
	switch {
	case err != nil:
		return err
	case status == http.StatusConflict:
		return errors.New("the transmitter has a stream of this client already and allows no other: end that one, and give each gateway replica a client of its own")
	case status != http.StatusCreated:
		return fmt.Errorf("making a stream was answered %d", status)
	case made.ID == "" || len(made.ID) > mostStreamID:
		return errors.New("the new stream has no usable stream_id")
	}
	if err := made.check(f.cfg); err != nil {
		f.endStream(made.ID)
		return err
	}
	every := max(proofEvery, time.Duration(min(max(made.Interval, 0), 1<<31))*time.Second)
	f.foreign = foreign{poll: made.Delivery.URL, audience: made.Audience, most: mostEvents, every: every, tokenEnds: f.foreign.tokenEnds}
	f.stream = stream{id: made.ID, placed: true, epoch: foreignEpoch, applied: f.applied, failed: f.failed}
	f.state.Forget(foreignEpoch, f.applied, f.cfg.Now())
	return nil
}

// madeStream is what is said of a new stream.
type madeStream struct {
	ID        string   `json:"stream_id"`
	Issuer    string   `json:"iss"`
	Audience  audience `json:"aud"`
	Delivery  delivery `json:"delivery"`
	Delivered []string `json:"events_delivered"`
	Interval  int64    `json:"min_verification_interval"` // seconds
}

func (m madeStream) check(cfg Config) error {
	switch {
	case len(m.Audience) == 0:
		return errors.New("the new stream has no usable aud")
	case m.Issuer != cfg.Issuer:
		return errors.New("the new stream is of another iss than issuer.issuer")
	case m.Delivery.Method != pollDelivery || !sameOrigin(m.Delivery.URL, cfg.Endpoint):
		return errors.New("the new stream is not polled at the host of issuer.feedEndpoint: a token is sent nowhere else")
	case !slices.Contains(m.Delivered, eventRevoked):
		return errors.New("the transmitter would not tell when a session is revoked (events_delivered)")
	}
	return nil
}

type delivery struct {
	Method string `json:"method"`
	URL    string `json:"endpoint_url,omitempty"`
}

type newStream struct {
	Delivery    delivery `json:"delivery"`
	Events      []string `json:"events_requested"`
	Description string   `json:"description,omitempty"`
}

func sameOrigin(a, b string) bool {
	one, errA := url.Parse(a)
	other, errB := url.Parse(b)
	return errA == nil && errB == nil && one.Scheme == other.Scheme && one.Host == other.Host && one.User == nil
}

// askProof asks for a verification event: when it comes down the stream, the stream does bring what the transmitter sends.
func (f *Feed) askProof(now time.Time) error {
	state := rand.Text()
	status, err := f.ask(f.ctx, errandTimeout, http.MethodPost, f.cfg.Foreign.VerificationEndpoint, struct {
		StreamID string `json:"stream_id"`
		State    string `json:"state"`
	}{f.id, state}, nil)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound: // if the stream were gone, a poll would say so
		return errors.New("asking for a verification event was answered 404; check issuer.feedVerificationEndpoint")
	case status != http.StatusNoContent && status != http.StatusOK:
		return fmt.Errorf("asking for a verification event was answered %d", status)
	}
	if f.foreign.state != "" {
		f.foreign.proven = false // the one before has not come
	}
	f.foreign.state, f.foreign.asked = state, now
	return nil
}

// hear polls the stream. An answer makes the feed fresh when there is no more to come, the stream is not paused, and its
// last verification event has come, or is not late yet.
func (f *Feed) hear(sent time.Time) (pause time.Duration, err error) {
	var a struct {
		Sets map[string]string `json:"sets"`
		More bool              `json:"moreAvailable"`
	}
	asked := request{MaxEvents: f.foreign.most, ReturnImmediately: true, Ack: f.acks, SetErrs: f.errs}
	status, err := f.ask(f.ctx, f.cfg.PollTimeout, http.MethodPost, f.foreign.poll, asked, &a)
	switch {
	case errors.Is(err, errTooLong):
		f.foreign.most = max(f.foreign.most/2, 1)
		return 0, err
	case err != nil:
		return 0, err
	case status == http.StatusNotFound:
		return 0, errNoStream
	case status != http.StatusOK:
		return 0, fmt.Errorf("a poll was answered %d", status)
	case a.Sets == nil:
		return 0, errors.New("a poll's answer lacks sets")
	}
	f.acks, f.errs = nil, nil
	f.state.Turn(sent)
	flushed := f.applied
	for _, id := range slices.Sorted(maps.Keys(a.Sets)) {
		if err = f.takeForeign(id, a.Sets[id]); err != nil {
			break
		}
	}
	f.settle()
	if err != nil {
		return 0, err
	}
	since := sent.Sub(f.foreign.asked)
	late := f.foreign.state != "" && since >= proofWait || since >= f.foreign.every+proofWait
	if late {
		f.state.Lose() // what was heard since the last proof may not be all there was
	}
	// Faulty ones that come again, though the transmitter was told of them, are no reason to hurry.
	hurry := len(f.acks) > 0 || f.applied != flushed
	switch {
	case a.More && len(a.Sets) > 0 && !hurry:
		return pollEvery, nil
	case a.More:
		return hastyPause, nil
	case f.foreign.paused:
	case late:
		return 0, errors.New("the transmitter's verification event does not come: what it sends may not come either")
	case f.foreign.proven:
		f.state.Heard(sent)
	default:
		return pollSoon, nil // the first verification event is on its way
	}
	if hurry {
		return pollSoon, nil // to acknowledge them
	}
	return pollEvery, nil
}

// pollSoon is how soon a stream is polled again on which something is under way.
const pollSoon = 100 * time.Millisecond

// takeForeign applies one event. An error says that this could not be done now: then it is not acknowledged.
func (f *Feed) takeForeign(id, raw string) error {
	claims, err := f.cfg.Verifier.SecurityEvent(f.ctx, raw)
	if errors.Is(err, ErrUndecided) {
		return fmt.Errorf("an event waits for its key: %w", err)
	}
	code := "authentication_failed"
	var c setClaims
	if err == nil {
		code = "invalid_request"
		c, err = f.readForeign(id, claims)
	}
	if err != nil {
		if f.errs == nil {
			f.errs = map[string]fault{}
		}
		f.errs[id] = fault{code, "it could not be used"}
		if !f.newFault(id, raw) {
			return nil
		}
		f.cfg.Logger.Error("an event of the transmitter's stream is not its own, or not for this gateway", "event", id, "error", err)
		// It may have been a revocation, of whatever time.
		f.flush("an event could not be used", endedBefore(nil, 0))
		return nil
	}
	for name, event := range c.Events {
		f.applyForeign(name, event, c)
	}
	f.acks = append(f.acks, id)
	return nil
}

// newFault notes an event that could not be used. It is not new when it has come before: then it has done what it does.
func (f *Feed) newFault(id, raw string) bool {
	sum := sha256.Sum256([]byte(id + " " + raw))
	if slices.Contains(f.foreign.faulty, sum) {
		return false
	}
	f.foreign.faulty = append(f.foreign.faulty[max(0, len(f.foreign.faulty)-mostEvents+1):], sum)
	return true
}

// readForeign checks the claims of the SET that was announced by this id.
func (f *Feed) readForeign(id string, claims json.RawMessage) (c setClaims, err error) {
	meant := func(one string) bool { return slices.Contains(f.foreign.audience, one) }
	switch {
	case json.Unmarshal(claims, &c) != nil:
		err = errors.New("its claims are not those of an event")
	case c.Issuer != f.cfg.Issuer:
		err = errors.New("its iss is another")
	case !slices.ContainsFunc(c.Audience, meant):
		err = errors.New("its aud is another")
	case c.ID != id:
		err = errors.New("its jti is another")
	case len(c.Events) == 0:
		err = errors.New("it says nothing")
	}
	return c, err
}

// applyForeign applies one event of a SET. Those about the stream itself aside, and a session that began or is used, each is
// taken to end what it is about: to be wrong in that costs a question to the issuer.
func (f *Feed) applyForeign(name string, event json.RawMessage, c setClaims) {
	var said struct {
		State  string `json:"state"`
		Status string `json:"status"`
	}
	switch name {
	case eventVerification:
		if json.Unmarshal(event, &said) == nil && said.State != "" && said.State == f.foreign.state {
			f.foreign.state, f.foreign.proven = "", true
		}
		return
	case eventStreamUpdated:
		found := change{paused: json.Unmarshal(event, &said) != nil || said.Status != "enabled", at: c.IssuedAt}
		if last := f.foreign.change; last == nil || found.at > last.at || found.at == last.at && found.paused {
			f.foreign.change = &found
		}
		return
	case eventEstablished, eventPresented:
		return
	}
	keys, known := subjectKeys(c.Subject, f.cfg.Issuer)
	if !known {
		f.flush("an event is about somebody who cannot be told apart here", endedBefore(event, c.IssuedAt))
		return
	}
	for _, key := range keys {
		f.applied++
		f.state.Apply(f.applied, key, endedBefore(event, c.IssuedAt), f.cfg.Now())
	}
}

// change says that the stream was stopped, or goes on.
type change struct {
	paused bool
	at     float64 // in seconds since 1970
}

// settle applies the latest change that an answer has brought: its events come in no order. One that is older than what
// counts already comes late, and changes nothing.
func (f *Feed) settle() {
	found := f.foreign.change
	f.foreign.change = nil
	if found == nil || found.at < f.foreign.changed {
		return
	}
	f.foreign.paused, f.foreign.changed = found.paused, found.at
	if found.paused {
		f.cfg.Logger.Warn("the transmitter has stopped the revocation feed; the issuer is asked about every request")
		f.state.Lose()
	} else {
		f.forgetForeign("the stream had been stopped")
	}
}

// forgetForeign forgets what is cached, since something may have been missed.
func (f *Feed) forgetForeign(reason string) { f.flush(reason, 0) }

// flush forgets what is cached. What was issued before that second is not cached either, while this is remembered.
func (f *Feed) flush(reason string, before uint64) {
	f.cfg.Logger.Warn("everything cached was forgotten", "reason", reason)
	f.applied++
	f.state.Flush(f.applied, before, f.cfg.Now())
}
