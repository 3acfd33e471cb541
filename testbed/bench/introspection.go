package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/phantomgate/phantomgate/testbed/figures"
)

// tokenWidth is what an introspection reads of a token's two rows, in bytes, and the width of a floor's one.
const tokenWidth = 512

// measureIntrospection asks the issuer for phantom tokens, in random order, beside a floor with a database of the same
// size that signs as many bytes.
func measureIntrospection(ctx context.Context, l *lab, s settings) (_ []figures.Figure, err error) {
	ours, floor, err := l.introspectionSides(ctx, s)
	if err != nil {
		return nil, err
	}
	turns, err := alternate(ctx, s.rounds, s.read, s.readers, ours, floor)
	if err != nil {
		return nil, err
	}
	o, f := turns[0], turns[1]
	about := fmt.Sprintf("application/jwt, %d living tokens, %d connections", s.tokens, s.readers)
	return []figures.Figure{
		figures.AtLeast(0.7, "introspection_throughput", "x", ratio(o, f, turn.rate), "requests a second, issuer / floor: "+about),
		figures.AtLeast(0.7, "introspection_cpu", "x", ratio(f, o, turn.cpuEach), "processor time a request, floor / issuer"),
		figures.Informative("introspection_cpu_time", "µs", perRound(o, turn.cpuEach), "processor time of an introspection"),
		figures.Informative("introspection_rate", "1/s", perRound(o, turn.rate), "introspections a second, beside the generator"),
		figures.Informative("introspection_p50", "µs", perRound(o, turn.p50), "time to the answer under this load"),
		figures.Informative("introspection_p99", "µs", perRound(o, turn.p99), ""),
	}, l.stop()
}

func (l *lab) introspectionSides(ctx context.Context, s settings) (ours, floor side, err error) {
	issuer, err := l.startIssuer(ctx)
	if err != nil {
		return ours, floor, err
	}
	references, err := issuer.references(ctx, s.tokens)
	if err != nil {
		return ours, floor, err
	}
	shuffle(references)
	ours = side{process: issuer.process, address: issuer.addr, status: http.StatusOK}
	ours.request = cycle(s.tokens, func(i int) []byte { return issuer.introspection(references[i]) })
	claims, err := claimsOf(ctx, ours)
	if err != nil {
		return ours, floor, err
	}
	database, err := os.Stat(filepath.Join(issuer.dir, "issuer.db"))
	if err != nil {
		return ours, floor, err
	}
	rows := max(s.tokens, int(database.Size())/tokenWidth)
	least, err := l.start(ctx, "floor", nil, "read", "-database", l.path("read.db"), "-rows", strconv.Itoa(rows),
		"-width", strconv.Itoa(tokenWidth), "-claims", strconv.Itoa(len(claims)))
	if err != nil {
		return ours, floor, err
	}
	floor = side{process: least, address: least.address, status: http.StatusOK}
	places := rand.New(rand.NewPCG(1, 2)).Perm(rows)
	floor.request = cycle(s.tokens, func(i int) []byte { return issuer.introspection(fmt.Sprintf("pgat_%049d", places[i])) })
	return ours, floor, alike(ctx, ours, floor)
}

// claimsOf gives the claims of a JWT that the side answers with, as they were signed.
func claimsOf(ctx context.Context, s side) ([]byte, error) {
	answer, err := s.once(ctx)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(string(answer), ".")
	if len(parts) != 3 {
		return nil, errors.New("the issuer answered no JWT")
	}
	return base64.RawURLEncoding.DecodeString(parts[1])
}

// alike looks at one answer of each: the floor's JWT must be as long as ours, to the tenth part.
func alike(ctx context.Context, ours, floor side) error {
	o, err := ours.once(ctx)
	if err != nil {
		return err
	}
	f, err := floor.once(ctx)
	if err != nil {
		return err
	}
	if difference := len(o) - len(f); difference*10 > len(o) || -difference*10 > len(o) {
		return fmt.Errorf("the issuer's JWT has %d bytes, the floor's %d: have the floor sign as many bytes", len(o), len(f))
	}
	return nil
}

// cycle makes n requests beforehand, and gives them over and over.
func cycle(n int, request func(i int) []byte) func(int) []byte {
	requests := make([][]byte, n)
	for i := range requests {
		requests[i] = request(i)
	}
	return func(i int) []byte { return requests[i%n] }
}

func shuffle[T any](s []T) {
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}
