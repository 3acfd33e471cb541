package plugintest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// feedHandlers answer who hears the feed: streams, polls and what they are told.
func (i *Issuer) feedHandlers(mux *http.ServeMux) {
	mux.HandleFunc("POST /ssf/streams", i.makeStream)
	mux.HandleFunc("DELETE /ssf/streams", i.endStream)
	mux.HandleFunc("POST /ssf/streams/{id}/poll", i.poll)
}

// isGateway answers those that may not hear the feed.
func isGateway(w http.ResponseWriter, r *http.Request) bool {
	id, secret, _ := r.BasicAuth()
	secret, err := url.QueryUnescape(secret)
	if id == "gateway" && err == nil && secret == gatewayS {
		return true
	}
	oauthError(w, http.StatusUnauthorized, "invalid_client")
	return false
}

func (i *Issuer) makeStream(w http.ResponseWriter, r *http.Request) {
	if !isGateway(w, r) {
		return
	}
	var asked struct {
		Delivery struct{ Method string }
		Events   []string `json:"events_requested"`
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.Delivery.Method != "urn:ietf:rfc:8936" || len(asked.Events) == 0 {
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	}
	i.mu.Lock()
	i.feed.made++
	id := fmt.Sprintf("st_%d", i.feed.made)
	i.feed.streams[id] = &feedStream{position: i.feed.sequence, acked: map[string]bool{}}
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{"stream_id": id, "iss": i.URL, "aud": "gateway",
		// Where a gateway that believes it would be sent: nobody is there.
		"delivery": map[string]any{"method": asked.Delivery.Method, "endpoint_url": "http://127.0.0.1:1/poll"}})
}

func (i *Issuer) endStream(w http.ResponseWriter, r *http.Request) {
	if !isGateway(w, r) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.feed.streams, r.URL.Query().Get("stream_id"))
	w.WriteHeader(http.StatusNoContent)
}

type feedPoll struct {
	Max         int  `json:"maxEvents"`
	Immediately bool `json:"returnImmediately"`
	Position    string
	Ack         []string
	SetErrs     map[string]struct{ Err string }
}

// poll answers when there is something to say, or after a beat. An answer is
// of a moment after the poll has arrived.
func (i *Issuer) poll(w http.ResponseWriter, r *http.Request) {
	var asked feedPoll
	if !isGateway(w, r) {
		return
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	}
	i.noteAcks(r.PathValue("id"), asked)
	beat := time.NewTimer(feedBeat)
	defer beat.Stop()
	for last := asked.Immediately; ; {
		faults, gone := i.silence(r)
		if gone {
			return
		}
		i.mu.Lock()
		changed := i.feed.changed
		answer := i.page(r.PathValue("id"), asked)
		i.mu.Unlock()
		switch {
		case faults.Status != 0:
			w.WriteHeader(faults.Status)
			return
		case answer == nil:
			oauthError(w, http.StatusNotFound, "not_found")
			return
		case last || len(answer.Sets) > 0 || answer.To != answer.From:
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(answer)
			return
		}
		select {
		case <-changed:
		case <-beat.C:
			last = true
		case <-r.Context().Done():
			return
		}
	}
}

// silence waits as told, and returns what else is wrong with the feed. gone
// means that the asker has left.
func (i *Issuer) silence(r *http.Request) (faults FeedFaults, gone bool) {
	i.mu.Lock()
	faults = i.feed.faults
	i.mu.Unlock()
	if faults.Silent == nil {
		return faults, false
	}
	select {
	case <-faults.Silent:
		return faults, false
	case <-r.Context().Done():
		return faults, true
	}
}

// noteAcks moves a stream on.
func (i *Issuer) noteAcks(id string, asked feedPoll) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.feed.streams[id]
	if s == nil {
		return
	}
	s.polls++
	i.feed.polls++
	if i.feed.faults.Deaf {
		return
	}
	for _, jti := range asked.Ack {
		s.acked[jti] = true
	}
	for jti, fault := range asked.SetErrs {
		s.acked[jti], i.feed.errs[jti] = true, fault.Err
	}
	for jti := range s.acked {
		if to, ok := strings.CutPrefix(jti, i.feed.epoch()+".r"); ok {
			if n, err := strconv.ParseUint(to, 10, 63); err == nil && n >= s.position {
				s.position, s.reset = n, false
			}
		}
	}
	for i.feed.passed(s, asked.Position) {
		s.position++
	}
}

// passed tells whether a stream is done with the event that comes next. One
// of another tenant it is done with when it knows so.
func (f *feedSide) passed(s *feedStream, position string) bool {
	next := s.position + 1
	if e, there := f.events[next]; there && e.key == "" {
		known, ok := strings.CutPrefix(position, f.epoch()+".")
		n, err := strconv.ParseUint(known, 10, 63)
		return ok && err == nil && n >= next
	}
	return s.acked[f.jti(next)]
}

func (f *feedSide) jti(sequence uint64) string { return fmt.Sprintf("%s.%d", f.epoch(), sequence) }

type feedAnswer struct {
	Sets          map[string]string `json:"sets"`
	Skipped       []uint64          `json:"skipped,omitempty"`
	MoreAvailable bool              `json:"moreAvailable"`
	Epoch         string            `json:"epoch"`
	From          uint64            `json:"from"`
	To            uint64            `json:"to"`
}

// page returns what a stream has to be told; nil when there is none. i.mu is
// held.
func (i *Issuer) page(id string, asked feedPoll) *feedAnswer {
	f := &i.feed
	s := f.streams[id]
	if s == nil {
		return nil
	}
	a := &feedAnswer{Sets: map[string]string{}, Epoch: f.epoch(), From: s.position, To: f.sequence}
	if s.reset {
		jti := fmt.Sprintf("%s.r%d", f.epoch(), f.sequence)
		a.Sets[jti] = i.event(jti, id, map[string]any{eventReset: map[string]any{}})
		return a
	}
	for n := s.position + 1; n <= f.sequence; n++ {
		e := f.events[n]
		if len(a.Sets) == asked.Max {
			a.To, a.MoreAvailable = n-1, true
			break
		}
		switch {
		case e.key == "":
			a.Skipped = append(a.Skipped, n)
		case !f.faults.LeaveOut:
			a.Sets[f.jti(n)] = i.event(f.jti(n), e.key, map[string]any{
				eventRevoked: map[string]any{"event_timestamp": time.Now().Unix(), "generation": e.generation, "sequence": n}})
		}
	}
	return a
}

// event signs a SET (RFC 8417). i.mu is held.
func (i *Issuer) event(jti, key string, events map[string]any) string {
	header := map[string]any{"typ": "secevent+jwt", "alg": "ES256", "kid": i.keys.current().id}
	claims := jwt.MapClaims{"iss": i.URL, "aud": "gateway", "iat": time.Now().Unix(), "jti": jti,
		"sub_id": map[string]any{"format": "opaque", "id": key}, "events": events}
	if mint := i.feed.faults.Mint; mint != nil {
		mint(header, claims)
	}
	if sign := i.feed.faults.Sign; sign != nil {
		return sign(&i.keys, header, claims)
	}
	return i.keys.sign(header, claims)
}
