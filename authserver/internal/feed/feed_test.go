package feed_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/feed"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

const gateway = "gateway"

// world is a transmitter over a real store, whose patience ends when a test says so.
type world struct {
	*testing.T
	issuer *grantstest.Issuer
	feed   *feed.Service
	waits  chan chan time.Time // one for each poll that begins
	events int                 // made so far
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, issuer: grantstest.New(t), waits: make(chan chan time.Time, 100)}
	var err error
	w.feed, err = feed.New(feed.Options{Issuer: grantstest.URL, Tenant: grantstest.Tenant, Most: 3, Store: w.issuer.Store, Signer: w.issuer.Signer,
		Names: w.issuer.Names, Now: w.issuer.Clock.Now, Log: slog.New(slog.NewTextHandler(w.issuer.Log, nil)),
		After: func(time.Duration) <-chan time.Time {
			over := make(chan time.Time, 1)
			w.waits <- over
			return over
		}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) stream() string {
	w.Helper()
	made, err := w.feed.Create(w.Context(), gateway, "a replica", nil)
	if err != nil {
		w.Fatal(err)
	}
	return made.ID
}

// revoke makes n events, of users whom nobody knows.
func (w *world) revoke(n int) []storage.Revocation {
	w.Helper()
	return w.revokeIn(grantstest.Tenant, n)
}

// revokeIn does that in a tenant.
func (w *world) revokeIn(tenant string, n int) []storage.Revocation {
	w.Helper()
	asked := make([]storage.Revocation, n)
	for i := range asked {
		w.events++
		asked[i] = storage.Revocation{Tenant: tenant, ID: fmt.Sprintf("%s %d", w.Name(), w.events), Kind: storage.KindUser, Target: fmt.Sprint("u", i),
			By: "operator", At: w.issuer.Clock.Now()}
	}
	done, err := w.issuer.Store.RevokeAll(w.Context(), asked)
	if err != nil {
		w.Fatal(err)
	}
	return done
}

// now polls without waiting.
func (w *world) now(stream string, ack ...string) feed.Answer {
	w.Helper()
	return w.poll(stream, feed.Request{ReturnImmediately: true, Ack: ack})
}

func (w *world) poll(stream string, r feed.Request) feed.Answer {
	w.Helper()
	answer, err := w.feed.Poll(w.Context(), gateway, stream, r)
	if err != nil {
		w.Fatal(err)
	}
	return answer
}

// later polls in the background.
func (w *world) later(stream string) <-chan feed.Answer {
	answered := make(chan feed.Answer, 1)
	go func() {
		answer, err := w.feed.Poll(w.Context(), gateway, stream, feed.Request{})
		if err != nil {
			w.Error(err)
		}
		answered <- answer
	}()
	return answered
}

func (w *world) at(a feed.Answer, from, to int64, jtis ...string) {
	w.Helper()
	want := map[string]bool{}
	for _, jti := range jtis {
		want[a.Epoch+"."+jti] = true
	}
	got := map[string]bool{}
	for jti := range a.Sets {
		got[jti] = true
	}
	if a.From != from || a.To != to || !maps.Equal(got, want) {
		w.Errorf("answered from %d to %d with %v; want %d to %d with %v", a.From, a.To, slices.Sorted(maps.Keys(got)), from, to, slices.Sorted(maps.Keys(want)))
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.revoke(1)
	stream := w.stream()
	w.at(w.now(stream), 1, 1)
	w.issuer.Clock.Move(time.Second)
	done, err := w.issuer.Revoker.Revoke(t.Context(), grantstest.Tenant, storage.KindUser, "u0", "operator")
	if err != nil {
		t.Fatal(err)
	}
	answer := w.now(stream)
	w.at(answer, 1, 2, "2")
	claims := w.issuer.Signer.Claims(t, answer.Sets[answer.Epoch+".2"], oauth.TypeSecurityEvent)
	event, _ := claims["events"].(map[string]any)[feed.SessionRevoked].(map[string]any)
	subject, _ := claims["sub_id"].(map[string]any)
	if event["generation"] != 2.0 || event["sequence"] != 2.0 || event["event_timestamp"] != float64(done.At.Unix()) {
		t.Errorf("the event says %v", event)
	}
	if subject["format"] != "opaque" || subject["id"] != w.issuer.Names.Key(grantstest.Tenant, storage.KindUser, "u0") {
		t.Errorf("it is about %v", subject)
	}
	if claims["iss"] != grantstest.URL || claims["aud"] != gateway || claims["jti"] != answer.Epoch+".2" || claims["txn"] != done.ID {
		t.Errorf("it is %v", claims)
	}
	for _, value := range answer.Sets {
		if again := w.now(stream); again.Sets[answer.Epoch+".2"] != value {
			t.Error("what was not acknowledged came again as something else")
		}
	}
}

func TestAcknowledgements(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	w.revoke(4)
	epoch := w.now(stream).Epoch
	w.at(w.now(stream, epoch+".2", epoch+".4"), 0, 4, "1", "2", "3", "4") // 1 is missing: nothing moves
	w.at(w.now(stream, epoch+".1", epoch+".2", epoch+".4"), 2, 4, "3", "4")
	w.at(w.now(stream, "another.3"), 2, 4, "3", "4")
	w.at(w.now(stream, epoch+".9", epoch+".r9", epoch+".x", ""), 2, 4, "3", "4")
	failed := feed.Request{ReturnImmediately: true}
	failed.SetErrs = map[string]struct {
		Err         string `json:"err"`
		Description string `json:"description"`
	}{epoch + ".3": {Err: "jws"}}
	w.at(w.poll(stream, failed), 3, 4, "4")
	w.at(w.now(stream, epoch+".4"), 4, 4)
	applied, err := w.issuer.Store.Applied(t.Context(), grantstest.Tenant, 3)
	if err != nil || len(applied) != 1 || applied[0].StreamID != stream {
		t.Errorf("the third is applied by %v, %v", applied, err)
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	w.revoke(5)
	two := 2
	answer := w.poll(stream, feed.Request{MaxEvents: &two})
	w.at(answer, 0, 2, "1", "2")
	if !answer.MoreAvailable {
		t.Error("more is available, and it is not said")
	}
	none := 0
	w.at(w.poll(stream, feed.Request{MaxEvents: &none, Ack: []string{answer.Epoch + ".1"}}), 1, 1)
	answer = w.now(stream)
	w.at(answer, 1, 5, "2", "3", "4", "5")
	if answer.MoreAvailable {
		t.Error("nothing more is available")
	}
}

// TestALongWay: a stream that acknowledges a whole page is given the next one at once.
func TestALongWay(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	w.revoke(2500)
	seen := 0
	var ack []string
	for range 3 {
		answer := w.poll(stream, feed.Request{Ack: ack})
		seen += len(answer.Sets)
		ack = slices.Collect(maps.Keys(answer.Sets))
	}
	if seen != 2500 {
		t.Errorf("three answers had %d of 2,500 events", seen)
	}
	w.at(w.now(stream, ack...), 2500, 2500)
}

func TestReset(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	w.revoke(10_000)
	if n := len(w.now(stream).Sets); n != 1000 {
		t.Errorf("10,000 behind, %d events came", n)
	}
	w.issuer.Clock.Move(time.Second)
	if _, err := w.issuer.Revoker.Revoke(t.Context(), grantstest.Tenant, storage.KindUser, "one more", "operator"); err != nil {
		t.Fatal(err)
	}
	answer := w.now(stream)
	w.at(answer, 0, 10_001, "r10001")
	claims := w.issuer.Signer.Claims(t, answer.Sets[answer.Epoch+".r10001"], oauth.TypeSecurityEvent)
	if fmt.Sprint(claims["events"]) != fmt.Sprintf("map[%s:map[to:10001]]", feed.Reset) {
		t.Errorf("a reset says %v", claims["events"])
	}
	w.at(w.now(stream, answer.Epoch+".r10001"), 10_001, 10_001)
}

func TestVerification(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	if err := w.feed.Verify(t.Context(), gateway, stream, "a state"); err != nil {
		t.Fatal(err)
	}
	answer := w.now(stream)
	for jti, set := range answer.Sets {
		if !regexp.MustCompile(`^`+answer.Epoch+`\.v[0-9a-f]{16}$`).MatchString(jti) || answer.From != answer.To {
			t.Errorf("its jti is %s, from %d to %d", jti, answer.From, answer.To)
		}
		claims := w.issuer.Signer.Claims(t, set, oauth.TypeSecurityEvent)
		if fmt.Sprint(claims["events"]) != fmt.Sprintf("map[%s:map[state:a state]]", feed.Verification) {
			t.Errorf("a verification says %v", claims["events"])
		}
		if again := w.now(stream); len(again.Sets) != 1 {
			t.Errorf("before it is acknowledged: %v", again)
		}
		w.at(w.now(stream, jti), 0, 0)
	}
	if len(answer.Sets) != 1 {
		t.Errorf("the stream heard %v", answer.Sets)
	}
}

// TestReturnImmediately: such a poll does not wait; one that does not say so does.
func TestReturnImmediately(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	w.at(w.now(stream), 0, 0)
	answered := w.later(stream)
	<-w.waits // the first poll's, which it did not wait for
	over := <-w.waits
	select {
	case a := <-answered:
		t.Errorf("a poll that waits was answered %+v", a)
	default:
	}
	over <- time.Time{}
	w.at(<-answered, 0, 0)
}

func TestWaiting(t *testing.T) {
	t.Run("until something is revoked", func(t *testing.T) {
		w := newWorld(t)
		answered := w.later(w.stream())
		<-w.waits
		w.revoke(1)
		w.at(<-answered, 0, 1, "1")
	})
	t.Run("until its patience ends", func(t *testing.T) {
		w := newWorld(t)
		answered := w.later(w.stream())
		(<-w.waits) <- time.Time{}
		w.at(<-answered, 0, 0)
	})
	t.Run("until another poll comes", func(t *testing.T) {
		w := newWorld(t)
		stream := w.stream()
		first := w.later(stream)
		<-w.waits
		second := w.later(stream)
		w.at(<-first, 0, 0)
		<-w.waits
		w.revoke(1)
		w.at(<-second, 0, 1, "1")
	})
	t.Run("and not until a stranger polls", func(t *testing.T) {
		w := newWorld(t)
		stream := w.stream()
		answered := w.later(stream)
		<-w.waits
		if answer, err := w.feed.Poll(t.Context(), "stranger", stream, feed.Request{ReturnImmediately: true}); err == nil {
			t.Errorf("another client was answered %v", answer)
		}
		w.revoke(1)
		w.at(<-answered, 0, 1, "1") // and not 0 to 0, which would come at once
	})
	t.Run("until the issuer ends", func(t *testing.T) {
		w := newWorld(t)
		answered := w.later(w.stream())
		<-w.waits
		w.feed.End()
		w.at(<-answered, 0, 0)
	})
	t.Run("until the gateway has gone", func(t *testing.T) {
		w := newWorld(t)
		stream := w.stream()
		ctx, leave := context.WithCancel(t.Context())
		answered := make(chan error, 1)
		go func() {
			_, err := w.feed.Poll(ctx, gateway, stream, feed.Request{})
			answered <- err
		}()
		<-w.waits
		leave()
		if err := <-answered; err == nil {
			t.Error("a poll that was given up was answered")
		}
	})
}

// TestAnEmptyAnswerWasReadAfterItsPoll: what is revoked while a poll waits is in its answer even when nobody woke it, as may
// be where another node revoked.
func TestAnEmptyAnswerWasReadAfterItsPoll(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	deaf := deafStore{w.issuer.Store}
	var err error
	if w.feed, err = feed.New(feed.Options{Issuer: grantstest.URL, Tenant: grantstest.Tenant, Most: 3, Store: deaf, Signer: w.issuer.Signer, Names: w.issuer.Names,
		Now: w.issuer.Clock.Now, After: w.feed.After, Log: w.feed.Log}); err != nil {
		t.Fatal(err)
	}
	answered := w.later(stream)
	over := <-w.waits
	w.revoke(1)
	over <- time.Time{}
	w.at(<-answered, 0, 1, "1")
}

// deafStore never says that something was revoked.
type deafStore struct{ feed.Store }

func (deafStore) Revoked() <-chan struct{} { return nil }

// TestKeysOf: the header of an introspection and the events name the same thing by the same key.
func TestKeysOf(t *testing.T) {
	w := newWorld(t)
	live := storage.LiveAccess{Alive: true, AccessToken: storage.AccessToken{JTI: "jti"}, Grant: storage.Grant{Tenant: grantstest.Tenant, ID: "g",
		ClientID: "web", Subject: "u", SessionID: "s", Births: storage.Births{Everything: 1, Tenant: 2, Client: 3, User: 4, UserClient: 5}}}
	var want []string
	for _, reach := range []struct {
		kind       storage.Kind
		id         string
		generation int
	}{
		{storage.KindEverything, "", 1}, {storage.KindTenant, grantstest.Tenant, 2}, {storage.KindClient, "web", 3}, {storage.KindUser, "u", 4},
		{storage.KindUserClient, storage.UserClientID("u", "web"), 5}, {storage.KindSession, "s", 0}, {storage.KindGrant, "g", 0}, {storage.KindToken, "jti", 0},
	} {
		key := w.issuer.Names.KeyOf(storage.Revocation{Tenant: grantstest.Tenant, Kind: reach.kind, Target: reach.id})
		if len(key) != 22 {
			t.Errorf("%s has the key %q", reach.kind, key)
		}
		want = append(want, fmt.Sprintf("%s=%d", key, reach.generation))
	}
	if got := w.issuer.Names.Keys(live); got != strings.Join(want, ", ") {
		t.Errorf("the header is\n%s\nwant\n%s", got, strings.Join(want, ", "))
	}
	live.Grant.Subject, live.Grant.SessionID = "", ""
	if got := strings.Count(w.issuer.Names.Keys(live), "="); got != 5 {
		t.Errorf("a machine's token has %d keys", got)
	}
	for what, other := range map[string]storage.LiveAccess{
		"exchanged": {Alive: true, AccessToken: storage.AccessToken{JTI: "j", Actors: []string{"basket"}}, Grant: live.Grant},
		"dead":      {AccessToken: live.AccessToken, Grant: live.Grant},
	} {
		if got := w.issuer.Names.Keys(other); got != "" {
			t.Errorf("a token that is %s has keys: %s", what, got)
		}
	}
}
