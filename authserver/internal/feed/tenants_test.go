package feed_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/feed"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// TestOtherTenants: what another tenant revokes is said to be skipped, and moves the stream on only when its receiver says
// that it knows.
func TestOtherTenants(t *testing.T) {
	w := newWorld(t)
	stream := w.stream()
	w.revokeIn("other", 2)
	w.revoke(1)
	w.revokeIn("third", 1)
	epoch := w.now(stream).Epoch
	at := func(sequence string, ack ...string) feed.Answer {
		t.Helper()
		return w.poll(stream, feed.Request{ReturnImmediately: true, Position: epoch + "." + sequence, Ack: ack})
	}
	skipped := func(a feed.Answer, want ...int64) {
		t.Helper()
		if !slices.Equal(a.Skipped, want) {
			t.Errorf("skipped %v, want %v", a.Skipped, want)
		}
	}
	// The poll before said nothing of a position: the first two were passed over.
	a := at("0")
	w.at(a, 2, 4, "3")
	skipped(a, 4)
	a = at("2", epoch+".3")
	w.at(a, 3, 4) // it does not know of the fourth yet
	skipped(a, 4)
	a = at("4")
	w.at(a, 4, 4)
	skipped(a)
	// An answer that got lost is given again: the receiver is where it was, and finds no gap.
	w.revokeIn("other", 1)
	for range 2 {
		a = at("4")
		w.at(a, 4, 5)
		skipped(a, 5)
	}
	// Of everything, every tenant hears.
	if _, err := w.issuer.Store.Revoke(t.Context(), storage.Revocation{Tenant: "other", ID: "all", Kind: storage.KindEverything, By: "operator", At: w.issuer.Clock.Now()}); err != nil {
		t.Fatal(err)
	}
	a = at("5")
	w.at(a, 5, 6, "6")
	skipped(a)
}

// TestALongWayOfOthers: a page of nothing but another tenant's does not hold up a stream, with a position or without.
func TestALongWayOfOthers(t *testing.T) {
	for _, says := range []bool{true, false} {
		t.Run(fmt.Sprintf("says where it is: %t", says), func(t *testing.T) {
			w := newWorld(t)
			stream := w.stream()
			var r feed.Request
			if epoch := w.now(stream).Epoch; says {
				r.Position = epoch + ".0"
			}
			w.revokeIn("other", 2500)
			w.revoke(1)
			for n := range 3 {
				a := w.poll(stream, r)
				if len(a.Sets) == 1 {
					if says && n != 2 || !says && n != 0 {
						t.Errorf("the event came with answer %d", n+1)
					}
					return
				}
				if says {
					r.Position = fmt.Sprintf("%s.%d", a.Epoch, a.To)
				}
			}
			t.Error("the event did not come")
		})
	}
}
