package gateway

import (
	"os"
	"regexp"
	"testing"
)

// What the page shows is what an operator pastes.
func TestKeepYourIssuerJSON(t *testing.T) {
	page, err := os.ReadFile("../../docs/keep-your-issuer.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1)
	if len(shown) == 0 {
		t.Fatal("the page shows no JSON")
	}
	for _, block := range shown {
		if _, err := Parse(block[1]); err != nil {
			t.Errorf("%v\n%s", err, block[1])
		}
	}
}
