package consistency

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// token is what can end a token: the names of its reaches, the grant's last but one and its own last.
type token struct {
	name    string // the access reference
	reaches []string
	grant   string

	answered time.Duration // when it was given out, at the latest
}

// input is a question to the issuer, or a request to a gateway.
type input struct {
	kind  string // issue, introspect, refresh, exchange or revoke; call: at a gateway
	token string // introspect, exchange and call: which
	grant string // refresh: whose
	reach string // revoke: which
}

// output is its answer.
type output struct {
	ok   bool
	made token // issue and refresh
}

// state is what the issuer should know: the tokens that are alive, and the grants.
type state struct {
	tokens map[string][]string // by name, their reaches
	grants map[string][]string
}

func (s state) clone() state { return state{maps.Clone(s.tokens), maps.Clone(s.grants)} }

// model is an issuer to which things happen one after the other.
func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{map[string][]string{}, map[string][]string{}} },
		Step: func(s, in, out any) (bool, any) { return step(s.(state), in.(input), out.(output)) },
		Equal: func(a, b any) bool {
			same := func(x, y map[string][]string) bool {
				return maps.EqualFunc(x, y, func([]string, []string) bool { return true })
			}
			return same(a.(state).tokens, b.(state).tokens) && same(a.(state).grants, b.(state).grants)
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
	}
}

func step(s state, in input, out output) (bool, any) {
	switch in.kind {
	case "issue": // to be refused is no fault: a revocation may have come between the parts of a login
		if !out.ok {
			return true, s
		}
		s = s.clone()
		s.tokens[out.made.name] = out.made.reaches
		s.grants[out.made.grant] = out.made.reaches[:len(out.made.reaches)-1]
		return true, s
	case "introspect", "exchange", "call":
		_, alive := s.tokens[in.token]
		return out.ok == alive, s
	case "refresh":
		reaches, alive := s.grants[in.grant]
		if out.ok != alive || !alive {
			return out.ok == alive, s
		}
		s = s.clone()
		s.tokens[out.made.name] = append(slices.Clone(reaches), out.made.name)
		return true, s
	default: // revoke
		if !out.ok {
			return true, s
		}
		s = s.clone()
		ended := func(_ string, reaches []string) bool { return slices.Contains(reaches, in.reach) }
		maps.DeleteFunc(s.tokens, ended)
		maps.DeleteFunc(s.grants, ended)
		return true, s
	}
}

// reachesOf names everything that ends a token, the widest first.
func reachesOf(client, user, session, grant, name string) []string {
	all := []string{"everything", "tenant", "client " + client}
	if user != "" {
		all = append(all, "user "+user, "user "+user+" client "+client, "session "+session)
	}
	return append(all, "grant "+grant, name)
}

// brief tells how often each thing was asked, and how often the answer was yes.
func brief(history []porcupine.Operation) string {
	count := map[string]int{}
	for _, op := range history {
		in, out := op.Input.(input), op.Output.(output)
		kind := in.kind
		if kind == "revoke" {
			kind, _, _ = strings.Cut("revoke "+in.reach, " u_")
		}
		if strings.HasPrefix(in.reach, "pgat_") {
			kind = "revoke token"
		} else if strings.HasPrefix(in.reach, "grant ") || strings.HasPrefix(in.reach, "session ") {
			kind = "revoke " + strings.Fields(in.reach)[0]
		}
		count[fmt.Sprintf("%s %v", kind, out.ok)]++
	}
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		lines = append(lines, fmt.Sprintf("%s: %d", kind, count[kind]))
	}
	return strings.Join(lines, ", ")
}
