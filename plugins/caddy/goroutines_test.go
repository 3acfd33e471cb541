package caddy_test

import (
	"runtime"
	"strings"
	"time"
)

// goroutines counts the goroutines by the function that started them.
func goroutines() map[string]int {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := map[string]int{}
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		_, by, _ := strings.Cut(stack, "created by ")
		by, _, _ = strings.Cut(by, " in goroutine")
		count[by]++
	}
	return count
}

// settled waits until no more goroutines run than before, and returns what runs when that does not come to pass.
// Connections and servers take a moment to end.
func settled(before map[string]int) map[string]int {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var now map[string]int
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		if now = goroutines(); total(now) <= total(before) {
			break
		}
	}
	return now
}

func total(count map[string]int) int {
	n := 0
	for _, c := range count {
		n += c
	}
	return n
}
