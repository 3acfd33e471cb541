package policy

import (
	"bytes"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRefusalsOnTheWire pins every refusal as the client gets it.
func TestRefusalsOnTheWire(t *testing.T) {
	var got bytes.Buffer
	for _, r := range []*Refusal{
		NotFound(), MethodNotAllowed([]string{"GET", "HEAD"}), InvalidRequest("the path is not in normal form"),
		NoToken(), InvalidToken(), InsufficientScope([]string{"a.read", "a.write"}),
		InsufficientAuthentication([]string{"mfa"}, 5*time.Minute), InsufficientAuthentication(nil, time.Minute),
		IssuerError(), Unavailable(0), Unavailable(1001 * time.Millisecond), IssuerTimeout(), ServerError(),
	} {
		w := httptest.NewRecorder()
		r.Write(w)
		fmt.Fprintf(&got, "%d\n", w.Code)
		var names []string
		for name := range w.Header() {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&got, "%s: %s\n", name, w.Header()[name])
		}
		fmt.Fprintf(&got, "\n%s\n", w.Body)
	}
	const golden = "testdata/refusals.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", golden, got.Bytes())
	}
}
