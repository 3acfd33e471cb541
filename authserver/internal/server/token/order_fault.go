//go:build fault_order

package token

const birthsFirst = false
