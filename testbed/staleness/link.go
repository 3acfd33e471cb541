package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// link is the network between one gateway and the issuer, and what goes wrong on it. It stands where the gateway's connections
// do, so a cut is one of whole requests, before or behind the issuer.
type link struct {
	base  http.RoundTripper
	asked atomic.Int64 // introspections that were sent over it

	mu     sync.Mutex
	faults faults
	keys   []byte // the issuer's keys as they were first answered, for oldKeys
}

func newLink() *link { return &link{base: &http.Transport{MaxIdleConnsPerHost: 16}} }

// faults are what goes wrong; the zero faults are none.
type faults struct {
	cut    bool          // nothing comes back, of anything
	deaf   bool          // nothing comes back of polls
	lost   float64       // this part of the answers does not come back; the issuer has done what was asked
	slow   time.Duration // answers of polls come so much later
	tamper func(*pollAnswer)

	oldKeys bool // the issuer's keys are answered as they were at first, which no issuer does: a control
}

// pollAnswer is what a poll is answered with.
type pollAnswer struct {
	Sets          map[string]string `json:"sets"`
	MoreAvailable bool              `json:"moreAvailable"`
	Epoch         string            `json:"epoch"`
	From          int64             `json:"from"`
	To            int64             `json:"to"`
}

// set changes what goes wrong from now on.
func (l *link) set(f faults) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = f
}

// RoundTrip sends a request over the link.
func (l *link) RoundTrip(r *http.Request) (*http.Response, error) {
	isPoll := strings.HasSuffix(r.URL.Path, "/poll")
	if strings.HasSuffix(r.URL.Path, "/introspect") {
		l.asked.Add(1)
	}
	if l.isCut(isPoll) {
		return l.silence(r, isPoll)
	}
	resp, err := l.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if l.isCut(isPoll) || l.loses() { // it was cut while the answer was under way
		_ = resp.Body.Close() // it is lost
		return nil, errors.New("the answer was lost")
	}
	if strings.HasSuffix(r.URL.Path, "/jwks") {
		return l.aged(resp)
	}
	if !isPoll {
		return resp, nil
	}
	l.mu.Lock()
	slow, tamper := l.faults.slow, l.faults.tamper
	l.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
		}
	}
	if tamper == nil || resp.StatusCode != http.StatusOK {
		return resp, nil
	}
	return tampered(resp, tamper)
}

func (l *link) isCut(isPoll bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults.cut || l.faults.deaf && isPoll
}

func (l *link) loses() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults.lost > 0 && rand.Float64() < l.faults.lost
}

// aged is the answer with the keys, or with oldKeys the first such answer again.
func (l *link) aged(resp *http.Response) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.faults.oldKeys {
		return resp, nil
	}
	text, err := body(resp, nil)
	if err != nil {
		return nil, err
	}
	if l.keys == nil {
		l.keys = text
	}
	return with(resp, l.keys), nil
}

// silence answers nothing until the caller gives up, or the link is whole again: then the connection turns out to be dead.
func (l *link) silence(r *http.Request, isPoll bool) (*http.Response, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for l.isCut(isPoll) {
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-tick.C:
		}
	}
	return nil, errors.New("the connection is dead")
}

func tampered(resp *http.Response, tamper func(*pollAnswer)) (*http.Response, error) {
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it was read
	if err != nil {
		return nil, err
	}
	var answer pollAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	tamper(&answer)
	if body, err = json.Marshal(answer); err != nil {
		return nil, err
	}
	return with(resp, body), nil
}

// with is an answer with another body.
func with(resp *http.Response, body []byte) *http.Response {
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp
}

// losing takes half of the events out of the answers that have any.
func losing() func(*pollAnswer) {
	return func(a *pollAnswer) {
		maps.DeleteFunc(a.Sets, func(string, string) bool { return rand.IntN(2) == 0 })
	}
}

// doubling brings events again, in every later answer.
func doubling() func(*pollAnswer) {
	before := map[string]string{}
	return func(a *pollAnswer) {
		maps.Copy(before, a.Sets)
		maps.Copy(a.Sets, before)
	}
}

// reordering holds the events of an answer back until the next one.
func reordering() func(*pollAnswer) {
	held := map[string]string{}
	return func(a *pollAnswer) { a.Sets, held = held, a.Sets }
}
