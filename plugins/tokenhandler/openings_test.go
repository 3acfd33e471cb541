package tokenhandler

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestOpeningsAreBounded: however many values come, some thousands are kept, the newest among them.
func TestOpeningsAreBounded(t *testing.T) {
	var o openings
	value := func(i int) string { return fmt.Sprintf("value %08d", i) }
	const many = 20 * openingShards * openingEntries
	for i := range many {
		o.put(value(i), []byte{1})
	}
	kept := 0
	for i := range o.shards {
		kept += len(o.shards[i].young) + len(o.shards[i].old)
	}
	if most := 2 * openingShards * openingEntries; kept > most {
		t.Errorf("%d values are kept, %d at most was meant", kept, most)
	}
	if o.get(value(many-1)) == nil || o.get(value(0)) != nil {
		t.Error("the newest is not known, or the oldest still is")
	}
	for _, odd := range []string{"", "x", strings.Repeat("x", longestOpening+1)} {
		o.put(odd, []byte{1})
		if o.get(odd) != nil {
			t.Errorf("a value of %d bytes is kept", len(odd))
		}
	}
}

// TestOnlyWhatOpensIsKept: made-up values leave nothing behind, and what is known of a session does not outlive it.
func TestOnlyWhatOpensIsKept(t *testing.T) {
	w := newWalk(t)
	browser := w.loggedIn()
	request := browser.request(http.MethodGet, "/api/orders", "")
	for range 2 {
		if _, refusal := w.handler.Open(request); refusal != nil {
			t.Fatal(refusal)
		}
	}
	known := func() (n int) {
		for i := range w.handler.sealer.opened.shards {
			n += len(w.handler.sealer.opened.shards[i].young)
		}
		return n
	}
	if n := known(); n != 1 {
		t.Errorf("one browser's requests leave %d opened values", n)
	}
	for _, a := range attacks(t, w) {
		bad := browser.request(http.MethodGet, "/api/orders", "")
		bad.Header.Del("Cookie")
		for name, value := range a.cookies {
			bad.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		before := known()
		if _, refusal := w.handler.Open(bad); refusal != nil && known() > before {
			t.Errorf("%s was refused, and is kept", a.name)
		}
	}
	browser.post("/logout", "").is(http.StatusOK)
	if _, refusal := w.handler.Open(request); refusal == nil {
		t.Error("a known cookie outlives the logout of its session")
	}
}
