package policy

import (
	"net/http"
	"strings"
	"testing"
)

// named makes a rule that can be told from others by its audience.
func named(path, audience string, methods ...string) Rule {
	return Rule{Path: path, Methods: methods, Audience: audience, All: []string{"s"}}
}

func TestMatch(t *testing.T) {
	table, faults := Compile([]Rule{
		named("/a/*", "a-below"),
		named("/a/b", "a-b-get", "GET"),
		named("/a/b", "a-b-other"),
		named("/a/b/*", "a-b-below"),
		named("/a/c", "a-c-post", "POST", "PUT"),
		named("/a/d/", "a-d"),
		named("/head", "get", "GET"), named("/head", "head", "HEAD"),
		named("/slash/", "slash"),
		{Path: "/open", Open: true},
		{OperationID: "listOrders", Methods: []string{"GET"}, Audience: "operation", All: []string{"s"}},
	})
	if faults != nil {
		t.Fatal(faults)
	}
	tests := []struct{ method, target, want string }{
		{"GET", "/a", "a-below"},
		{"GET", "/a/", "a-below"},
		{"GET", "/a/x/y/z", "a-below"},
		{"GET", "/ab", "404"},
		{"GET", "/", "404"},
		{"GET", "/A/b", "404"},
		{"GET", "/a/b", "a-b-get"},
		{"HEAD", "/a/b", "a-b-get"},
		{"DELETE", "/a/b", "a-b-other"},
		{"GET", "/a/b/", "a-b-below"},
		{"GET", "/a/b/c?x=//..;", "a-b-below"},
		{"GET", "/a/%62", "a-b-get"},
		// The most specific path has no rule for GET: the one above it does not answer in its place.
		{"GET", "/a/c", "405 POST, PUT"},
		{"POST", "/a/c", "a-c-post"},
		{"HEAD", "/head", "head"},
		{"get", "/head", "405 GET, HEAD"},
		{"GET", "/slash", "404"},
		{"GET", "/slash/", "slash"},
		{"get", "/open", "405 DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"},
		{"QUERY", "/open", "open"},
		// Many an API takes "delete" for DELETE, answers TRACE with the phantom token, or is sent a GET for a CONNECT.
		{"delete", "/a/b", "405 DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"},
		{"TRACE", "/a/b", "405 DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"},
		{"CONNECT", "/a/b", "405 DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"},
		// Many an API takes a path with and without a slash at the end for the same: the rule above does not answer for it.
		{"POST", "/a/c/", "404"},
		{"GET", "/a/d", "404"},
		{"GET", "/a/d/", "a-d"},
		{"GET", "/listOrders", "404"},
		{"GET", "/a/b;x", "400"},
		{"GET", "/a/../open", "400"},
		{"GET", "/a/b%3f", "400"},
		{"GET", "/a/b%23", "400"},
		{"GET", "/a" + strings.Repeat("/x", 10_000), "a-below"},
	}
	for _, test := range tests {
		route, refusal := table.Match(request(test.method, test.target))
		if got := describe(route, refusal); got != test.want {
			t.Errorf("%s %.40s: %s, want %s", test.method, test.target, got, test.want)
		}
	}
	for _, test := range []struct{ id, target, want string }{
		{"listOrders", "/anywhere", "operation"},
		{"unknown", "/anywhere", "404"},
		{"listOrders", "/any/../where", "400"},
	} {
		if got := describe(table.Operation(test.id, request("HEAD", test.target))); got != test.want {
			t.Errorf("operation %s at %s: %s, want %s", test.id, test.target, got, test.want)
		}
	}
}

func describe(route *Route, refusal *Refusal) string {
	switch {
	case refusal != nil && refusal.Allow != "":
		return "405 " + refusal.Allow
	case refusal != nil:
		return strings.Fields(refusal.Error())[0]
	case route.Open():
		return "open"
	}
	return route.Audience()
}

