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
	longest    int                 // length of the longest key of prefix: longer paths need not be tried
	operations map[string]*methods // by operation id

	notFound  *Refusal
	malformed *Refusal
}

// methods holds the rules of one path.
type methods struct {
	named map[string]*Route
	other *Route // for methods that named lacks; may be nil
	deny  *Refusal
}

// Compile builds a Table. When rules have faults it returns all of them and no table.
func Compile(rules []Rule) (*Table, []Fault) {
	if faults := check(rules); len(faults) > 0 {
		return nil, faults
	}
	t := &Table{
		exact: map[string]*methods{}, prefix: map[string]*methods{}, operations: map[string]*methods{},
		notFound: NotFound(), malformed: InvalidRequest("the path is not in normal form"),
	}
	for _, rule := range rules {
		into, key := t.exact, rule.Path
		if before, ok := strings.CutSuffix(rule.Path, "/*"); ok {
			into, key = t.prefix, before
			t.longest = max(t.longest, len(before))
		}
		if rule.OperationID != "" {
			into, key = t.operations, rule.OperationID
		}
		if into[key] == nil {
			into[key] = &methods{named: map[string]*Route{}}
		}
		into[key].add(rule.Methods, newRoute(rule))
	}
	return t, nil
}

func (m *methods) add(names []string, route *Route) {
	if len(names) == 0 {
		m.other = route
	}
	for _, name := range names {
		m.named[name] = route
	}
	var allow []string
	for name := range m.named {
		allow = append(allow, name)
	}
	if m.named[http.MethodGet] != nil && m.named[http.MethodHead] == nil {
		allow = append(allow, http.MethodHead)
	}
	slices.Sort(allow)
	m.deny = MethodNotAllowed(allow)
}

func (m *methods) route(method string) (*Route, *Refusal) {
	if r := m.named[method]; r != nil {
		return r, nil
	}
	if method == http.MethodHead {
		if r := m.named[http.MethodGet]; r != nil {
			return r, nil
		}
	}
	if m.other != nil {
		return m.other, nil
	}
	return nil, m.deny
}

// Match returns the route of r, or why there is none. The most specific path wins: exact before prefix, longer before
// shorter. Its rules alone decide about the method: a less specific path never answers for it.
func (t *Table) Match(r *http.Request) (*Route, *Refusal) {
	path, ok := normalPath(r.URL)
	if !ok {
		return nil, t.malformed
	}
	if m := t.exact[path]; m != nil {
		return m.route(r.Method)
	}
	if len(t.prefix) > 0 {
		if m := t.below(path); m != nil {
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

// Operation returns the route of an operation that the caller has matched, or why there is none. The caller answers
// for the path: it is not looked at here.
func (t *Table) Operation(id, method string) (*Route, *Refusal) {
	if m := t.operations[id]; m != nil {
		return m.route(method)
	}
	return nil, t.notFound
}

// Routes calls yield for every route.
func (t *Table) Routes(yield func(*Route) bool) {
	for _, byKey := range []map[string]*methods{t.exact, t.prefix, t.operations} {
		for _, m := range byKey {
			if m.other != nil && !yield(m.other) {
				return
			}
			for _, r := range m.named {
				if !yield(r) {
					return
				}
			}
		}
	}
}
