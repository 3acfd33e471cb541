// Package freeaddress finds addresses for programs that must be told where to listen.
package freeaddress

import (
	"errors"
	"net"
)

// Find gives n loopback addresses, no two the same, on which nobody listens. It does not hold them: another program may take
// one before it is used.
func Find(n int) (addresses []string, err error) {
	for range n {
		listener, failed := net.Listen("tcp", "127.0.0.1:0")
		if failed != nil {
			return nil, failed
		}
		defer func() { err = errors.Join(err, listener.Close()) }() // all at the end, or one might be given again
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}
