package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/phantomgate/phantomgate/testbed/figures"
)

// measureIssue has a machine client get tokens, beside two floors that make one row a request: with a commit of its own,
// and with one that those who wait share, as they do at the issuer.
func measureIssue(ctx context.Context, l *lab, s settings) ([]figures.Figure, error) {
	issuer, err := l.startIssuer(ctx)
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"eventcatalog.read"}}.Encode()
	request := post(issuer.addr, "/oauth/token", basic("batch", batchSecret), form)
	side := func(p *process, address string) side {
		return side{process: p, address: address, status: http.StatusOK, request: func(int) []byte { return request }}
	}
	insert := func(name string, more ...string) (*process, error) {
		args := append([]string{"insert", "-database", l.path(name), "-width", strconv.Itoa(tokenWidth)}, more...)
		return l.start(ctx, "floor", nil, args...)
	}
	alone, err := insert("alone.db")
	if err != nil {
		return nil, err
	}
	shared, err := insert("shared.db", "-shared")
	if err != nil {
		return nil, err
	}
	turns, err := alternate(ctx, s.rounds, s.written, s.writers,
		side(issuer.process, issuer.addr), side(alone, alone.address), side(shared, shared.address))
	if err != nil {
		return nil, err
	}
	o, a, sh := turns[0], turns[1], turns[2]
	return []figures.Figure{
		figures.AtLeast(0.5, "issue_throughput", "x", ratio(o, a, turn.rate),
			fmt.Sprintf("client credentials a second, issuer / one durable insert a request, %d connections", s.writers)),
		figures.AtLeast(0.5, "issue_cpu", "x", ratio(a, o, turn.cpuEach), "processor time a request, floor / issuer"),
		figures.Informative("issue_shared_throughput", "x", ratio(o, sh, turn.rate), "as issue_throughput; the floor's inserts share commits too"),
		figures.Informative("issue_shared_cpu", "x", ratio(sh, o, turn.cpuEach), "as issue_cpu; the floor's inserts share commits too"),
		figures.Informative("issue_cpu_time", "µs", perRound(o, turn.cpuEach), "processor time of an issue"),
		figures.Informative("issue_rate", "1/s", perRound(o, turn.rate), "issues a second, beside the generator"),
		figures.Informative("issue_p50", "µs", perRound(o, turn.p50), "time to the answer under this load"),
		figures.Informative("issue_p99", "µs", perRound(o, turn.p99), ""),
	}, l.stop()
}
