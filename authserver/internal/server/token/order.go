//go:build !fault_order

package token

// birthsFirst: the generations are read before the secret is checked. The build fault_order turns the order round, and
// TestRevocationDuringAuthentication is seen failing in it.
const birthsFirst = true
