package freeaddress

import (
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
}
