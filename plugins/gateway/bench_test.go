package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/allegro/bigcache/v3"

	"github.com/phantomgate/phantomgate/plugins/feed"
)

// These measure the cached swap (hash, cache, policy, headers) beside its floor: a bare SHA-256 of the reference and a
// BigCache Get of as many bytes. The two take turns in one run, so that what else the machine does meets both alike;
// "x-floor" is the median of the turns' ratios. The goals are 2 at 1,000 references and 1.5 at 1,000,000 (which take half a
// minute to fill), for a request as programs send it. A browser's has twice as many headers to look at.

func BenchmarkCachedSwap_1k(b *testing.B)        { benchmarkSwap(b, 1_000, programRequest()) }
func BenchmarkCachedSwap_1kBrowser(b *testing.B) { benchmarkSwap(b, 1_000, browserRequest()) }
func BenchmarkCachedSwap_1M(b *testing.B)        { benchmarkSwap(b, 1_000_000, programRequest()) }

// BenchmarkCachedSwapFeed_1k measures what the revocation feed adds to a cached swap: the same with a feed by which
// nothing was revoked since, beside the one without. The two take turns; "ns/extra" is the median of the turns'
// differences, and the goal is 150. "ns/behind" is the same when something was revoked since, so that the keys of each
// entry are looked up.
func BenchmarkCachedSwapFeed_1k(b *testing.B) {
	const n = 1_000
	without := filledSwap(b, n, programRequest())
	with, _ := followedSwap(b, n, programRequest())
	behind, heard := followedSwap(b, n, programRequest())
	for sequence := range uint64(1_000) { // of other users
		heard.Apply(benchSequence+1+sequence, 1<<60+sequence*0x9e3779b97f4a7c15, 1, time.Now())
	}
	var plain, extra, extraBehind []float64
	for from := 0; b.Loop(); from += benchTurn {
		base := nanoseconds(without, from)
		plain = append(plain, base)
		extra = append(extra, nanoseconds(with, from)-base)
		extraBehind = append(extraBehind, nanoseconds(behind, from)-base)
	}
	b.ReportMetric(0, "ns/op") // an operation is a turn of all three
	b.ReportMetric(testing.AllocsPerRun(benchTurn, once(with)), "allocs/swap")
	b.ReportMetric(median(extra), "ns/extra")
	b.ReportMetric(extra[len(extra)/4], "ns/quarter") // of the turns' differences, which are sorted by now
	b.ReportMetric(extra[len(extra)*3/4], "ns/threequarters")
	b.ReportMetric(median(extraBehind), "ns/behind")
	b.ReportMetric(median(plain), "ns/without")
}

const (
	benchCacheBytes = 2 << 30
	benchTurn       = 20_000 // calls in a turn: enough that the processor's caches are warm again
)

func benchmarkSwap(b *testing.B, n int, request *http.Request) {
	besideFloor(b, filledSwap(b, n, request), filledFloor(b, n))
}

// besideFloor lets the two take turns and reports what they took.
func besideFloor(b *testing.B, swap, floor func(int)) {
	var swaps, floors []float64
	for from := 0; b.Loop(); from += benchTurn {
		swaps = append(swaps, nanoseconds(swap, from))
		floors = append(floors, nanoseconds(floor, from))
	}
	b.ReportMetric(0, "ns/op") // an operation is a turn of both
	b.ReportMetric(testing.AllocsPerRun(benchTurn, once(swap)), "allocs/swap")
	var ratios []float64 // before the medians, which sort
	for i := range swaps {
		ratios = append(ratios, swaps[i]/floors[i])
	}
	b.ReportMetric(median(ratios), "x-floor")
	b.ReportMetric(ratios[len(ratios)/4], "x-quarter") // of the turns' ratios, which are sorted by now
	b.ReportMetric(ratios[len(ratios)*3/4], "x-threequarters")
	b.ReportMetric(median(swaps), "ns/swap")
	b.ReportMetric(median(floors), "ns/floor")
}

// warm calls f for each of n references until they are ready to be served again, which one look in four makes them.
func warm(f func(int), n int) {
	for i := range 64 * n {
		f(i)
	}
}

// once returns f for one reference after the other.
func once(f func(int)) func() {
	i := 0
	return func() { i++; f(i) }
}

