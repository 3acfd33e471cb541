package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/phantomgate/phantomgate/testbed/figures"
)

// side is one program under load.
type side struct {
	process *process
	address string
	status  int                // that every answer must have
	request func(i int) []byte // the bytes of the i-th request
}

// turn is what one program did in its turn.
type turn struct {
	requests int
	wall     time.Duration
	cpu      time.Duration   // of the program's own process
	latency  []time.Duration // of each request, sorted
}

func (t turn) rate() float64    { return float64(t.requests) / t.wall.Seconds() }
func (t turn) cpuEach() float64 { return t.cpu.Seconds() * 1e6 / float64(t.requests) } // µs
func (t turn) p50() float64     { return t.quantile(0.50) }
func (t turn) p99() float64     { return t.quantile(0.99) }

func (t turn) quantile(q float64) float64 { // µs
	return float64(t.latency[int(q*float64(len(t.latency)-1))].Microseconds())
}

// alternate lets the sides take turns of n requests each: one that is not counted, then as many as rounds. The result has
// the turns of each side.
func alternate(ctx context.Context, rounds, n, connections int, sides ...side) ([][]turn, error) {
	all := make([][]turn, len(sides))
	for round := range rounds + 1 {
		for i, s := range sides {
			t, err := s.turn(ctx, round*n, n, connections)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				all[i] = append(all[i], t)
			}
		}
	}
	return all, nil
}

// turn sends the requests from `from` on, n of them, over that many connections at once. Each connection sends its next
// request when it has the answer to the last: the load is bounded by their number, not by a rate.
func (s side) turn(ctx context.Context, from, n, connections int) (turn, error) {
	conns, err := s.dial(ctx, connections)
	if err != nil {
		return turn{}, err
	}
	defer func() {
		for _, c := range conns {
			_ = c.Close() // the answers have been read
		}
	}()
	before, err := s.process.cpu()
	if err != nil {
		return turn{}, err
	}
	var next atomic.Int64
	var running sync.WaitGroup
	latencies, errs := make([][]time.Duration, connections), make([]error, connections)
	start := time.Now()
	for w, conn := range conns {
		latencies[w] = make([]time.Duration, 0, 2*n/connections+1)
		running.Go(func() {
			in := bufio.NewReader(conn)
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				sent := time.Now()
				errs[w] = s.ask(conn, in, s.request(from+i), io.Discard)
				latencies[w] = append(latencies[w], time.Since(sent))
			}
		})
	}
	running.Wait()
	t := turn{requests: n, wall: time.Since(start), latency: slices.Concat(latencies...)}
	slices.Sort(t.latency)
	after, err := s.process.cpu()
	t.cpu = after - before
	return t, errors.Join(append(errs, err)...)
}

func (s side) dial(ctx context.Context, n int) ([]net.Conn, error) {
	var conns []net.Conn
	for range n {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() }) // which ends the reads
		conns = append(conns, conn)
	}
	return conns, nil
}

// once sends the first request alone and gives the body of the answer.
func (s side) once(ctx context.Context) ([]byte, error) {
	conns, err := s.dial(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conns[0].Close() }() // the answer has been read
	var body bytes.Buffer
	err = s.ask(conns[0], bufio.NewReader(conns[0]), s.request(0), &body)
	return body.Bytes(), err
}

// ask sends one request and copies the body of its answer. It is plainer than an http.Client, so that the generator takes
// little of the processor that the programs share with it.
func (s side) ask(conn net.Conn, in *bufio.Reader, request []byte, into io.Writer) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if resp.StatusCode == s.status && resp.ContentLength >= 0 {
		_, err = io.Copy(into, resp.Body)
		return err
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // part of the report
	return fmt.Errorf("status %d (length %d), want %d with a length: %s", resp.StatusCode, resp.ContentLength, s.status, body)
}

// get and post make the bytes of a request.
func get(host, path, headers string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, host, headers)
}

func post(host, path, headers, form string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n%s\r\n%s",
		path, host, len(form), headers, form)
}

// perRound gives a figure of each turn.
func perRound(turns []turn, of func(turn) float64) figures.Spread {
	values := make([]float64, len(turns))
	for i, t := range turns {
		values[i] = of(t)
	}
	return figures.SpreadOf(values)
}

// ratio gives a over b, round by round.
func ratio(a, b []turn, of func(turn) float64) figures.Spread {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = of(a[i]) / of(b[i])
	}
	return figures.SpreadOf(values)
}
