package shoppingbasket

import (
	"errors"
	"slices"
	"sync"
)

// Bounds that keep a demo's memory small.
const (
	maxQuantity = 100
	maxLines    = 50
	maxBaskets  = 10_000
)

var (
	errFullBasket = errors.New("a basket holds 50 different events and takes no more")
	errFullShop   = errors.New("the shop has as many baskets as it can carry")
)

// line is one event in a basket.
type line struct {
	event    string
	quantity int
}

// baskets is everybody's, in memory, by the `sub` of whose it is: there is no way to one but through its owner's sub. It is
// safe for concurrent use.
type baskets struct {
	mu    sync.Mutex
	lines map[string][]line
}

func newBaskets() *baskets { return &baskets{lines: map[string][]line{}} }

// of gives an owner's lines, in the order in which they were put in.
func (b *baskets) of(owner string) []line {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines[owner])
}

// put sets how many tickets of an event the owner wants; 0 takes the line out. To send the same again changes nothing.
func (b *baskets) put(owner string, wanted line) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines[owner]
	at := slices.IndexFunc(lines, func(l line) bool { return l.event == wanted.event })
	switch {
	case at < 0 && wanted.quantity == 0:
	case at < 0 && len(lines) >= maxLines:
		return errFullBasket
	case at < 0 && len(lines) == 0 && len(b.lines) >= maxBaskets:
		return errFullShop
	case at < 0:
		b.lines[owner] = append(lines, wanted)
	case wanted.quantity > 0:
		lines[at] = wanted
	default:
		if b.lines[owner] = slices.Delete(lines, at, at+1); len(b.lines[owner]) == 0 {
			delete(b.lines, owner)
		}
	}
	return nil
}
