package tokenhandler

import (
	"strings"
	"sync"
)

// openings remembers what access cookies opened to: a browser sends the same one for minutes, and AES over it takes longer than
// all else that is done for its request. What a value opens to never changes while the keys do not, and a Handler's never do.
// All that can change (the session's end, a logout, the CSRF header) is judged on every request.
//
// It keeps two generations in each shard: when the young one is full it becomes the old one, and what was old is forgotten. So
// it is bounded, and costs nothing to clean. Only what did open is kept: a flood of made-up values leaves nothing here.
type openings struct{ shards [openingShards]openingShard }

const (
	openingShards  = 16
	openingEntries = 512     // of a generation of a shard
	longestOpening = 1 << 10 // bytes of a value that is kept; all of it together is below 32 MiB
)

type openingShard struct {
	mu         sync.RWMutex
	young, old map[string][]byte
}

// shard spreads values by their end, which is part of a GCM tag.
func (o *openings) shard(value string) *openingShard {
	return &o.shards[value[len(value)-2]%openingShards]
}

// get returns what value opened to, which nobody may write to, or nil. It allocates nothing.
func (o *openings) get(value string) []byte {
	if len(value) < 2 || len(value) > longestOpening {
		return nil
	}
	s := o.shard(value)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if text, ok := s.young[value]; ok {
		return text
	}
	return s.old[value]
}

func (o *openings) put(value string, text []byte) {
	if len(value) < 2 || len(value) > longestOpening {
		return
	}
	s := o.shard(value)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= openingEntries {
		s.old, s.young = s.young, make(map[string][]byte)
	}
	s.young[strings.Clone(value)] = text // the clone: value is a part of a whole header
}
