package eventcatalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxNameRunes = 200
	maxPrice     = 100_000_00
	maxEvents    = 1000
)

// Event is something one can buy a ticket for.
type Event struct {
	ID       string `json:"id"` // given by the catalogue
	Name     string `json:"name"`
	Venue    string `json:"venue"`
	Date     string `json:"date"`     // 2027-05-21, where the event takes place
	Price    int64  `json:"price"`    // of one ticket, in the currency's minor unit: 4500 is 45.00
	Currency string `json:"currency"` // ISO 4217; the demo sells in EUR
}

// check refuses an event that could not be sold, with all its faults at once.
func (e Event) check() error {
	var faults []error
	if e.ID != "" {
		faults = append(faults, errors.New("id: leave it out, the catalogue gives it"))
	}
	for _, field := range []struct{ name, value string }{{"name", e.Name}, {"venue", e.Venue}} {
		if !isLine(field.value) {
			faults = append(faults, fmt.Errorf("%s: 1 to %d printable characters on one line", field.name, maxNameRunes))
		}
	}
	if _, err := time.Parse(time.DateOnly, e.Date); err != nil {
		faults = append(faults, errors.New("date: year-month-day, such as 2027-05-21"))
	}
	if e.Price < 0 || e.Price > maxPrice {
		faults = append(faults, fmt.Errorf("price: 0 to %d, in cents", maxPrice))
	}
	if e.Currency != "EUR" {
		faults = append(faults, errors.New("currency: EUR"))
	}
	return errors.Join(faults...)
}

func isLine(s string) bool {
	return strings.TrimSpace(s) != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxNameRunes &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// catalogue is the events, in memory; it is safe for concurrent use.
type catalogue struct {
	mu     sync.RWMutex
	events []Event
}

func newCatalogue() *catalogue {
	return &catalogue{events: []Event{
		{"e1", "Midsummer Jazz on the Roof", "Kornhaus, Bern", "2027-06-21", 4500, "EUR"},
		{"e2", "The Winter's Tale", "Teatro Lliure, Barcelona", "2027-02-12", 3800, "EUR"},
		{"e3", "Night of the Slow Trains", "Museum of Transport, Utrecht", "2027-03-05", 1500, "EUR"},
		{"e4", "Bach before Breakfast", "Thomaskirche, Leipzig", "2027-04-18", 1200, "EUR"},
		{"e5", "Harbour Swim and Soup", "Nordre Havn, Copenhagen", "2027-08-14", 900, "EUR"},
		{"e6", "A Hundred Accordions", "Piazza Grande, Arezzo", "2027-05-30", 2200, "EUR"},
		{"e7", "Comets, Told by Candlelight", "Old Observatory, Greenwich", "2027-01-22", 1800, "EUR"},
		{"e8", "The Great Pancake Relay", "Town Hall Square, Ghent", "2027-02-09", 500, "EUR"},
		{"e9", "Fado in the Fish Market", "Mercado, Setúbal", "2027-09-03", 2600, "EUR"},
		{"e10", "Kite Makers' Fair", "Long Beach, Fanø", "2027-06-17", 0, "EUR"},
		{"e11", "Silent Film, Loud Orchestra", "Lumière, Lyon", "2027-10-08", 3400, "EUR"},
		{"e12", "Night Market of Small Presses", "Gare Maritime, Brussels", "2027-11-19", 700, "EUR"},
	}}
}

func (c *catalogue) list() []Event {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.events)
}

// add gives the event its id. It refuses once the catalogue is as large as a demo's memory should let it grow.
func (c *catalogue) add(e Event) (Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) >= maxEvents {
		return Event{}, fmt.Errorf("the catalogue holds %d events and takes no more", maxEvents)
	}
	e.ID = fmt.Sprintf("e%d", len(c.events)+1)
	c.events = append(c.events, e)
	return e, nil
}
