package policy

import (
	"net/http"
	"slices"
	"strings"
)

// Table finds the route of a request. It never changes; many requests may use it at once.
type Table struct {
	exact      map[string]*methods // by path
	prefix     map[string]*methods // by the path before "/*"; "" for "/*" itself
	twins      map[string]bool     // see findTwins
	longest    int                 // length of the longest key of prefix: longer paths need not be tried
	operations map[string]*methods // by operation id
	routes     []*Route

	notFound  *Refusal
	malformed *Refusal
}

// methods holds the rules of one path.
type methods struct {
	named []namedMethod
	other *Route // for methods that named lacks; may be nil
	deny  *Refusal
}

// namedMethod is one method that a rule names. There are so few that a list is searched quicker than a map.
type namedMethod struct {
	name  string
	route *Route
}

// Compile builds a Table. When rules have faults it returns all of them and no table.
func Compile(rules []Rule) (*Table, []Fault) {
	if faults := check(rules); len(faults) > 0 {
		return nil, faults
	}
	t := &Table{
		exact: map[string]*methods{}, prefix: map[string]*methods{}, operations: map[string]*methods{},
		twins:    map[string]bool{},
		notFound: NotFound(), malformed: InvalidRequest("the path is not in normal form"),
	}
	for i, rule := range rules {
		route := newRoute(i, rule)
		t.routes = append(t.routes, route)
		into, key := t.exact, rule.Path
		if before, ok := strings.CutSuffix(rule.Path, "/*"); ok {
			into, key = t.prefix, before
			t.longest = max(t.longest, len(before))
		}
		if rule.OperationID != "" {
			into, key = t.operations, rule.OperationID
		}
		if into[key] == nil {
			into[key] = &methods{}
		}
		into[key].add(rule.Methods, route)
	}
	t.findTwins()
	return t, nil
}

// findTwins collects the paths that differ by the slash at their end, and by nothing else, from one with a rule of its
// own, and that no rule as specific is for.
func (t *Table) findTwins() {
	for path := range t.exact {
		base, slashed := strings.CutSuffix(path, "/")
		if twin := base + "/"; !slashed && t.prefix[base] == nil {
			t.twins[twin] = true
		} else if slashed && t.prefix[base] == nil {
			t.twins[base] = true
		}
	}
}

func (m *methods) add(names []string, route *Route) {
	if len(names) == 0 {
		m.other = route
	}
	for _, name := range names {
		m.named = append(m.named, namedMethod{name, route})
	}
	var allow []string
	for _, n := range m.named {
		allow = append(allow, n.name)
	}
	if m.find(http.MethodGet) != nil {
		allow = append(allow, http.MethodHead)
	}
	if m.other != nil {
		allow = append(allow, "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT") // the common ones of all others
	}
	slices.Sort(allow)
	m.deny = MethodNotAllowed(slices.Compact(allow))
}

func (m *methods) find(name string) *Route {
	for i := range m.named {
		if m.named[i].name == name {
			return m.named[i].route
		}
	}
	return nil
}

func (m *methods) route(method string) (*Route, *Refusal) {
	route := m.find(method)
	if route == nil && method == http.MethodHead {
		route = m.find(http.MethodGet)
	}
	if route == nil && isOrdinary(method) {
		route = m.other
	}
	if route == nil {
		return nil, m.deny
	}
	return route, nil
}

// isOrdinary tells whether a rule that names no methods is for this one too. A name that is not in capitals is no method
// we know (RFC 9110 section 9.1), and to many an API it is: "delete" is refused here lest it be DELETE there, under
// another rule than the one for DELETE.
func isOrdinary(method string) bool {
	for i := range len(method) {
		if c := method[i]; 'a' <= c && c <= 'z' {
			return false
		}
	}
	return !neverForwarded(method)
}

// neverForwarded tells whether no route takes this method. An API that answers TRACE sends back what it got, the
// phantom token included. CONNECT asks for a tunnel; under HTTP/2 and 3 (RFC 8441, RFC 9220) some programs make a GET of
// it, which another rule may be for.
func neverForwarded(method string) bool {
	return method == http.MethodConnect || method == http.MethodTrace
}

// Match returns the route of r, or why there is none. The most specific path wins: exact before prefix, longer before
// shorter. Its rules alone decide about the method: a less specific path never answers for it. Nor does it answer for
// the same path with or without a slash at the end, which many APIs take for the same: that needs a rule of its own.
func (t *Table) Match(r *http.Request) (*Route, *Refusal) {
	path, ok := normalPath(r.URL)
	if !ok {
		return nil, t.malformed
	}
	if m := t.exact[path]; m != nil {
		return m.route(r.Method)
	}
	if len(t.prefix) > 0 {
		if m := t.below(path); m != nil && !t.twins[path] {
			return m.route(r.Method)
		}
	}
	return nil, t.notFound
}

// below finds the longest prefix rule over path.
func (t *Table) below(path string) *methods {
	if len(path) > t.longest {
		// Cut at a segment border within reach, so that a very long path costs no more than a short one.
		path = path[:t.longest+1]
		path = path[:strings.LastIndexByte(path, '/')]
	}
	for {
		if m := t.prefix[path]; m != nil || path == "" {
			return m
		}
		path = path[:strings.LastIndexByte(path, '/')]
	}
}

// Operation returns the route of r, which the caller has matched to an operation by the segments of its path, or why there
// is none. A path that is not in normal form is refused, whatever it was matched to.
func (t *Table) Operation(id string, r *http.Request) (*Route, *Refusal) {
	if _, ok := normalPath(r.URL); !ok {
		return nil, t.malformed
	}
	if m := t.operations[id]; m != nil {
		return m.route(r.Method)
	}
	return nil, t.notFound
}

// Routes returns every route, each at its own Index. The caller must not change the slice.
func (t *Table) Routes() []*Route { return t.routes }
