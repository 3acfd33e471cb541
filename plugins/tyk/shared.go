package main

import (
	"io"
	"sync"
)

// shared keeps what several API definitions, or a definition and the one that a reload put in its place, have in common. A
// key stands for all that the value was made of, so that a reload which changes nothing keeps the cache and the stream of
// the revocation feed.
type shared[T io.Closer] struct {
	mu      sync.Mutex
	entries map[string]*sharedEntry[T]
}

type sharedEntry[T io.Closer] struct {
	value T
	users int
}

// take returns the value of key, made if there is none, and what gives it back. The last to give it back closes it.
func (s *shared[T]) take(key string, create func() (T, error)) (value T, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry := s.entries[key]
	if entry == nil {
		if value, err = create(); err != nil {
			return value, nil, err
		}
		entry = &sharedEntry[T]{value: value}
		if s.entries == nil {
			s.entries = map[string]*sharedEntry[T]{}
		}
		s.entries[key] = entry
	}
	entry.users++
	return entry.value, func() { s.release(key, entry) }, nil
}

func (s *shared[T]) release(key string, entry *sharedEntry[T]) {
	s.mu.Lock()
	entry.users--
	last := entry.users == 0
	if last {
		delete(s.entries, key)
	}
	s.mu.Unlock()
	if last {
		_ = entry.value.Close() // nothing is left that could use it, and nobody to tell
	}
}
