package audiences

import (
	"slices"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

var declared = []config.Audience{
	{Name: "eventcatalog", Scopes: []config.Scope{{Name: "eventcatalog.read", Title: "See events"}, {Name: "eventcatalog.write"}}, Claims: []string{"region"}},
	{Name: "basket", Scopes: []config.Scope{{Name: "basket.read"}}},
}

func TestCatalogue(t *testing.T) {
	c, err := New(declared)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ scopes, want []string }{
		{nil, []string{}},
		{[]string{"openid", "unknown", ""}, []string{}},
		{[]string{"basket.read", "eventcatalog.write", "eventcatalog.read"}, []string{"eventcatalog", "basket"}},
		{[]string{"basket.read", "openid"}, []string{"basket"}},
	} {
		if got := c.Of(tc.scopes); !slices.Equal(got, tc.want) {
			t.Errorf("Of(%q) = %q, want %q", tc.scopes, got, tc.want)
		}
	}
	if scope, audience, ok := c.Scope("eventcatalog.read"); !ok || audience != "eventcatalog" || scope.Title != "See events" {
		t.Error(scope, audience, ok)
	}
	if _, _, ok := c.Scope("openid"); ok {
		t.Error("openid belongs to an audience")
	}
	if a, ok := c.Audience("eventcatalog"); !ok || !slices.Equal(a.Claims, []string{"region"}) {
		t.Error(a, ok)
	}
	if _, ok := c.Audience(""); ok {
		t.Error("found an audience without a name")
	}
}

func TestNewRefusesWhatIsTwice(t *testing.T) {
	for _, twice := range [][]config.Audience{
		{declared[0], declared[0]},
		{{Name: ""}},
		{{Name: "a", Scopes: []config.Scope{{Name: "s"}}}, {Name: "b", Scopes: []config.Scope{{Name: "s"}}}},
	} {
		if _, err := New(twice); err == nil {
			t.Errorf("accepted %v", twice)
		}
	}
}
