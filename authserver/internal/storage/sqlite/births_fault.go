//go:build fault_births

package sqlite

// standsAt of the build in which the tests of revocation must fail: nothing is outlived.
const standsAt = " >= "
