package sessions

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// memory is a store of one table.
type memory struct {
	rows map[string]storage.LiveSession
	err  error
}

func (m *memory) CreateSession(_ context.Context, s storage.Session) error {
	m.rows[string(s.Hash)] = storage.LiveSession{Session: s, Alive: true}
	return m.err
}

func (m *memory) FindSession(_ context.Context, tenant string, hash []byte) (storage.LiveSession, error) {
	found, ok := m.rows[string(hash)]
	if !ok || found.Tenant != tenant {
		return storage.LiveSession{}, errors.Join(storage.ErrNotFound, m.err)
	}
	return found, m.err
}

func (m *memory) EndSession(_ context.Context, _, id, _ string, _ time.Time) error {
	for hash, row := range m.rows {
		if row.ID == id {
			row.Alive = false
			m.rows[hash] = row
			return m.err
		}
	}
	return storage.ErrNotFound
}

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newKeeper(t *testing.T) (*Keeper, *memory, *clock) {
	t.Helper()
	store := &memory{rows: map[string]storage.LiveSession{}}
	time := &clock{time.Date(2026, 5, 1, 12, 0, 0, 123456, time.UTC)}
	keeper, err := New(Keeper{Store: store, Now: time.now})
	if err != nil {
		t.Fatal(err)
	}
	return keeper, store, time
}

func start(t *testing.T, k *Keeper) (storage.Session, *http.Cookie) {
	t.Helper()
	rec := httptest.NewRecorder()
	session, err := k.Start(t.Context(), rec, Login{Tenant: "default", Subject: "u_1", ACR: ACRPassword, AMR: AMRPassword, Lifetime: time.Hour,
		Births: storage.Births{Everything: 1, Tenant: 2, Client: 3, User: 4, UserClient: 5}})
	if err != nil {
		t.Fatal(err)
	}
	return session, rec.Result().Cookies()[0]
}

