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

	"github.com/phantomgate/phantomgate/testbed/freeaddress"
)

// link is the way of one gateway to the issuer. What befalls connections befalls its wires. What befalls single answers, which no
// network tells apart, is done by RoundTrip, to a gateway in this process.
type link struct {
	feed  *wire // what polls take; nil: all take the other one
	other *wire

	mu     sync.Mutex
	faults faults
	keys   []byte // the issuer's keys as they were first answered, for oldKeys
}

// newLink makes the link of a gateway in this process, which alone can have its polls take a wire of their own.
func newLink(i *issuer) (l *link, err error) {
	free, err := freeaddress.Find(2) // which nobody is given while a wire refuses
	if err != nil {
		return nil, err
	}
	l = &link{}
	if l.feed, err = newWire(free[0], i.addr); err != nil {
		return nil, err
	}
	if l.other, err = newWire(free[1], i.addr); err != nil {
		return nil, errors.Join(err, l.feed.close())
	}
	return l, nil
}

// newStraightLink makes one without proxies: only answers can be at fault.
func newStraightLink() *link {
	w := &wire{http: &http.Transport{MaxIdleConnsPerHost: 16}}
	return &link{feed: w, other: w}
}

// wires does the same to each.
func (l *link) wires(do func(*wire) error) error {
	if l.feed == nil {
		return do(l.other)
	}
	return errors.Join(do(l.feed), do(l.other))
}

func (l *link) cut() error    { return l.wires((*wire).cut) }
func (l *link) refuse() error { return l.wires((*wire).refuse) }
func (l *link) close() error  { return l.wires((*wire).close) }

// mend ends whatever goes wrong.
func (l *link) mend() error {
	l.set(faults{})
	return l.wires((*wire).mend)
}

// faults are what goes wrong with answers; the zero faults are none.
type faults struct {
	lost   float64 // this part of the answers does not come back; the issuer has done what was asked
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

// set changes what goes wrong with answers from now on.
func (l *link) set(f faults) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = f
}

// RoundTrip sends a request over the link.
func (l *link) RoundTrip(r *http.Request) (*http.Response, error) {
	isPoll, over := strings.HasSuffix(r.URL.Path, "/poll"), l.other
	if isPoll {
		over = l.feed
	}
	resp, err := over.http.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	f := l.faults
	l.mu.Unlock()
	switch {
	case rand.Float64() < f.lost:
		_ = resp.Body.Close() // it is lost
		return nil, errors.New("the answer was lost")
	case f.oldKeys && strings.HasSuffix(r.URL.Path, "/jwks"):
		return l.aged(resp)
	case f.tamper != nil && isPoll && resp.StatusCode == http.StatusOK:
		return tampered(resp, f.tamper)
	}
	return resp, nil
}

// aged is the first answer with the keys again.
func (l *link) aged(resp *http.Response) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, err := body(resp, nil)
	if err != nil {
		return nil, err
	}
	if l.keys == nil {
		l.keys = text
	}
	return with(resp, l.keys), nil
}

func tampered(resp *http.Response, tamper func(*pollAnswer)) (*http.Response, error) {
	var answer pollAnswer
	if err := decode(resp, nil, &answer); err != nil {
		return nil, err
	}
	tamper(&answer)
	text, err := json.Marshal(answer)
	return with(resp, text), err
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
