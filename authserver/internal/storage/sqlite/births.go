//go:build !fault_births

package sqlite

// standsAt compares a reach's generation of today with the one a grant or session was born under. Equality, not less or
// equal: a generation that went back (a restored backup) ends things too.
const standsAt = " = "
