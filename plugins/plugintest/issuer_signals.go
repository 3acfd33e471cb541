package plugintest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signalSide is the feed of the fake as a foreign issuer: Shared Signals as
// SSF 1.0, CAEP and RFC 8936 have it, and nothing of ours. It is strict: what
// those documents do not know is refused.
type signalSide struct {
	tokens  int // given so far; the last one counts
	made    int // streams so far
	polls   int // that have arrived
	streams map[string]*signalStream
	events  int // so far
	errs    map[string]string
	faults  SignalFaults
}

type signalStream struct {
	queue []signal // not acknowledged yet
	polls int
}

type signal struct {
	jti    string
	claims jwt.MapClaims
}

// SignalFaults are what is wrong with the foreign feed.
type SignalFaults struct {
	// Silent lets no poll be answered.
	Silent bool
	// Unproven never sends a verification event.
	Unproven bool
	// Mint and Sign are as in FeedFaults.
	Mint func(header map[string]any, claims jwt.MapClaims)
	Sign func(k *keyring, header map[string]any, claims jwt.MapClaims) string
}

const (
	caepEvents    = "https://schemas.openid.net/secevent/caep/event-type/"
	ssfEvents     = "https://schemas.openid.net/secevent/ssf/event-type/"
	signalScope   = "signals.hear"
	signalReceive = "https://gateway.example/receiver" // the aud of its SETs
)

func newSignalSide() signalSide {
	return signalSide{streams: map[string]*signalStream{}, errs: map[string]string{}}
}

// Signals sets what is wrong with the foreign feed from now on.
func (i *Issuer) Signals(faults SignalFaults) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.signals.faults = faults
}

// Signal sends an event of this type about a subject (RFC 9493) down every
// stream of the foreign feed. It ends no token by itself.
func (i *Issuer) Signal(event string, subject map[string]any, at time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.signals.send(i.URL, subject, map[string]any{event: map[string]any{"event_timestamp": at.Unix()}})
}

// StreamStatus tells every stream of the foreign feed that it is enabled or
// paused now.
func (i *Issuer) StreamStatus(status string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.signals.send(i.URL, opaque("st"), map[string]any{ssfEvents + "stream-updated": map[string]any{"status": status}})
}

// ForgetSignals removes every stream of the foreign feed, and with endTokens
// the tokens they are heard by.
func (i *Issuer) ForgetSignals(streams, endTokens bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if streams {
		clear(i.signals.streams)
	}
	if endTokens {
		i.signals.tokens++
	}
}

// SignalsHeard tells whether every stream has brought all there was, and has
// been polled once more since.
func (i *Issuer) SignalsHeard() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.signals.streams {
		if len(s.queue) > 0 || s.polls < 2 {
			return false
		}
	}
	return len(i.signals.streams) > 0
}

// SignalErrors counts the events that a gateway said it could not use.
func (i *Issuer) SignalErrors() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.signals.errs)
}

// SignalTokens counts the tokens that were given for the foreign feed.
func (i *Issuer) SignalTokens() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.signals.tokens
}

func opaque(id string) map[string]any { return map[string]any{"format": "opaque", "id": id} }

func (s *signalSide) send(issuer string, subject, events map[string]any) {
	s.events++
	jti := fmt.Sprintf("event-%d", s.events)
	claims := jwt.MapClaims{"iss": issuer, "aud": []string{signalReceive}, "iat": time.Now().Unix(), "jti": jti, "sub_id": subject, "events": events}
	for _, stream := range s.streams {
		stream.queue = append(stream.queue, signal{jti, claims})
	}
}

// useSignals has c hear the fake's foreign feed.
func useSignals(c *Config) {
	issuer, _ := c.Issuer["issuer"].(string)
	c.Issuer["feedEndpoint"] = issuer + "/foreign/ssf/stream"
	c.Issuer["feedTokenEndpoint"] = issuer + "/foreign/ssf/token"
	c.Issuer["feedVerificationEndpoint"] = issuer + "/foreign/ssf/verification"
	c.Issuer["feedScope"] = signalScope
	c.Cache["maxAge"] = "1m"
}

func (i *Issuer) signalHandlers(mux *http.ServeMux) {
	mux.HandleFunc("POST /foreign/ssf/token", i.signalToken)
	mux.HandleFunc("POST /foreign/ssf/stream", i.heardBy(i.makeSignals))
	mux.HandleFunc("DELETE /foreign/ssf/stream", i.heardBy(i.endSignals))
	mux.HandleFunc("POST /foreign/ssf/verification", i.heardBy(i.verifySignals))
	mux.HandleFunc("POST /foreign/ssf/events/{id}", i.heardBy(i.pollSignals))
}