func with(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func TestSession(t *testing.T) {
	k, store, clock := newKeeper(t)
	session, cookie := start(t, k)
	if session.Births != (storage.Births{Everything: 1, Tenant: 2, User: 4}) {
		t.Errorf("it is born under %+v", session.Births)
	}
	if !session.ExpiresAt.Equal(session.AuthTime.Add(time.Hour)) || session.AuthTime.Nanosecond()%int(time.Millisecond) != 0 {
		t.Errorf("it lives from %s to %s", session.AuthTime, session.ExpiresAt)
	}
	if strings.Contains(cookie.Value, session.ID) || bytes.Contains(session.Hash, []byte(cookie.Value)) {
		t.Error("the cookie's secret is in the session")
	}
	if found, err := k.Find(t.Context(), with(cookie), "default"); err != nil || found.ID != session.ID {
		t.Errorf("not found: %v", err)
	}
	planted := &http.Cookie{Name: CookieName, Value: "planted"}
	clock.at = session.ExpiresAt.Add(-time.Millisecond)
	for name, c := range map[string]struct {
		r      *http.Request
		tenant string
		found  bool
	}{
		"as it was given":     {with(cookie), "default", true},
		"another tenant":      {with(cookie), "other", false},
		"no cookie":           {with(), "default", false},
		"another secret":      {with(planted), "default", false},
		"two of that name":    {with(cookie, planted), "default", false},
		"endless":             {with(&http.Cookie{Name: CookieName, Value: strings.Repeat("x", 1000)}), "default", false},
		"under another name":  {with(&http.Cookie{Name: "session", Value: cookie.Value}), "default", false},
		"the id for a secret": {with(&http.Cookie{Name: CookieName, Value: session.ID}), "default", false},
	} {
		if _, err := k.Find(t.Context(), c.r, c.tenant); (err == nil) != c.found || !c.found && !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	clock.at = session.ExpiresAt
	if _, err := k.Find(t.Context(), with(cookie), "default"); !errors.Is(err, ErrNone) {
		t.Errorf("at its end: %v", err)
	}
	clock.at = session.AuthTime
	for range 2 {
		if err := k.End(t.Context(), "default", session.ID, "test"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Find(t.Context(), with(cookie), "default"); !errors.Is(err, ErrNone) {
		t.Errorf("ended: %v", err)
	}
	if err := k.End(t.Context(), "default", "s_unknown", "test"); err != nil {
		t.Errorf("an unknown one: %v", err)
	}
	// What cannot be found out is not "nobody".
	store.err = storage.ErrUnavailable
	if _, err := k.Find(t.Context(), with(cookie), "default"); !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, ErrNone) {
		t.Errorf("a store that does not answer: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	k, store, _ := newKeeper(t)
	for _, login := range []Login{{Subject: "u_1", Lifetime: 1}, {Tenant: "default", Lifetime: 1}, {Tenant: "default", Subject: "u_1"}} {
		rec := httptest.NewRecorder()
		if _, err := k.Start(t.Context(), rec, login); err == nil {
			t.Errorf("%+v was accepted", login)
		}
	}
	store.err = storage.ErrUnavailable
	rec := httptest.NewRecorder()
	if _, err := k.Start(t.Context(), rec, Login{Tenant: "default", Subject: "u_1", Lifetime: 1}); err == nil || len(rec.Result().Cookies()) != 0 {
		t.Error("a cookie was given for a session that was not stored")
	}
	if _, err := New(Keeper{}); err == nil {
		t.Error("a Keeper without a store was made")
	}
}

func TestForget(t *testing.T) {
	rec := httptest.NewRecorder()
	Forget(rec)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge >= 0 || !c.Secure || c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-pgas-") {
			t.Errorf("%v", c)
		}
	}
	if len(rec.Result().Cookies()) != 2 {
		t.Error("not every cookie goes")
	}
}

func TestTicket(t *testing.T) {
	key, err := seal.NewKey(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	clock := &clock{time.Now()}
	tickets := Tickets{Key: key, Now: clock.now}
	issue := func(r *http.Request) (string, []*http.Cookie) {
		rec := httptest.NewRecorder()
		ticket, err := tickets.Issue(rec, r, "default", "page", map[string]string{"a": "b"})
		if err != nil {
			t.Fatal(err)
		}
		return ticket, rec.Result().Cookies()
	}
	ticket, cookies := issue(with())
	if len(cookies) != 1 || cookies[0].SameSite != http.SameSiteLaxMode || !cookies[0].HttpOnly || !cookies[0].Secure {
		t.Fatalf("the browser is given %v", cookies)
	}
	if _, again := issue(with(cookies...)); len(again) != 0 {
		t.Error("a browser that has a cookie is given another, which makes its open pages stale")
	}
	_, others := issue(with())
	flipped := strings.Map(func(r rune) rune {
		if r == rune(ticket[20]) {
			return 'A'
		}
		return r
	}, ticket)
	for name, c := range map[string]struct {
		r                       *http.Request
		tenant, purpose, ticket string
		good                    bool
	}{
		"as it was issued":    {with(cookies...), "default", "page", ticket, true},
		"another browser":     {with(others...), "default", "page", ticket, false},
		"no cookie":           {with(), "default", "page", ticket, false},
		"two cookies":         {with(cookies[0], others[0]), "default", "page", ticket, false},
		"another tenant":      {with(cookies...), "other", "page", ticket, false},
		"another page":        {with(cookies...), "default", "other", ticket, false},
		"altered":             {with(cookies...), "default", "page", flipped + "A", false},
		"cut":                 {with(cookies...), "default", "page", ticket[:20], false},
		"empty":               {with(cookies...), "default", "page", "", false},
		"padded, not our way": {with(cookies...), "default", "page", ticket + "=", false},
	} {
		var content map[string]string
		err := tickets.Open(c.r, c.tenant, c.purpose, c.ticket, &content)
		if c.good && (err != nil || content["a"] != "b") || !c.good && (!errors.Is(err, ErrTicket) || content != nil) {
			t.Errorf("%s: %v %v", name, content, err)
		}
	}
	clock.at = clock.at.Add(TicketLife)
	if err := tickets.Open(with(cookies...), "default", "page", ticket, new(any)); !errors.Is(err, ErrTicket) {
		t.Errorf("expired: %v", err)
	}
}
