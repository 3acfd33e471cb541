package feed_test

import (
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/feed"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// TestTooManyStreams: a client has as many as the issuer allows.
func TestTooManyStreams(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.stream()
	}
	create := func(client string) error {
		_, err := w.feed.Create(t.Context(), client, "one more", nil)
		return err
	}
	if err := create(gateway); !oauth.IsCode(err, oauth.TooManyStreams) || !strings.Contains(err.Error(), "feed.streams_per_client") {
		t.Errorf("the fourth: %v", err)
	}
	if err := create("catalog-gateway"); err != nil {
		t.Errorf("another client's first: %v", err)
	}
	w.issuer.Clock.Move(time.Minute)
	if err := create(gateway); err != nil { // none was ever polled
		t.Errorf("a minute later: %v", err)
	}
}

func TestStreamsOfOthers(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	for _, c := range []struct{ client, id string }{{"catalog-gateway", stream}, {gateway, "st_unknown"}, {gateway, ""}} {
		_, poll := w.feed.Poll(t.Context(), c.client, c.id, feed.Request{ReturnImmediately: true})
		_, find := w.feed.Find(t.Context(), c.client, c.id)
		for what, err := range map[string]error{"poll": poll, "find": find, "verify": w.feed.Verify(t.Context(), c.client, c.id, "s"),
			"delete": w.feed.Delete(t.Context(), c.client, c.id)} {
			if !oauth.IsCode(err, oauth.NotFound) {
				t.Errorf("%s of %q by %s: %v", what, c.id, c.client, err)
			}
		}
	}
	if err := w.feed.Delete(t.Context(), gateway, stream); err != nil {
		t.Error(err)
	}
	negative := -1
	if _, err := w.feed.Poll(t.Context(), gateway, w.stream(), feed.Request{MaxEvents: &negative}); !oauth.IsCode(err, oauth.InvalidRequest) {
		t.Errorf("maxEvents -1: %v", err)
	}
	if _, err := w.feed.Create(t.Context(), gateway, strings.Repeat("x", 201), nil); !oauth.IsCode(err, oauth.InvalidRequest) {
		t.Errorf("a long description: %v", err)
	}
}

// TestStillThere: a stream with nothing to acknowledge is noted as seen, but not at every poll.
func TestStillThere(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	seen := func() time.Time {
		found, err := w.feed.Find(t.Context(), gateway, stream)
		if err != nil {
			t.Fatal(err)
		}
		return found.SeenAt
	}
	w.issuer.Clock.Move(4 * time.Second)
	w.now(stream)
	if got := seen().Sub(grantstest.Start); got != 0 {
		t.Errorf("after 4s it was seen after %v", got)
	}
	w.issuer.Clock.Move(2 * time.Second)
	w.now(stream)
	if got := seen().Sub(grantstest.Start); got != 6*time.Second {
		t.Errorf("after 6s it was seen after %v", got)
	}
}