// signalToken gives a token by client credentials (RFC 6749, 4.4).
func (i *Issuer) signalToken(w http.ResponseWriter, r *http.Request) {
	id, secret := clientOf(r)
	switch {
	case id != "gateway" || secret != gatewayS:
		oauthError(w, http.StatusUnauthorized, "invalid_client")
		return
	case r.PostForm.Get("grant_type") != "client_credentials" || r.PostForm.Get("scope") != signalScope:
		oauthError(w, http.StatusBadRequest, "invalid_scope")
		return
	}
	i.mu.Lock()
	i.signals.tokens++
	n := i.signals.tokens
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":"canary-signals-%d","token_type":"Bearer","expires_in":3600}`, n)
}

// heardBy lets through who brings the last token that was given, and JSON.
// next is called with i.mu held.
func (i *Issuer) heardBy(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") != fmt.Sprintf("Bearer canary-signals-%d", i.signals.tokens):
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json":
			w.WriteHeader(http.StatusUnsupportedMediaType)
		default:
			next(w, r)
		}
	}
}

// readStrictly reads a body that has nothing in it but what into knows.
func readStrictly(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return false
	}
	return true
}

func (i *Issuer) makeSignals(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Delivery    struct{ Method string } `json:"delivery"`
		Events      []string                `json:"events_requested"`
		Description string                  `json:"description"`
	}
	if !readStrictly(w, r, &asked) {
		return
	}
	if asked.Delivery.Method != "urn:ietf:rfc:8936" || len(asked.Events) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	i.signals.made++
	id := fmt.Sprintf("signals-%d", i.signals.made)
	i.signals.streams[id] = &signalStream{}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{"stream_id": id, "iss": i.URL, "aud": []string{signalReceive},
		"delivery":         map[string]any{"method": asked.Delivery.Method, "endpoint_url": i.URL + "/foreign/ssf/events/" + id},
		"events_requested": asked.Events, "events_delivered": asked.Events, "events_supported": asked.Events, "min_verification_interval": 1})
}

func (i *Issuer) endSignals(w http.ResponseWriter, r *http.Request) {
	delete(i.signals.streams, r.URL.Query().Get("stream_id"))
	w.WriteHeader(http.StatusNoContent)
}

func (i *Issuer) verifySignals(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Stream string `json:"stream_id"`
		State  string `json:"state"`
	}
	if !readStrictly(w, r, &asked) {
		return
	}
	if i.signals.streams[asked.Stream] == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if !i.signals.faults.Unproven {
		i.signals.send(i.URL, opaque(asked.Stream), map[string]any{ssfEvents + "verification": map[string]any{"state": asked.State}})
	}
	w.WriteHeader(http.StatusNoContent)
}

func (i *Issuer) pollSignals(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Max         int                                          `json:"maxEvents"`
		Immediately bool                                         `json:"returnImmediately"`
		Ack         []string                                     `json:"ack"`
		SetErrs     map[string]struct{ Err, Description string } `json:"setErrs"`
	}
	if !readStrictly(w, r, &asked) {
		return
	}
	i.signals.polls++
	stream := i.signals.streams[r.PathValue("id")]
	switch {
	case stream == nil:
		w.WriteHeader(http.StatusNotFound)
		return
	case i.signals.faults.Silent:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	stream.polls++
	done := map[string]bool{}
	for _, jti := range asked.Ack {
		done[jti] = true
	}
	for jti, fault := range asked.SetErrs {
		done[jti], i.signals.errs[jti] = true, fault.Err
	}
	var left []signal
	sets := map[string]string{}
	for _, s := range stream.queue {
		if !done[s.jti] {
			left = append(left, s)
			sets[s.jti] = i.signed(s)
		}
	}
	stream.queue = left
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"sets": sets, "moreAvailable": false})
}

// signed is the SET of s, spoiled as told: but for those about the stream.
func (i *Issuer) signed(s signal) string {
	header := map[string]any{"typ": "secevent+jwt", "alg": "ES256", "kid": i.keys.current().id}
	claims := jwt.MapClaims{}
	about := true
	for name, value := range s.claims {
		claims[name] = value
	}
	for event := range claims["events"].(map[string]any) {
		about = strings.HasPrefix(event, ssfEvents)
	}
	if mint := i.signals.faults.Mint; mint != nil && !about {
		mint(header, claims)
	}
	if sign := i.signals.faults.Sign; sign != nil && !about {
		return sign(&i.keys, header, claims)
	}
	return i.keys.sign(header, claims)
}
