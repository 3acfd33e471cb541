package policy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Fault is one thing wrong with one rule.
type Fault struct {
	// Rule is the rule's index.
	Rule int
	// Field is the field as the configuration names it, such as "scopes.all", or empty for the rule as a whole.
	Field string
	// Problem says what is wrong and what to write instead.
	Problem string
}

// check returns every fault of rules.
func check(rules []Rule) []Fault {
	var faults []Fault
	for i, rule := range rules {
		c := checker{index: i}
		c.target(rule)
		c.methods(rule.Methods)
		if rule.Open {
			c.open(rule)
		} else {
			c.asks(rule)
		}
		faults = append(faults, c.faults...)
	}
	return append(faults, overlaps(rules)...)
}

type checker struct {
	index  int
	faults []Fault
}

func (c *checker) fault(field, format string, args ...any) {
	c.faults = append(c.faults, Fault{Rule: c.index, Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (c *checker) target(rule Rule) {
	switch {
	case rule.Path == "" && rule.OperationID == "":
		c.fault("path", `missing; name the path this rule is for, such as "/api/orders" or "/api/*"`)
	case rule.Path != "" && rule.OperationID != "":
		c.fault("operationId", "given beside path; keep one of the two")
	case rule.Path != "":
		c.path(rule.Path)
	}
}

func (c *checker) path(path string) {
	before, _ := strings.CutSuffix(path, "/*")
	if strings.Contains(before, "*") {
		c.fault("path", `"*" stands only at the end, after a slash: "/api/*"`)
		return
	}
	if before == "" && path == "/*" {
		return
	}
	if _, ok := normalPath(&url.URL{Path: before}); !ok || before != "/" && strings.HasSuffix(before, "/") && path != before {
		c.fault("path", "%q is not in normal form; begin with one slash, write it unescaped, without empty, \".\" or \"..\" segments, \";\", \"\\\", \"?\", \"#\" or \"%%\"", path)
	}
}

func (c *checker) methods(methods []string) {
	for i, m := range methods {
		field := fmt.Sprintf("methods[%d]", i)
		switch {
		case !isToken(m) || m != strings.ToUpper(m):
			c.fault(field, "%q is not a method; write it in capitals, such as \"GET\"", m)
		case neverForwarded(m):
			c.fault(field, "%s is never forwarded; remove it: %s", m, "CONNECT asks for a tunnel, TRACE would show the client its phantom token")
		case slices.Contains(methods[:i], m):
			c.fault(field, "%s is given twice; keep one", m)
		}
	}
}

// open checks that an open rule asks for nothing: a rule that says both would be misread by somebody.
func (c *checker) open(rule Rule) {
	const fix = "an open route asks for no token; remove this, or remove open"
	given := map[string]bool{
		"audience": rule.Audience != "", "scopes.all": len(rule.All) > 0, "scopes.any": len(rule.Any) > 0,
		"acr": len(rule.ACR) > 0, "maxAge": rule.MaxAge != 0,
	}
	for _, field := range []string{"audience", "scopes.all", "scopes.any", "acr", "maxAge"} {
		if given[field] {
			c.fault(field, fix)
		}
	}
}

func (c *checker) asks(rule Rule) {
	if rule.Audience == "" {
		c.fault("audience", "missing; name the API's audience, or say open: true")
	} else if !isScopeToken(rule.Audience) {
		c.fault("audience", "%q has a character that is not allowed; use visible ASCII without blanks, quotes and backslashes", rule.Audience)
	}
	if len(rule.All) == 0 && len(rule.Any) == 0 {
		c.fault("scopes", "missing; name at least one scope under all or any, or say open: true")
	}
	if len(askedScopes(rule)) > MaxScopes {
		c.fault("scopes", "names more than %d scopes; split the route", MaxScopes)
	}
	c.words("scopes.all", rule.All)
	c.words("scopes.any", rule.Any)
	c.words("acr", rule.ACR)
	if rule.MaxAge < 0 || rule.MaxAge%time.Second != 0 {
		c.fault("maxAge", "must be whole seconds, such as \"5m\"")
	}
}

func (c *checker) words(field string, words []string) {
	for i, w := range words {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !isScopeToken(w):
			c.fault(at, "%q is not one name; use visible ASCII without blanks, quotes and backslashes", w)
		case slices.Contains(words[:i], w):
			c.fault(at, "%q is given twice; keep one", w)
		}
	}
}

// overlaps finds rules that answer for the same path and method.
func overlaps(rules []Rule) []Fault {
	type place struct{ path, operation, method string }
	first := map[place]int{}
	var faults []Fault
	for i, rule := range rules {
		names := rule.Methods
		if len(names) == 0 {
			names = []string{""} // all others
		}
		for _, name := range names {
			p := place{rule.Path, rule.OperationID, name}
			if p.path == "" && p.operation == "" {
				continue // reported already
			}
			earlier, taken := first[p]
			if !taken {
				first[p] = i
				continue
			}
			if earlier == i {
				continue // one method twice in one rule: reported already
			}
			what := "methods"
			problem := fmt.Sprintf("%s is taken by routes[%d] for the same path; keep one", name, earlier)
			if name == "" {
				problem = fmt.Sprintf("routes[%d] is for the same path and names no methods either; name the methods of one", earlier)
			}
			faults = append(faults, Fault{Rule: i, Field: what, Problem: problem})
		}
	}
	return faults
}

// isScopeToken tells whether s is one scope-token of RFC 6749 section 3.3, which is also safe inside quotes.
func isScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// isToken tells whether s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letterOrDigit := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !letterOrDigit && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
