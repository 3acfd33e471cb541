// Package freeaddress finds addresses for programs that must be told where to listen.
package freeaddress

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
)

// The ports below those that Linux (from 32768 on), macOS and Windows give to whoever asks for any, or connects to somebody: one
// of these is taken, in between, only by who asks for this one.
const lowest, highest = 20000, 32767

// Find gives n loopback addresses, no two the same, on which nobody listens. It does not hold them: another program may take
// one before it is used, if it means that very one or draws it here.
func Find(n int) (addresses []string, err error) {
	for tries := 0; len(addresses) < n; tries++ {
		address := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(highest-lowest+1))
		listener, failed := net.Listen("tcp", address)
		if errors.Is(failed, syscall.EADDRINUSE) && tries < 1000 {
			continue
		}
		if failed != nil {
			return nil, failed
		}
		defer func() { err = errors.Join(err, listener.Close()) }() // all at the end, or one might be given again
		addresses = append(addresses, address)
	}
	return addresses, nil
}
