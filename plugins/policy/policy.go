// Package policy decides what a route asks of a token, and says no in the words of the RFCs.
//
// It is a leaf: it knows requests, rules and facts about a token, and neither issuers, caches nor JWTs. Compile turns
// rules into a Table; Table.Match finds the one Route of a request; Route.Judge holds a token's Facts against it, on
// every request, whether the facts were just learnt or come from a cache. Whatever no rule names is refused.
package policy

import (
	"slices"
	"time"
)

// Rule is one rule as an operator wrote it. Exactly one of Path and OperationID is set.
type Rule struct {
	// Path is exact, or ends in "/*" and then stands for the path before it and all below.
	Path string
	// OperationID names an operation that somebody else matches; see Table.Operation.
	OperationID string
	// Methods this rule is for; empty stands for all that no other rule of the same path names.
	Methods []string

	// Open lets requests pass without a token; then all that follows is empty.
	Open bool
	// Audience is the one audience of the API behind.
	Audience string
	// All of these scopes are needed, and one of Any when there are any.
	All, Any []string
	// ACR lists the authentication context classes that will do; empty asks for none.
	ACR []string
	// MaxAge is how long ago the user may have logged in; 0 does not ask. Whole seconds.
	MaxAge time.Duration
}

// Facts are what a route wants to know about a verified token. The zero Facts satisfy no route.
type Facts struct {
	// Expires is the moment from which the token is dead, in Unix milliseconds.
	Expires int64
	// AuthTime is when the user logged in, in Unix seconds; 0 when nobody did, or nobody said when.
	AuthTime int64
	// Scopes has bit i set when the token carries Route.Asked()[i].
	Scopes uint64
	// ACR is the authentication context class, or empty.
	ACR string
}

// MaxScopes is how many different scopes one route may name: they are the bits of Facts.Scopes.
const MaxScopes = 64

// authTimeSkew is how far the issuer's clock may be ahead when it says when the user logged in.
const authTimeSkew = 10 * time.Second

// Route is a compiled rule. It never changes; many requests may use it at once.
type Route struct {
	index    int
	open     bool
	audience string
	asked    []string
	all, any uint64
	acr      []string
	maxAge   time.Duration

	tooNarrow *Refusal
	tooWeak   *Refusal
}

// newRoute compiles a rule that has no faults.
func newRoute(index int, rule Rule) *Route {
	r := &Route{
		index: index, open: rule.Open, audience: rule.Audience, asked: askedScopes(rule),
		acr: slices.Clone(rule.ACR), maxAge: rule.MaxAge,
	}
	r.all, r.any = r.mask(rule.All), r.mask(rule.Any)
	r.tooNarrow = InsufficientScope(r.asked)
	r.tooWeak = InsufficientAuthentication(r.acr, r.maxAge)
	return r
}

// askedScopes returns every scope that rule names, sorted, each once.
func askedScopes(rule Rule) []string {
	scopes := slices.Concat(rule.All, rule.Any)
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

func (r *Route) mask(scopes []string) (mask uint64) {
	for _, s := range scopes {
		if i, ok := slices.BinarySearch(r.asked, s); ok {
			mask |= 1 << i
		}
	}
	return mask
}

// Index returns the place of the route's rule among those that were compiled.
func (r *Route) Index() int { return r.index }

// Open tells whether requests pass without a token.
func (r *Route) Open() bool { return r.open }

// Audience returns the audience to ask a token for.
func (r *Route) Audience() string { return r.audience }

// Asked returns the scopes to ask a token for, sorted: the meaning of the bits of Facts.Scopes. It must not be changed.
func (r *Route) Asked() []string { return r.asked }

// Insufficient returns the refusal of a token that is alive and has nothing for this route.
func (r *Route) Insufficient() *Refusal { return r.tooNarrow }

// Judge returns nil when a token with these facts may pass this route now, else the refusal. An open route is not to
// be judged: it asks for no token.
func (r *Route) Judge(f Facts, now time.Time) *Refusal {
	if now.UnixMilli() >= f.Expires {
		return InvalidToken()
	}
	// One of the two masks is never empty, so a token without scopes fails here.
	if f.Scopes&r.all != r.all || r.any != 0 && f.Scopes&r.any == 0 || f.Scopes == 0 {
		return r.tooNarrow
	}
	if len(r.acr) > 0 && !slices.Contains(r.acr, f.ACR) {
		return r.tooWeak
	}
	if r.maxAge > 0 {
		age := now.Sub(time.Unix(f.AuthTime, 0))
		if f.AuthTime <= 0 || age > r.maxAge || age < -authTimeSkew {
			return r.tooWeak
		}
	}
	return nil
}
