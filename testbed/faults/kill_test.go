package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	workers = 8
	// grace is how long a consumed refresh reference still gets the same answer, less what this test may take.
	grace = 8 * time.Second
	// beforeTheKill marks what was refused under load, while the issuer still ran.
	beforeTheKill = "before the kill"
)

// TestKill kills the issuer at random moments under load. After each restart all that was answered must hold: revocations
// before anything else, then tokens, then refresh families. FAULTS_KILLS says how often; 300 unless set.
func TestKill(t *testing.T) {
	kills := 300
	if s := os.Getenv("FAULTS_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil || kills < 1 {
			t.Fatalf("FAULTS_KILLS is %q; set it to a positive number", s)
		}
	}
	if testing.Short() {
		kills = min(kills, 20)
	}
	for _, lost := range killOften(t, newIssuer(t, ""), kills) {
		t.Error(lost)
	}
}

// TestKillControl is TestKill on an issuer that answers before it commits.
func TestKillControl(t *testing.T) {
	var lost []string
	for _, thing := range killOften(t, newIssuer(t, "fault_answer"), 5) {
		if !strings.HasPrefix(thing, beforeTheKill) { // those are caught too, but are not what this test is for
			lost = append(lost, thing)
		}
	}
	if len(lost) == 0 {
		t.Fatal("an issuer that answers before it commits was not caught")
	}
	t.Logf("caught, as it must be: %d things, the first: %s", len(lost), lost[0])
}

// killOften tells what was answered and did not hold.
func killOften(t *testing.T, i *issuer, kills int) (lost []string) {
	t.Helper()
	c := i.client()
	p := i.start(t)
	all := make([]*worker, workers)
	for n := range all {
		all[n] = &worker{client: c, family: c.logIn(t).Refresh}
	}
	for range kills {
		lost = append(lost, load(all, func() {
			time.Sleep(time.Duration(rand.Int64N(int64(60 * time.Millisecond)))) // the random moment itself, not a wait for anything
			p.kill()
		})...)
		c.http.CloseIdleConnections()
		p = i.start(t)
		if lost = append(lost, check(c, all)...); len(lost) > 20 { // more would say no more
			break
		}
		for _, w := range all {
			if w.family == "" {
				w.family = c.logIn(t).Refresh
			}
		}
	}
	issued, revoked, refreshed := 0, 0, 0
	for _, w := range all {
		w.newTokens, w.newRevoked = append(w.newTokens, w.tokens...), append(w.newRevoked, w.revoked...)
		issued, revoked, refreshed = issued+w.issued, revoked+len(w.newRevoked), refreshed+w.refreshes
	}
	if len(lost) == 0 {
		lost = check(c, all) // everything since the beginning, once more
	}
	t.Logf("%d kills; answered: %d tokens, %d revocations, %d refreshes", kills, issued, revoked, refreshed)
	return lost
}

// worker is one client under load, and what it was answered.
type worker struct {
	client            *client
	tokens, newTokens []string // answered and not revoked: those of earlier rounds, those of this one
	revoked           []string // answered as revoked in earlier rounds
	newRevoked        []string // and in this one
	family            string   // the newest refresh reference; empty once the family is revoked
	before            string   // the one that family was answered for
	refreshedAt       time.Time
	inFlight          bool // a refresh was not answered: consumed or not, nobody knows
	issued, refreshes int
	unexpected        error
	familyTokens      []string // of this family, which die with it
}

// load runs all workers until the issuer is gone. It tells what was refused before that: no worker asks for anything that
// may be.
func load(all []*worker, end func()) (refused []string) {
	var running sync.WaitGroup
	for _, w := range all {
		running.Go(w.run)
	}
	end()
	running.Wait()
	for _, w := range all {
		if w.unexpected != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", beforeTheKill, w.unexpected))
		}
	}
	return refused
}

func (w *worker) run() {
	for {
		var err error
		switch n := rand.IntN(100); {
		case n < 50:
			err = w.issue()
		case n < 70:
			err = w.revoke()
		case n < 98:
			err = w.refresh()
		default:
			err = w.revokeFamily()
		}
		var refused *refusal
		if errors.As(err, &refused) {
			w.unexpected = err
		}
		if err != nil {
			return
		}
	}
}

