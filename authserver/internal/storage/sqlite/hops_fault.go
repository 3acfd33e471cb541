//go:build fault_exchange

package sqlite

// hopsStand of the build in which the tests of exchanged tokens must fail: nobody asks after the hops.
const hopsStand = `t.hops`
