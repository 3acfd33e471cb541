package demo

import (
	"net"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/freeaddress"
)

const differ = "must differ"

// TestFaultyAddresses: each is told by its variable, all at once; and that two are the same, only of two that are.
func TestFaultyAddresses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	found, err := freeaddress.Find(1)
	if err != nil {
		t.Fatal(err)
	}
	free := found[0]
	for name, c := range map[string]struct {
		options Options
		faults  []string // each a part of one line
	}{
		"none": {Options{}, nil},
		"no addresses, and one in use": {Options{GatewayAddr: "8080", IssuerAddr: "192.0.2.1:80", AdminAddr: taken.Addr().String()}, []string{
			"GATEWAY_ADDR=8080: this is not host:port",
			"ISSUER_ADDR=192.0.2.1:80: this is not a loopback address",
			"ADMIN_ADDR=" + taken.Addr().String() + ": the address is in use",
		}},
		"two the same":                   {Options{GatewayAddr: free, AdminAddr: free}, []string{differ}},
		"two the same, and a faulty one": {Options{GatewayAddr: free, IssuerAddr: "x", AdminAddr: free}, []string{"ISSUER_ADDR=x: ", differ}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, addr := range []*string{&c.options.GatewayAddr, &c.options.IssuerAddr, &c.options.AdminAddr, &c.options.DiscountAddr} {
				if *addr == "" {
					*addr = "127.0.0.1:0"
				}
			}
			_, err := c.options.plan()
			var lines []string
			if err != nil {
				lines = strings.Split(err.Error(), "\n")
			}
			if len(lines) != len(c.faults) {
				t.Fatalf("%d faults are told; want %d:\n%v", len(lines), len(c.faults), err)
			}
			for i, want := range c.faults {
				if !strings.Contains(lines[i], want) {
					t.Errorf("it says %q; want %q", lines[i], want)
				}
			}
		})
	}
}
