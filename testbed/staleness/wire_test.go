package main

import (
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/freeaddress"
)

// echoes is a server that answers every connection with what it sends.
func echoes(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func dial(t *testing.T, w *wire) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func say(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	if _, err := io.WriteString(conn, words); err != nil {
		t.Fatal(err)
	}
}

// echoed fails unless these words come back.
func echoed(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	say(t, conn, words)
	heard := make([]byte, len(words))
	if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != words {
		t.Fatalf("heard %q, %v; want %q", heard, err, words)
	}
}

// vanished fails unless the connection ends with nothing heard.
func vanished(t *testing.T, conn net.Conn) {
	t.Helper()
	if heard, err := io.ReadAll(conn); len(heard) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("heard %q, %v; want a connection that is dead", heard, err)
	}
}

// TestWire: what befalls a wire befalls the connections that there are and those to come, and ends when it is mended.
func TestWire(t *testing.T) {
	running := goroutines()
	free, err := freeaddress.Find(1)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWire(free[0], echoes(t))
	if err != nil {
		t.Fatal(err)
	}
	before := dial(t, w)
	echoed(t, before, "whole")

	if err := w.delay(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	echoed(t, before, "late")
	silent := dial(t, w)
	echoed(t, silent, "whole")

	if err := w.cut(); err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{before, dial(t, w)} {
		say(t, conn, "vanishes")
		// That it has no more to say is all that goes through.
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		vanished(t, conn)
	}
	if err := w.mend(); err != nil {
		t.Fatal(err)
	}
	vanished(t, silent)

	before = dial(t, w)
	echoed(t, before, "whole")
	if err := w.refuse(); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlived its wire")
	}
	if conn, err := net.Dial("tcp", w.address); err == nil {
		t.Error("a wire that refuses took a connection", conn.Close())
	}
	if err := w.mend(); err != nil {
		t.Fatal(err)
	}
	again := dial(t, w)
	echoed(t, again, "whole")

	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, running, "toxiproxy")
}

// nothingLeft waits until no goroutine is in what is named so, except those that ran before. A test that looks at the whole of
// toxiproxy has to except them: a connection that ends while bytes are on their way through it may leave a goroutine that holds
// them for ever (toxiproxy v2.12.0, ToxicLink), and other tests' connections do.
func nothingLeft(t *testing.T, before map[string]string, name string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		left := goroutines()
		maps.DeleteFunc(left, func(number, stack string) bool {
			return before[number] != "" || !strings.Contains(stack, name)
		})
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("these are left: %v", left)
		}
	}
}

// goroutines are the stacks of those that run, by their numbers.
func goroutines() map[string]string {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	all := make(map[string]string)
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		number, _, _ := strings.Cut(stack, " [") // goroutine 7 [chan send]:
		all[number] = stack
	}
	return all
}
