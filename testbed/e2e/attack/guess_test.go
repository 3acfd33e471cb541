package attack

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// changing is what differs between two answers to the same thing.
var changing = regexp.MustCompile(`name="ticket" value="[^"]*"`)

func tryPassword(t *testing.T, b *browser.Browser, page *browser.Page, login, password string) *browser.Page {
	t.Helper()
	return rptest.Submit(t, b, page, "login", login, "password", password)
}

// TestNobodyLearnsWhoThereIs compares what a known and an unknown user name are answered: page, status and header, with a
// wrong password and when there were too many attempts.
func TestNobodyLearnsWhoThereIs(t *testing.T) {
	clock := rptest.NewClock()
	w := rptest.New(t, rptest.Options{Clock: clock})
	seen := map[string][]string{}
	for _, login := range []string{"alice", "nobdy"} { // of one length
		b := w.Browser(t)
		page := w.Open(t, b, rptest.Web().Ask("openid"))
		for range 30 {
			got := tryPassword(t, b, page, login, "wrong")
			header := got.Header.Clone()
			header.Del("X-Request-Id")
			header.Del("Date")
			text := changing.ReplaceAllString(got.Body, "")
			seen[login] = append(seen[login], fmt.Sprint(got.Status, header, strings.ReplaceAll(text, login, "LOGIN")))
		}
	}
	if i := slices.IndexFunc(seen["alice"], func(s string) bool { return strings.HasPrefix(s, "429") }); i != 20 {
		t.Errorf("throttled after %d attempts", i)
	}
	if !slices.Equal(seen["alice"], seen["nobdy"]) {
		t.Error("the answers differ between a user who is there and one who is not")
	}
}

// TestGuessingIsThrottled guesses past the limit in every way that could be taken for another attempt.
func TestGuessingIsThrottled(t *testing.T) {
	clock := rptest.NewClock()
	w := rptest.New(t, rptest.Options{Clock: clock})
	b := w.Browser(t)
	page := w.Open(t, b, rptest.Web().Ask("openid"))
	for range 20 {
		tryPassword(t, b, page, "alice", "wrong")
	}
	for name, c := range map[string]struct {
		b     *browser.Browser
		login string
	}{
		"the same browser": {b, "alice"}, "another browser": {w.Browser(t), "alice"}, "capitals": {b, "ALICE"}, "some capitals": {w.Browser(t), "aLiCe"},
	} {
		page := w.Open(t, c.b, rptest.Web().Ask("openid"))
		got := tryPassword(t, c.b, page, c.login, rptest.Password("alice")) // the right one, at last
		if got.Status != http.StatusTooManyRequests || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d", name, got.Status)
		}
	}
	w.HTTP, _ = jarOf(t, w)
	ticket := ticketOf(t, w.Do(t, mustGet(t, w, w.Address(rptest.Web().Ask("openid")))))
	form := rptest.Form("ticket", ticket, "login", "alice", "password", "wrong")
	if got := w.Post(t, "/oauth/login", rptest.App{}, form, "X-Forwarded-For", "192.0.2.1", "Forwarded", "for=192.0.2.1"); got.Status != http.StatusTooManyRequests {
		t.Errorf("another address by a header: %d", got.Status)
	}
	// Who knows another password cannot wash the attempts away by it, and time brings one attempt at a time back.
	other := w.Browser(t)
	w.LogIn(t, other, "bob", rptest.Web().Ask("openid"))
	if got := tryPassword(t, b, page, "alice", "wrong"); got.Status != http.StatusTooManyRequests {
		t.Errorf("after bob's login: %d", got.Status)
	}
	clock.Advance(30 * time.Second)
	if got := tryPassword(t, b, page, "alice", "wrong"); got.Status != http.StatusUnprocessableEntity {
		t.Errorf("after half a minute: %d", got.Status)
	}
	if got := tryPassword(t, b, page, "alice", "wrong"); got.Status != http.StatusTooManyRequests {
		t.Errorf("the second one after half a minute: %d", got.Status)
	}
}

// TestOneAddressGuessesManyUsers goes over many names with one password each: the address has a limit as well.
func TestOneAddressGuessesManyUsers(t *testing.T) {
	w := rptest.New(t, rptest.Options{Clock: rptest.NewClock()})
	b := w.Browser(t)
	page := w.Open(t, b, rptest.Web().Ask("openid"))
	refused := 0
	for i := range 120 {
		if got := tryPassword(t, b, page, fmt.Sprintf("user%d", i), "Winter2026"); got.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 20 {
		t.Errorf("%d of 120 were refused, want 20", refused)
	}
}

// TestGuessingAtOnce sends all the guesses at the same moment: no more than the limit are looked at.
func TestGuessingAtOnce(t *testing.T) {
	w := rptest.New(t, rptest.Options{Clock: rptest.NewClock()})
	w.HTTP, _ = jarOf(t, w)
	ticket := ticketOf(t, w.Do(t, mustGet(t, w, w.Address(rptest.Web().Ask("openid")))))
	var mu sync.Mutex
	looked := 0
	var guesses sync.WaitGroup
	for i := range 60 {
		guesses.Go(func() {
			form := rptest.Form("ticket", ticket, "login", "alice", "password", fmt.Sprint("guess", i))
			if got := w.Post(t, "/oauth/login", rptest.App{}, form); got.Status == http.StatusUnprocessableEntity {
				mu.Lock()
				looked++
				mu.Unlock()
			}
		})
	}
	guesses.Wait()
	if looked == 0 || looked > 20 {
		t.Errorf("%d guesses were looked at, want 20 at most", looked)
	}
}

// TestOddPasswords tries what a hash may take for another.
func TestOddPasswords(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	page := w.Open(t, b, rptest.Web().Ask("openid"))
	good := rptest.Password("alice")
	for name, password := range map[string]string{
		"a NUL after it": good + "\x00", "a NUL and more": good + "\x00x", "a space": good + " ", "capitals": strings.ToUpper(good), "a part": good[:len(good)-1],
		"longer than bcrypt looks": good + strings.Repeat("x", 100), "very long": strings.Repeat("x", 50_000), "the user's name": "alice", "not UTF-8": "\xff\xfe",
	} {
		if got := tryPassword(t, b, page, "alice", password); got.Status != http.StatusUnprocessableEntity || strings.Contains(got.Body, password+"<") {
			t.Errorf("%s: %d", name, got.Status)
		}
	}
	if got := tryPassword(t, b, page, "alice", good); got.Status != http.StatusOK {
		t.Errorf("the control: %d", got.Status)
	}
}