func (w *worker) issue() error {
	token, err := w.client.issue("batch", "eventcatalog.read")
	if err == nil {
		w.newTokens = append(w.newTokens, token)
		w.issued++
	}
	return err
}

func (w *worker) revoke() error {
	if len(w.newTokens) == 0 {
		return nil
	}
	last := len(w.newTokens) - 1
	token := w.newTokens[last]
	w.newTokens = w.newTokens[:last] // from now on nobody knows
	err := w.client.revoke("batch", token)
	if err == nil {
		w.newRevoked = append(w.newRevoked, token)
	}
	return err
}

func (w *worker) refresh() error {
	if w.family == "" {
		return nil
	}
	w.inFlight = true
	answer, err := w.client.refresh(w.family)
	if err == nil {
		w.inFlight = false
		w.before, w.family, w.refreshedAt = w.family, answer.Refresh, time.Now()
		w.familyTokens = append(w.familyTokens, answer.Access)
		w.refreshes++
	}
	return err
}

func (w *worker) revokeFamily() error {
	if w.family == "" || w.inFlight {
		return nil
	}
	reference := w.family
	w.family, w.before = "", ""
	tokens := w.familyTokens
	w.familyTokens = nil
	err := w.client.revoke("mobile", reference)
	if err == nil {
		w.newRevoked = append(w.newRevoked, tokens...)
	}
	return err
}

// check asks a restarted issuer for what it answered before. The revocations come first, before any other request.
func check(c *client, all []*worker) []string {
	var r report
	var sample []string
	for _, w := range all {
		sample = append(sample, some(w.revoked, 4)...)
	}
	for _, w := range all {
		r.each(w.newRevoked, "a revoked token", func(token string) (bool, error) { alive, err := c.active(token); return !alive, err })
	}
	r.wait()
	r.each(sample, "a token revoked before", func(token string) (bool, error) { alive, err := c.active(token); return !alive, err })
	for _, w := range all {
		r.each(w.newTokens, "an issued token", c.active)
		r.each(some(w.tokens, 4), "a token issued before", c.active)
		r.each(some(w.familyTokens, 8), "a refreshed token", c.active)
	}
	r.wait()
	for _, w := range all {
		if w.family != "" {
			r.family(w)
		}
		w.tokens, w.newTokens = append(w.tokens, w.newTokens...), nil
		w.revoked, w.newRevoked = append(w.revoked, w.newRevoked...), nil
	}
	return r.lost
}

// some gives n of the list at random, or all of a short one.
func some(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	chosen := make([]string, n)
	for i := range chosen {
		chosen[i] = list[rand.IntN(len(list))]
	}
	return chosen
}

// report collects what did not hold.
type report struct {
	mu      sync.Mutex
	running sync.WaitGroup
	lost    []string
}

func (r *report) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = append(r.lost, fmt.Sprintf(format, args...))
}

func (r *report) wait() { r.running.Wait() }

// each asks for every reference of a list, beside other lists.
func (r *report) each(list []string, what string, holds func(string) (bool, error)) {
	if len(list) == 0 {
		return
	}
	r.running.Go(func() {
		for _, reference := range list {
			if ok, err := holds(reference); err != nil || !ok {
				r.add("%s does not hold (error: %v)", what, err)
			}
		}
	})
}

// family tries the newest reference, and the consumed one before it, which may give the same answer but no second
// successor.
func (r *report) family(w *worker) {
	if w.inFlight { // a lost answer: asking again gives the answer that was lost, or the first one
		answer, err := w.client.refresh(w.family)
		if err != nil {
			r.add("a refresh whose answer was lost cannot be repeated: %v", err)
			return
		}
		w.inFlight, w.before, w.family, w.refreshedAt = false, w.family, answer.Refresh, time.Now()
		w.familyTokens = append(w.familyTokens, answer.Access)
	}
	if w.before != "" && time.Since(w.refreshedAt) < grace {
		answer, err := w.client.refresh(w.before)
		if err != nil || answer.Refresh != w.family {
			r.add("a consumed refresh reference does not give its own answer again (error: %v)", err)
			return
		}
	}
	answer, err := w.client.refresh(w.family)
	if err != nil {
		r.add("an answered refresh's successor does not work: %v", err)
		return
	}
	w.before, w.family, w.refreshedAt = w.family, answer.Refresh, time.Now()
	w.familyTokens = append(w.familyTokens, answer.Access)
}
