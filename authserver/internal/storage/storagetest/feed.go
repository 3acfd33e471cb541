package storagetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

func testFeed(t *testing.T, open func(*testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"a stream begins at the present": testStreamBegins,
		"pages and acknowledgements":     testFeedPages,
		"nobody reads another's stream":  testStreamOwners,
		"pages have all tenants'":        testFeedTenants,
		"who has applied what":           testApplied,
		"waiting for a revocation":       testRevoked,
		"no holes, no late rows":         testSequence,
		"a token is read with the feed":  testReadWithFeed,
		"a restored database":            testEpoch,
		"streams that nobody polls":      testStreamSweep,
		"as many streams as may be":      testStreamBound,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func newStream(t *testing.T, s Store, id string) storage.Stream {
	t.Helper()
	made, err := s.CreateStream(t.Context(), storage.Stream{Tenant: tenant, ID: id, ClientID: "gateway", Description: "replica " + id,
		Events: "a b", CreatedAt: start}, 100)
	must(t, err)
	return made
}

// testStreamBound: a client has so many streams. One that was never polled makes way, the oldest first; one that is polled,
// is young, or is another's does not.
func testStreamBound(t *testing.T, s Store) {
	create := func(id string, whose storage.Stream, at time.Duration, most int) error {
		whose.ID, whose.Events, whose.CreatedAt = id, "a", start.Add(at)
		_, err := s.CreateStream(t.Context(), whose, most)
		return err
	}
	mine := storage.Stream{Tenant: tenant, ClientID: "gateway"}
	for n, id := range []string{"polled", "oldest", "older"} {
		must(t, create(id, mine, time.Duration(n)*time.Second, 3))
	}
	must(t, s.Acknowledge(t.Context(), tenant, "gateway", "polled", 0, start.Add(10*time.Second)))
	must(t, create("another client's", storage.Stream{Tenant: tenant, ClientID: "other"}, 0, 1))
	must(t, create("another tenant's", storage.Stream{Tenant: "other", ClientID: "gateway"}, 0, 1))
	there := func(want ...string) {
		t.Helper()
		list, _, err := s.Streams(t.Context(), tenant)
		must(t, err)
		var ids []string
		for _, stream := range list {
			if stream.ClientID == "gateway" {
				ids = append(ids, stream.ID)
			}
		}
		slices.Sort(ids)
		same(t, "streams", ids, want)
	}
	wantError(t, "all are young", create("new", mine, storage.UnpolledFor-time.Millisecond, 3), storage.ErrTooMany)
	there("older", "oldest", "polled")
	must(t, create("new", mine, storage.UnpolledFor+2*time.Second, 3))
	there("new", "older", "polled")
	must(t, create("newer", mine, storage.UnpolledFor+2*time.Second, 3))
	there("new", "newer", "polled")
	wantError(t, "one is polled, the others are young", create("newest", mine, storage.UnpolledFor+3*time.Second, 3), storage.ErrTooMany)
	wantError(t, "less are allowed now, and not enough can make way", create("newest", mine, 2*storage.UnpolledFor+2*time.Second, 1), storage.ErrTooMany)
	there("new", "newer", "polled")
	must(t, create("newest", mine, 2*storage.UnpolledFor+2*time.Second, 2))
	there("newest", "polled")
}

// revokeUser makes one event.
func revokeUser(t *testing.T, s Store, name string) storage.Revocation {
	t.Helper()
	done, err := s.Revoke(t.Context(), storage.Revocation{Tenant: tenant, ID: "revocation " + name, Kind: storage.KindUser, Target: name, By: "operator", At: start})
	if err != nil {
		t.Fatalf("revoking %s: %v", name, err)
	}
	return done
}

func readFeed(t *testing.T, s Store, id string, limit int) storage.FeedPage {
	t.Helper()
	page, err := s.ReadFeed(t.Context(), tenant, "gateway", id, limit)
	must(t, err)
	return page
}

func testStreamBegins(t *testing.T, s Store) {
	before := revokeUser(t, s, "before")
	made := newStream(t, s, "one")
	same(t, "made", made, storage.Stream{Tenant: tenant, ID: "one", ClientID: "gateway", Description: "replica one", Events: "a b",
		Began: before.Sequence, Position: before.Sequence, CreatedAt: start, SeenAt: start})
	page := readFeed(t, s, "one", 10)
	same(t, "the stream", page.Stream, made)
	same(t, "events", page.Events, []storage.Revocation(nil))
	feed, err := s.FeedPosition(t.Context())
	must(t, err)
	same(t, "the feed", page.Feed, feed)
	if feed.Epoch == "" || feed.Sequence != before.Sequence {
		t.Errorf("the feed stands at %+v after sequence %d", feed, before.Sequence)
	}
	must(t, s.AskVerification(t.Context(), tenant, "gateway", "one", "state"))
	same(t, "verify", readFeed(t, s, "one", 10).Stream.Verify, "state")
}

func testFeedPages(t *testing.T, s Store) {
	newStream(t, s, "one")
	var all []storage.Revocation
	for i := range 5 {
		all = append(all, revokeUser(t, s, fmt.Sprint(i)))
	}
	same(t, "all", readFeed(t, s, "one", 10).Events, all)
	page := readFeed(t, s, "one", 2)
	same(t, "the first two", page.Events, all[:2])
	same(t, "where the feed stands", page.Feed.Sequence, all[4].Sequence)
	later := start.Add(time.Minute)
	must(t, s.Acknowledge(t.Context(), tenant, "gateway", "one", all[2].Sequence, later))
	page = readFeed(t, s, "one", 10)
	same(t, "what is left", page.Events, all[3:])
	same(t, "position", page.Stream.Position, all[2].Sequence)
	same(t, "seen", page.Stream.SeenAt, later)
	must(t, s.Acknowledge(t.Context(), tenant, "gateway", "one", all[0].Sequence, start))
	page = readFeed(t, s, "one", 10)
	same(t, "position after an older acknowledgement", page.Stream.Position, all[2].Sequence)
	same(t, "seen after an older acknowledgement", page.Stream.SeenAt, later)
}

// testFeedTenants: a page has no holes where other tenants revoked, and says whose each revocation is. So a transmitter can
// tell what it leaves out.
func testFeedTenants(t *testing.T, s Store) {
	newStream(t, s, "one")
	var all []storage.Revocation
	for i, whose := range []string{tenant, "other", "other", tenant, "third"} {
		done, err := s.Revoke(t.Context(), storage.Revocation{Tenant: whose, ID: fmt.Sprint("revocation ", i), Kind: storage.KindUser, Target: "u", By: "operator", At: start})
		must(t, err)
		if done.Sequence != int64(i+1) {
			t.Errorf("revocation %d has sequence %d", i, done.Sequence)
		}
		all = append(all, done)
	}
	same(t, "all", readFeed(t, s, "one", 10).Events, all)
	must(t, s.Acknowledge(t.Context(), tenant, "gateway", "one", 2, start))
	same(t, "what is left", readFeed(t, s, "one", 2).Events, all[2:4])
}

func testStreamOwners(t *testing.T, s Store) {
	newStream(t, s, "one")
	for _, c := range []struct{ tenant, client, id string }{{"other", "gateway", "one"}, {tenant, "other", "one"}, {tenant, "gateway", "two"}} {
		_, err := s.ReadFeed(t.Context(), c.tenant, c.client, c.id, 10)
		wantError(t, "read", err, storage.ErrNotFound)
		wantError(t, "acknowledge", s.Acknowledge(t.Context(), c.tenant, c.client, c.id, 1, start), storage.ErrNotFound)
		wantError(t, "verify", s.AskVerification(t.Context(), c.tenant, c.client, c.id, "x"), storage.ErrNotFound)
		wantError(t, "delete", s.DeleteStream(t.Context(), c.tenant, c.client, c.id), storage.ErrNotFound)
	}
	must(t, s.DeleteStream(t.Context(), tenant, "gateway", "one"))
	_, err := s.ReadFeed(t.Context(), tenant, "gateway", "one", 10)
	wantError(t, "after its end", err, storage.ErrNotFound)
}

func testApplied(t *testing.T, s Store) {
	newStream(t, s, "one")
	newStream(t, s, "two")
	first, second := revokeUser(t, s, "first"), revokeUser(t, s, "second")
	newStream(t, s, "late")
	at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	by := func(id string, n int) storage.Applied {
		return storage.Applied{StreamID: id, ClientID: "gateway", Description: "replica " + id, At: at(n)}
	}
	must(t, s.Acknowledge(t.Context(), tenant, "gateway", "one", first.Sequence, at(1)))
	must(t, s.Acknowledge(t.Context(), tenant, "gateway", "one", second.Sequence, at(2)))
	must(t, s.Acknowledge(t.Context(), tenant, "gateway", "two", second.Sequence, at(3)))
	applied := func(r storage.Revocation) []storage.Applied {
		list, err := s.Applied(t.Context(), tenant, r.Sequence)
		must(t, err)
		return list
	}
	same(t, "the first", applied(first), []storage.Applied{by("one", 1), by("two", 3)})
	same(t, "the second", applied(second), []storage.Applied{by("one", 2), by("two", 3)})
	streams, feed, err := s.Streams(t.Context(), tenant)
	must(t, err)
	same(t, "where the feed stands", feed.Sequence, second.Sequence)
	var ids []string
	for _, stream := range streams {
		ids = append(ids, stream.ID)
	}
	same(t, "streams", ids, []string{"late", "one", "two"})
	must(t, s.DeleteStream(t.Context(), tenant, "gateway", "two"))
	same(t, "after one has gone", applied(first), []storage.Applied{by("one", 1)})
}

func testRevoked(t *testing.T, s Store) {
	newStream(t, s, "one")
	wait := s.Revoked()
	_, a, _ := begin(t, s, "g1", storage.Births{})
	select {
	case <-wait:
		t.Error("woken by a write that revokes nothing")
	default:
	}
	revokeUser(t, s, "somebody")
	<-wait
	if got := len(readFeed(t, s, "one", 10).Events); got != 1 {
		t.Errorf("woken, and %d events are there", got)
	}
	wait = s.Revoked()
	_, err := s.Revoke(t.Context(), storage.Revocation{Tenant: tenant, ID: "r", Kind: storage.KindToken, Target: a.JTI, By: "operator", At: start})
	must(t, err)
	<-wait
}

// testSequence lets many revoke at once: the sequences have no holes, and a reader that goes on from the last one it saw
// misses none.
func testSequence(t *testing.T, s Store) {
	newStream(t, s, "one")
	const each, writers = 25, 8
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range each {
				if _, err := s.Revoke(t.Context(), storage.Revocation{Tenant: tenant, ID: fmt.Sprint(w, " ", i), Kind: storage.KindUser, Target: "u", By: "o", At: start}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := int64(1)
	for next <= each*writers {
		wait := s.Revoked()
		page := readFeed(t, s, "one", 1000)
		for _, event := range page.Events {
			if event.Sequence < next {
				t.Fatalf("sequence %d came after %d", event.Sequence, next-1)
			}
			if event.Sequence != next || event.Generation != next {
				t.Fatalf("sequence %d, generation %d, want %d", event.Sequence, event.Generation, next)
			}
			next++
		}
		if len(page.Events) == 0 {
			<-wait
			continue
		}
		must(t, s.Acknowledge(t.Context(), tenant, "gateway", "one", next-1, start))
	}
	running.Wait()
}

func testReadWithFeed(t *testing.T, s Store) {
	for _, kind := range []storage.Kind{storage.KindEverything, storage.KindTenant, storage.KindClient, storage.KindUser, storage.KindUserClient} {
		target := map[storage.Kind]string{storage.KindTenant: tenant, storage.KindClient: client, storage.KindUser: user, storage.KindUserClient: storage.UserClientID(user, client)}
		_, err := s.Revoke(t.Context(), storage.Revocation{Tenant: tenant, ID: string(kind), Kind: kind, Target: target[kind], By: "o", At: start})
		must(t, err)
	}
	births, err := s.Generations(t.Context(), tenant, client, user)
	must(t, err)
	same(t, "generations", births, storage.Births{Everything: 1, Tenant: 1, Client: 1, User: 1, UserClient: 1})
	_, a, _ := begin(t, s, "g1", births)
	found, err := s.FindAccess(t.Context(), tenant, a.Hash)
	must(t, err)
	same(t, "births", found.Grant.Births, births)
	same(t, "sequence", found.Feed.Sequence, int64(5))
}

func testEpoch(t *testing.T, s Store) {
	newStream(t, s, "one")
	_, a, _ := begin(t, s, "g1", storage.Births{})
	before, err := s.FeedPosition(t.Context())
	must(t, err)
	must(t, s.BeginEpoch(t.Context(), storage.Revocation{Tenant: tenant, ID: "restored", Kind: storage.KindEverything, By: "operator", At: start}))
	after, err := s.FeedPosition(t.Context())
	must(t, err)
	if after.Epoch == before.Epoch || after.Sequence != before.Sequence+1 {
		t.Errorf("the feed went from %+v to %+v", before, after)
	}
	found, err := s.FindAccess(t.Context(), tenant, a.Hash)
	must(t, err)
	same(t, "alive", found.Alive, false)
}

func testStreamSweep(t *testing.T, s Store) {
	newStream(t, s, "one")
	event := revokeUser(t, s, "u")
	must(t, s.Acknowledge(t.Context(), tenant, "gateway", "one", event.Sequence, start.Add(30*time.Minute)))
	sweep := func(at time.Duration) {
		_, err := s.Sweep(t.Context(), start.Add(at), 1000)
		must(t, err)
	}
	sweep(89 * time.Minute)
	if list, err := s.Applied(t.Context(), tenant, event.Sequence); err != nil || len(list) != 1 {
		t.Errorf("within the hour: %v, %v", list, err)
	}
	must(t, s.Acknowledge(t.Context(), tenant, "gateway", "one", 0, start.Add(89*time.Minute)))
	sweep(91 * time.Minute)
	if list, err := s.Applied(t.Context(), tenant, event.Sequence); err != nil || len(list) != 0 {
		t.Errorf("an acknowledgement that is an hour old: %v, %v", list, err)
	}
	readFeed(t, s, "one", 1)
	sweep(150 * time.Minute)
	_, err := s.ReadFeed(t.Context(), tenant, "gateway", "one", 1)
	wantError(t, "a stream that nobody polled for an hour", err, storage.ErrNotFound)
}