// nanoseconds returns what one call takes in a turn.
func nanoseconds(f func(int), from int) float64 {
	start := time.Now()
	for i := range benchTurn {
		f(from + i)
	}
	return float64(time.Since(start).Nanoseconds()) / benchTurn
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// filledSwap returns one cached swap of a gateway that knows n references.
func filledSwap(tb testing.TB, n int, request *http.Request) func(int) {
	g, references := filledGateway(tb, n, nil, nil)
	return cachedSwap(tb, g, references, request)
}

// cachedSwap returns one cached swap of g.
func cachedSwap(tb testing.TB, g *Gateway, references [][]string, request *http.Request) func(int) {
	return func(i int) {
		request.Header[authorization] = references[i%len(references)]
		outcome := g.Authorize(request)
		if outcome.Refusal() != nil || !outcome.Cached {
			tb.Fatal(outcome.Refusal(), outcome.Cached)
		}
		outcome.Apply(request)
	}
}

// benchSequence is where the feed stands when the tokens of followedSwap are read.
const benchSequence = 42

// followedSwap is filledSwap with a feed that has been heard. Of each token the issuer says eight keys, as of a person's.
func followedSwap(tb testing.TB, n int, request *http.Request) (swap func(int), heard *feed.State) {
	heard = feed.NewState(time.Hour, time.Now())
	heard.Forget("e", benchSequence, time.Now())
	heard.Heard(time.Now().Add(time.Hour)) // for as long as the measuring takes
	var keys []string
	for i := range 8 {
		keys = append(keys, fmt.Sprintf("%s=%d", base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{byte(i + 1)}, 16)), i))
	}
	g, references := filledGateway(tb, n, heard, http.Header{
		"Revocation-Keys": {strings.Join(keys, ", ")}, "Revocation-Position": {fmt.Sprintf("e.%d", benchSequence)},
	})
	return cachedSwap(tb, g, references, request), heard
}

// filledFloor returns one look into a bare BigCache that knows n references.
func filledFloor(tb testing.TB, n int) func(int) {
	config := bigcache.DefaultConfig(time.Hour)
	config.CleanWindow, config.Verbose, config.HardMaxCacheSize = 0, false, benchCacheBytes>>20
	config.Shards, config.MaxEntriesInWindow, config.MaxEntrySize = 256, 256, 1024
	cache, err := bigcache.New(context.Background(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { cache.Close() })
	entry := make([]byte, len("Bearer ")+len(newFakeIssuer(tb, nil).token))
	references := make([][]string, n) // as filledGateway has them: reading them costs both the same
	for i := range references {
		references[i] = []string{"Bearer " + newReference(uint64(i))}
		sum := hashReference(references[i])
		if err := cache.Set(string(sum[:]), entry); err != nil {
			tb.Fatal(err)
		}
	}
	shuffle(references)
	return func(i int) {
		sum := hashReference(references[i%n])
		if _, err := cache.Get(string(sum[:])); err != nil {
			tb.Fatal(err)
		}
	}
}

// hashReference hashes the reference of an Authorization header without an allocation.
func hashReference(header []string) [sha256.Size]byte {
	var buf [54]byte
	copy(buf[:], header[0][len("Bearer "):])
	return sha256.Sum256(buf[:])
}

// programRequest is what a mobile app or a partner's program sends through a load balancer.
func programRequest() *http.Request {
	r := browserRequest()
	r.Header = http.Header{
		"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"demo/1.0"},
		"X-Forwarded-For": {"192.0.2.1"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	return r
}

// browserRequest is what a browser's fetch sends to an API.
func browserRequest() *http.Request {
	return &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/api/eventcatalog/events"}, Proto: "HTTP/1.1", Host: "api.example",
		Header: http.Header{
			"Accept": {"*/*"}, "Accept-Encoding": {"gzip, deflate, br"}, "Accept-Language": {"en"},
			"Origin": {"https://www.example"}, "Referer": {"https://www.example/"},
			"Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Site": {"same-site"},
			"User-Agent": {"Mozilla/5.0"}, "X-Forwarded-For": {"192.0.2.1"},
		},
	}
}

// filledGateway returns a gateway whose cache knows n references, and these in random order, each as the value of an
// Authorization header. heard is its feed, nil for none; followed is what the issuer says beside each JWT.
func filledGateway(tb testing.TB, n int, heard *feed.State, followed http.Header) (*Gateway, [][]string) {
	issuer := newFakeIssuer(tb, nil)
	issuer.followed = followed
	cfg := Config{
		Issuer: Issuer{Issuer: "https://issuer.example", ClientID: "gateway", NoFeed: heard == nil},
		// Longer than a configuration may say, so that nothing ends while it is measured.
		Cache: Cache{MaxAge: Duration(time.Hour), MaxBytes: benchCacheBytes},
		Routes: []Route{
			{Path: "/api/eventcatalog/events", Methods: []string{"GET"}, Audience: "eventcatalog", Scopes: Scopes{All: []string{"eventcatalog.read"}}},
			{Path: "/api/eventcatalog/*", Audience: "eventcatalog", Scopes: Scopes{All: []string{"eventcatalog.write"}}},
			{Path: "/health", Open: true},
		},
	}
	start := time.Now()
	g, err := build(cfg.withDefaults(), "secret", heard, Options{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Transport: issuer,
		Now: func() time.Time { _ = time.Now(); return start }, // the time stands still, its price is paid
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { g.Close() })
	references := make([][]string, n)
	var fill sync.WaitGroup
	for part := range 4 {
		fill.Go(func() {
			request := browserRequest()
			for i := part; i < n; i += 4 {
				references[i] = []string{"Bearer " + newReference(uint64(i))}
				request.Header[authorization] = references[i]
				if outcome := g.Authorize(request); outcome.Refusal() != nil {
					tb.Error(outcome.Refusal())
					return
				}
			}
		})
	}
	fill.Wait()
	shuffle(references)
	return g, references
}

func shuffle[T any](s []T) {
	random := mathrand.New(mathrand.NewPCG(1, 2))
	random.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}