func TestRootPrefixMatchesEverything(t *testing.T) {
	table, faults := Compile([]Rule{named("/*", "all"), named("/", "root")})
	if faults != nil {
		t.Fatal(faults)
	}
	for target, want := range map[string]string{"/": "root", "/x": "all", "/x/y/": "all"} {
		route, refusal := table.Match(request("GET", target))
		if got := describe(route, refusal); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	table, _ := Compile([]Rule{named("/a/b", "x"), named("/c/*", "y")})
	for _, r := range []*http.Request{request("GET", "/a/b"), request("GET", "/c/d/e/f"), request("GET", "/none")} {
		if n := testing.AllocsPerRun(100, func() { table.Match(r) }); n != 0 {
			t.Errorf("%s: %v allocations", r.URL.Path, n)
		}
	}
}

func TestCompileReportsEveryFault(t *testing.T) {
	scopes := make([]string, MaxScopes+1)
	for i := range scopes {
		scopes[i] = "s" + strings.Repeat("x", i)
	}
	tests := []struct {
		rule   Rule
		fields []string
	}{
		{Rule{}, []string{"path", "audience", "scopes"}},
		{Rule{Path: "/x", OperationID: "x", Open: true}, []string{"operationId"}},
		{Rule{Path: "x", Open: true}, []string{"path"}},
		{Rule{Path: "/x//y", Open: true}, []string{"path"}},
		{Rule{Path: "/x/../y", Open: true}, []string{"path"}},
		{Rule{Path: "/%78", Open: true}, []string{"path"}},
		{Rule{Path: "/x;y", Open: true}, []string{"path"}},
		{Rule{Path: "/x?y", Open: true}, []string{"path"}},
		{Rule{Path: "/x*", Open: true}, []string{"path"}},
		{Rule{Path: "/*/x", Open: true}, []string{"path"}},
		{Rule{Path: "/x//*", Open: true}, []string{"path"}},
		{Rule{Path: "*", Open: true}, []string{"path"}},
		{Rule{Path: "/x", Open: true, Methods: []string{"get", "", "GET", "GET", "G T"}}, []string{"methods[0]", "methods[1]", "methods[3]", "methods[4]"}},
		{Rule{Path: "/x", Open: true, Methods: []string{"TRACE", "CONNECT"}}, []string{"methods[0]", "methods[1]"}},
		{Rule{Path: "/x", Open: true, Audience: "a", All: []string{"s"}, Any: []string{"s"}, ACR: []string{"1"}, MaxAge: 1},
			[]string{"audience", "scopes.all", "scopes.any", "acr", "maxAge"}},
		{Rule{Path: "/x", Audience: "a b", All: []string{"", "s s", "s", "s"}, Any: []string{`"`}, ACR: []string{"\\"}, MaxAge: 1},
			[]string{"audience", "scopes.all[0]", "scopes.all[1]", "scopes.all[3]", "scopes.any[0]", "acr[0]", "maxAge"}},
		{Rule{Path: "/x", Audience: "a", All: scopes}, []string{"scopes"}},
	}
	for _, test := range tests {
		table, faults := Compile([]Rule{test.rule})
		var fields []string
		for _, f := range faults {
			fields = append(fields, f.Field)
		}
		if got, want := strings.Join(fields, " "), strings.Join(test.fields, " "); got != want || table != nil {
			t.Errorf("%+v:\n got faults in %s\nwant faults in %s", test.rule, got, want)
		}
	}
}

func TestCompileReportsOverlaps(t *testing.T) {
	_, faults := Compile([]Rule{
		named("/a", "x", "GET", "PUT"), named("/a", "y", "PUT"), // PUT twice
		named("/b", "x"), named("/b", "y"), // both for all methods
		named("/c", "x", "GET"), named("/c", "y"), named("/c/*", "z", "GET"), // no overlap
		{OperationID: "o", Open: true}, {OperationID: "o", Open: true},
	})
	var rules []int
	for _, f := range faults {
		rules = append(rules, f.Rule)
	}
	if len(rules) != 3 || rules[0] != 1 || rules[1] != 3 || rules[2] != 8 {
		t.Errorf("faults: %v", faults)
	}
}
