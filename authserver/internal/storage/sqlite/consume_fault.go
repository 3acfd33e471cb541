//go:build fault_consume

package sqlite

// unconsumed of the build in which the race tests must fail.
const unconsumed = "1 = 1"
