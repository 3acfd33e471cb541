package main

import (
	"context"
	"fmt"

	"github.com/phantomgate/phantomgate/testbed/figures"
)

// measureRevocation runs a benchmark of the issuer's storage: what it measures beside each other are two databases that take
// too long to fill over HTTP.
func measureRevocation(ctx context.Context, l *lab, s settings) ([]figures.Figure, error) {
	report, err := goBenchmark(ctx, l.root, "./authserver/internal/storage/sqlite", "BenchmarkRevoke", s.revokeTurns, fmt.Sprint("REVOKE_TOKENS=", s.ended))
	if err != nil {
		return nil, err
	}
	var all []figures.Figure
	for _, reach := range []string{"user", "client", "tenant"} {
		metrics, err := readBenchmark(report, "BenchmarkRevoke/"+reach, "x-few", "x-quarter", "x-threequarters", "µs/revocation")
		if err != nil {
			return nil, err
		}
		times := figures.Spread{Median: metrics["x-few"], Low: metrics["x-quarter"], High: metrics["x-threequarters"]}
		all = append(all, figures.AtMost(1.5, "revoke_"+reach, "x", times,
			fmt.Sprintf("time of a revocation, %d living tokens / 1,000 (%.0f µs)", s.ended, metrics["µs/revocation"])))
	}
	return all, nil
}
