package users

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// accounts is a store of accounts in memory.
type accounts map[string]string

func (a accounts) EnsureAccount(_ context.Context, tenant, login, newSubject string) (storage.Account, error) {
	if _, ok := a[login]; !ok {
		a[login] = newSubject
	}
	return storage.Account{Tenant: tenant, Login: login, Subject: a[login]}, nil
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func person(t testing.TB, login, password string) config.User {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := config.NewPassword(hash)
	if err != nil {
		t.Fatal(err)
	}
	return config.User{Login: login, Password: kept, Claims: map[string]any{"region": "eu"}}
}

func open(t testing.TB, store Store, now *clock, people ...config.User) (*Directory, *strings.Builder) {
	t.Helper()
	var logged strings.Builder
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d, err := Open(t.Context(), config.Config{Users: people}, store, Options{Logger: log, Now: now.Now})
	if err != nil {
		t.Fatal(err)
	}
	return d, &logged
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func TestAUserKeepsTheSubAcrossTheFile(t *testing.T) {
	store := accounts{}
	alice, bob := person(t, "Alice", "alice-demo"), person(t, "bob", "bob-demo")
	before, _ := open(t, store, newClock(), alice, bob)
	a, ok := before.FindLogin(oauth.DefaultTenant, "ALICE")
	if !ok || a.Login != "Alice" || a.Claims["region"] != "eu" || !strings.HasPrefix(a.Subject, "u_") || len(a.Subject) != 28 {
		t.Fatalf("%+v %v", a, ok)
	}
	for _, name := range []string{"alice", a.Subject} {
		if named, ok := before.FindNamed(oauth.DefaultTenant, name); !ok || named.Subject != a.Subject {
			t.Errorf("named %s: %+v %v", name, named, ok)
		}
	}
	without, _ := open(t, store, newClock(), bob)
	if _, ok := without.Find(oauth.DefaultTenant, a.Subject); ok {
		t.Error("a user who left the file is known by sub")
	}
	if _, ok := without.FindLogin(oauth.DefaultTenant, "alice"); ok {
		t.Error("a user who left the file is known by login")
	}
	if _, err := without.CheckPassword(t.Context(), oauth.DefaultTenant, "alice", "alice-demo", "192.0.2.1:1"); !errors.Is(err, ErrPassword) {
		t.Error("a user who left the file can log in:", err)
	}
	back, _ := open(t, store, newClock(), person(t, "alice", "new"))
	if again, ok := back.Find(oauth.DefaultTenant, a.Subject); !ok || again.Login != "alice" {
		t.Error("the user came back as another")
	}
	_, found := back.Find("other", a.Subject)
	if _, named := back.FindNamed("other", "alice"); found || named {
		t.Error("found in another tenant")
	}
}

func TestCheckPassword(t *testing.T) {
	d, logged := open(t, accounts{}, newClock(), person(t, "alice", "alice-demo"), person(t, "bob", "bob-demo"))
	for _, tc := range []struct {
		tenant, login, password string
		want                    string
	}{
		{oauth.DefaultTenant, "alice", "alice-demo", "alice"},
		{oauth.DefaultTenant, "Alice", "alice-demo", "alice"},
		{oauth.DefaultTenant, "alice", "bob-demo", ""},
		{oauth.DefaultTenant, "alice", "Alice-demo", ""},
		{oauth.DefaultTenant, "alice", "", ""},
		{oauth.DefaultTenant, "alice", "alice-demo" + strings.Repeat("x", 72), ""},
		{oauth.DefaultTenant, "", "alice-demo", ""},
		{oauth.DefaultTenant, "nobody", "alice-demo", ""},
		{oauth.DefaultTenant, strings.Repeat("a", 200), "alice-demo", ""},
		{"other", "alice", "alice-demo", ""},
	} {
		user, err := d.CheckPassword(t.Context(), tc.tenant, tc.login, tc.password, "192.0.2.1:1")
		if user.Login != tc.want || (tc.want == "") != errors.Is(err, ErrPassword) {
			t.Errorf("%.20q %.20q: %q, %v", tc.login, tc.password, user.Login, err)
		}
	}
	if strings.Contains(logged.String(), "demo") {
		t.Error("a password was logged")
	}
}

// TestUnknownUsersCostTheSame compares the work, not the time: whoever it is, one hash of the highest cost is computed.
func TestUnknownUsersCostTheSame(t *testing.T) {
	d, _ := open(t, accounts{}, newClock(), person(t, "alice", "alice-demo"))
	if d.nobody.Cost() != d.logins["alice"].password.Cost() {
		t.Errorf("cost %d for nobody", d.nobody.Cost())
	}
}

// fail tries wrong passwords until one is throttled, and gives how many were not.
func fail(t *testing.T, d *Directory, login string, address func(i int) string) (int, time.Duration) {
	t.Helper()
	for i := range 10 * addressBurst {
		_, err := d.CheckPassword(t.Context(), oauth.DefaultTenant, login, "wrong", address(i))
		var throttled ThrottledError
		if errors.As(err, &throttled) {
			return i, throttled.RetryAfter
		}
		if !errors.Is(err, ErrPassword) {
			t.Fatal(err)
		}
	}
	t.Fatal("never throttled")
	return 0, 0
}

func everywhere(i int) string { return fmt.Sprintf("198.51.%d.%d:1", i/256, i%256) }
func here(int) string         { return "[2001:db8::1]:1" }

func TestThrottleByLogin(t *testing.T) {
	for _, login := range []string{"alice", "nobody"} { // an unknown one alike, or the limit would tell who exists
		now := newClock()
		d, logged := open(t, accounts{}, now, person(t, "alice", "alice-demo"), person(t, "bob", "bob-demo"))
		if n, wait := fail(t, d, login, everywhere); n != loginBurst || wait != loginEvery {
			t.Errorf("%s: %d attempts, wait %s", login, n, wait)
		}
		if _, err := d.CheckPassword(t.Context(), oauth.DefaultTenant, "bob", "bob-demo", "192.0.2.1"); err != nil {
			t.Errorf("bob suffers for %s: %v", login, err)
		}
		if !strings.Contains(logged.String(), "throttled") {
			t.Error("nothing was logged")
		}
		now.add(loginEvery)
		if n, _ := fail(t, d, login, everywhere); n != 1 {
			t.Errorf("%s: %d attempts after the wait", login, n)
		}
	}
}

func TestThrottleByAddress(t *testing.T) {
	now := newClock()
	d, _ := open(t, accounts{}, now, person(t, "alice", "alice-demo"))
	for i := range addressBurst {
		if _, err := d.CheckPassword(t.Context(), oauth.DefaultTenant, fmt.Sprintf("guess-%d", i), "wrong", here(i)); !errors.Is(err, ErrPassword) {
			t.Fatal(i, err)
		}
	}
	var throttled ThrottledError
	for address, want := range map[string]bool{"[2001:db8::2]:2": true, "2001:db8::3": true, "[2001:db8:0:1::1]:1": false, "192.0.2.1:1": false} {
		_, err := d.CheckPassword(t.Context(), oauth.DefaultTenant, "alice", "alice-demo", address)
		if errors.As(err, &throttled) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	if throttled.RetryAfter != addressEvery {
		t.Errorf("wait %s", throttled.RetryAfter)
	}
}

func TestSuccessIsFree(t *testing.T) {
	d, _ := open(t, accounts{}, newClock(), person(t, "alice", "alice-demo"))
	for range 2 * addressBurst {
		if _, err := d.CheckPassword(t.Context(), oauth.DefaultTenant, "alice", "alice-demo", "192.0.2.1:1"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChecksAreBounded(t *testing.T) {
	c := newChecks()
	release := make(chan struct{})
	started := make(chan struct{}, maxWaiting)
	var done sync.WaitGroup
	for range cap(c.running) {
		done.Go(func() {
			_, _ = c.run(t.Context(), func() bool { started <- struct{}{}; <-release; return true })
		})
	}
	for range cap(c.running) {
		<-started
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.run(ended, func() bool { t.Error("ran beyond the bound"); return true }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for len(c.waiting) < maxWaiting { // the rest of the places, taken directly
		c.waiting <- struct{}{}
	}
	if _, err := c.run(t.Context(), func() bool { return true }); !errors.As(err, &ThrottledError{}) {
		t.Error("a crowd was let in:", err)
	}
	close(release)
	done.Wait()
}

func TestOpenRefusesASharedSub(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, store := range []accounts{{"alice": "u_1", "bob": "u_1"}, {"alice": "spa"}} {
		people := []config.User{person(t, "alice", "a"), person(t, "bob", "b")}
		if _, err := Open(t.Context(), config.Config{Users: people}, store, Options{Logger: log}); err == nil {
			t.Errorf("opened with %v", store)
		}
	}
}

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{"192.0.2.1:80": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1",
		"[2001:db8::1%eth0]:80": "2001:db8::/64", "2001:db8::ffff": "2001:db8::/64", "@": "@", "": ""} {
		if got := network(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}
