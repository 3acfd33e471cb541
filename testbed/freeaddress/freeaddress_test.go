package freeaddress

import (
	"net"
	"slices"
	"testing"
)

func TestFind(t *testing.T) {
	addresses, err := Find(50)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(addresses); len(slices.Compact(slices.Clone(addresses))) != 50 {
		t.Errorf("%q are not 50 addresses", addresses)
	}
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
