//go:build !fault_consume

package sqlite

// unconsumed is the condition of the one write that consumes a code or a refresh reference: of all who race, one finds it
// true.
const unconsumed = "consumed_at = 0"
