package policy

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// alive is a token with both scopes of judgedRule, of a user who logged in a minute ago.
func alive() Facts {
	return Facts{
		Expires: noon.Add(time.Minute).UnixMilli(), AuthTime: noon.Add(-time.Minute).Unix(), Scopes: 0b11, ACR: "mfa",
	}
}

func judgedRule() Rule {
	return Rule{
		Path: "/a", Audience: "orders", All: []string{"orders.read"}, Any: []string{"orders.write", "orders.admin"},
		ACR: []string{"mfa", "hardware"}, MaxAge: 5 * time.Minute,
	}
}

func TestJudge(t *testing.T) {
	// Asked is sorted: orders.admin is bit 0, orders.read bit 1, orders.write bit 2.
	const admin, read, write = 0b001, 0b010, 0b100
	tests := map[string]struct {
		change func(*Facts)
		want   int // status; 0 passes
	}{
		"all and one of any":        {func(*Facts) {}, 0},
		"the other of any":          {func(f *Facts) { f.Scopes = read | write }, 0},
		"without all":               {func(f *Facts) { f.Scopes = admin | write }, 403},
		"without any":               {func(f *Facts) { f.Scopes = read }, 403},
		"without a scope":           {func(f *Facts) { f.Scopes = 0 }, 403},
		"other acr of the list":     {func(f *Facts) { f.ACR = "hardware" }, 0},
		"weak acr":                  {func(f *Facts) { f.ACR = "password" }, 401},
		"no acr":                    {func(f *Facts) { f.ACR = "" }, 401},
		"login just recent enough":  {func(f *Facts) { f.AuthTime = noon.Add(-5 * time.Minute).Unix() }, 0},
		"login too old":             {func(f *Facts) { f.AuthTime = noon.Add(-5*time.Minute - time.Second).Unix() }, 401},
		"no login":                  {func(f *Facts) { f.AuthTime = 0 }, 401},
		"login in the future":       {func(f *Facts) { f.AuthTime = noon.Add(time.Hour).Unix() }, 401},
		"login by a fast clock":     {func(f *Facts) { f.AuthTime = noon.Add(5 * time.Second).Unix() }, 0},
		"expired this moment":       {func(f *Facts) { f.Expires = noon.UnixMilli() }, 401},
		"a millisecond to live":     {func(f *Facts) { f.Expires = noon.UnixMilli() + 1 }, 0},
		"expired beats other flaws": {func(f *Facts) { *f = Facts{} }, 401},
	}
	table, faults := Compile([]Rule{judgedRule()})
	if faults != nil {
		t.Fatal(faults)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := alive()
			test.change(&facts)
			got := table.Routes()[0].Judge(facts, noon)
			if status := statusOf(got); status != test.want {
				t.Errorf("status %d, want %d (%v)", status, test.want, got)
			}
		})
	}
}

// TestJudgeChallenges pins what a client is told, so that it can ask for the right thing.
func TestJudgeChallenges(t *testing.T) {
	table, _ := Compile([]Rule{judgedRule()})
	route := table.Routes()[0]
	narrow, weak := alive(), alive()
	narrow.Scopes, weak.ACR = 0, ""
	if got, want := route.Judge(narrow, noon).Challenge, `scope="orders.admin orders.read orders.write"`; !strings.Contains(got, want) {
		t.Errorf("challenge %s lacks %s", got, want)
	}
	for _, want := range []string{`acr_values="mfa hardware"`, `max_age="300"`} {
		if got := route.Judge(weak, noon).Challenge; !strings.Contains(got, want) {
			t.Errorf("challenge %s lacks %s", got, want)
		}
	}
}

// TestZeroFactsPassNowhere: whatever a caller forgets to fill in must refuse.
func TestZeroFactsPassNowhere(t *testing.T) {
	for _, rule := range []Rule{
		{Path: "/", Audience: "a", All: []string{"a.read"}},
		{Path: "/", Audience: "a", Any: []string{"a.read"}},
	} {
		table, _ := Compile([]Rule{rule})
		if table.Routes()[0].Judge(Facts{}, noon) == nil {
			t.Errorf("%+v passed", rule)
		}
		if table.Routes()[0].Judge(Facts{Expires: noon.Add(time.Hour).UnixMilli()}, noon) == nil {
			t.Errorf("%+v passed a token without scopes", rule)
		}
	}
}

func statusOf(r *Refusal) int {
	if r == nil {
		return 0
	}
	return r.Status
}

func TestMaskIsOfDifferentScopesOnly(t *testing.T) {
	table, faults := Compile([]Rule{{Path: "/", Audience: "a", All: []string{"b", "a"}, Any: []string{"a", "c"}}})
	if faults != nil {
		t.Fatal(faults)
	}
	r := table.Routes()[0]
	if got := strings.Join(r.Asked(), " "); got != "a b c" {
		t.Errorf("asks for %q", got)
	}
	if r.all != 0b011 || r.any != 0b101 {
		t.Errorf("all %b, any %b", r.all, r.any)
	}
}

func request(method, target string) *http.Request {
	r, err := http.NewRequest(method, "http://api.example"+target, nil)
	if err != nil {
		panic(err)
	}
	return r
}
