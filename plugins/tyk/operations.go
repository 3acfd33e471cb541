package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// operations finds the operation of an OpenAPI definition that a request is for. Of several path templates that fit, the one
// wins that is literal where the others have a parameter, from left to right, as OpenAPI 3.0 has it.
//
// A rule for the very path of a request is more specific than any template with parameters.
type operations struct {
	listenPath string // without a slash at its end
	root       node
	named      map[string]bool // the operations that routes name
	exact      map[string]bool // the paths that routes name
}

// node is a place in the tree of path segments.
type node struct {
	literal  map[string]*node
	patterns []patternNode
	ids      map[string]string // operation by method; only where a template ends
}

// patternNode is what follows a segment with parameters.
type patternNode struct {
	source string // "{}" in place of each parameter
	expr   *regexp.Regexp
	next   *node
}

// newOperations returns what matches requests to the operations that config's routes name; nil when they name none.
func newOperations(doc document, config gateway.Config) (*operations, error) {
	named := map[string]string{} // to the field that names it
	for i, route := range config.Routes {
		if route.OperationID != "" {
			named[route.OperationID] = fmt.Sprintf("routes[%d].operationId", i)
		}
	}
	if len(named) == 0 {
		return nil, nil
	}
	if doc.operations == nil {
		return nil, errors.New("routes name operations, which only an OAS definition has; write paths")
	}
	if strings.ContainsAny(doc.listenPath, "{}") {
		return nil, errors.New("routes name operations, and the listen path has parameters; write paths")
	}
	o := &operations{listenPath: strings.TrimSuffix(doc.listenPath, "/"), named: map[string]bool{}, exact: map[string]bool{}}
	for id := range named {
		o.named[id] = true
	}
	for _, route := range config.Routes {
		o.exact[route.Path] = true
	}
	var faults []error
	found := map[string]bool{}
	for _, template := range slices.Sorted(maps.Keys(doc.operations)) {
		for method, op := range doc.operations[template] {
			if field := named[op.ID]; field != "" && o.exact[o.listenPath+template] {
				faults = append(faults, fmt.Errorf("%s: another route has the operation's path %s; keep one of the two", field, o.listenPath+template))
			}
			if twin := o.root.add(template, method, op.ID); twin != "" {
				faults = append(faults, fmt.Errorf("the operations %s and %s have the same method and path; rename neither, remove one", twin, op.ID))
			}
			found[op.ID] = true
		}
	}
	for id := range found {
		delete(named, id)
	}
	for _, id := range slices.Sorted(maps.Keys(named)) {
		faults = append(faults, fmt.Errorf("%s: there is no operation %q in the definition", named[id], id))
	}
	return o, errors.Join(faults...)
}

// parameter is a parameter of a path template.
var parameter = regexp.MustCompile(`\{[^{}]*\}`)

// add puts an operation into the tree. It returns another's id when that is there already.
func (n *node) add(template, method, id string) (twin string) {
	for segment := range strings.SplitSeq(strings.TrimPrefix(template, "/"), "/") {
		n = n.next(segment)
	}
	if n.ids == nil {
		n.ids = map[string]string{}
	}
	if twin = n.ids[method]; twin == "" {
		n.ids[method] = id
	}
	return twin
}

func (n *node) next(segment string) *node {
	if !parameter.MatchString(segment) {
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[segment] == nil {
			n.literal[segment] = &node{}
		}
		return n.literal[segment]
	}
	source := parameter.ReplaceAllString(segment, "{}")
	for _, p := range n.patterns {
		if p.source == source {
			return p.next
		}
	}
	parts := strings.Split(source, "{}")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	p := patternNode{source: source, expr: regexp.MustCompile("^" + strings.Join(parts, "[^/]+") + "$"), next: &node{}}
	n.patterns = append(n.patterns, p)
	// The more there is of literal text, the more specific it is.
	slices.SortStableFunc(n.patterns, func(a, b patternNode) int { return len(b.source) - len(a.source) })
	return p.next
}

// match returns the id of the operation that r is for, if it is one that routes name, else "": then r goes by its path. found is
// false when r is not below the listen path. Whether the path is in normal form is not looked at here.
func (o *operations) match(r *http.Request) (id string, found bool) {
	path, found := strings.CutPrefix(r.URL.Path, o.listenPath)
	if !found || !strings.HasPrefix(path, "/") {
		return "", false
	}
	id, literal := o.root.find(path[1:], r.Method)
	if !o.named[id] || !literal && o.exact[r.URL.Path] {
		return "", true
	}
	return id, true
}

// nameless stands for an operation without an id: it is one, and no route names it.
const nameless = "\x00"

// find returns the operation at a path, "" if there is none, and whether its template has no parameter.
func (n *node) find(path, method string) (id string, literal bool) {
	segment, rest, more := strings.Cut(path, "/")
	if next := n.literal[segment]; next != nil {
		if id, literal := next.below(rest, more, method); id != "" {
			return id, literal
		}
	}
	for _, p := range n.patterns {
		if p.expr.MatchString(segment) {
			if id, _ := p.next.below(rest, more, method); id != "" {
				return id, false
			}
		}
	}
	return "", false
}

// below goes on with what follows a segment.
func (n *node) below(rest string, more bool, method string) (id string, literal bool) {
	if more {
		return n.find(rest, method)
	}
	if id := n.ids[method]; id != "" || method != http.MethodHead {
		return id, true
	}
	return n.ids[http.MethodGet], true
}
