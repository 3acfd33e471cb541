package phantomtoken

import (
	"encoding/binary"
	"net/http"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/feed"
)

// followedAbroad is a Swapper before a foreign issuer whose feed has just been heard. Its tokens are user's, of session s1.
func followedAbroad(t *testing.T) *followed {
	t.Helper()
	f := &followed{}
	f.fixture = newForeign(t, AnswerJWT, func(c *Config) {
		f.state = feed.NewForeignState(10*time.Minute, c.Now())
		c.Feed, c.MaxStaleness, c.MaxAge = f.state, staleAfter, time.Minute
	})
	f.issuer.claims = map[string]any{"sid": "s1"}
	f.state.Forget("foreign", 0, f.clock.now())
	f.clock.advance(refillFor)
	f.state.Heard(f.clock.now())
	return f
}

// ends notes that what was issued to a user before that second has ended.
func (f *followed) ends(sequence uint64, user string, before int64) {
	key := binary.LittleEndian.Uint64(feed.Named{User: user}.Reaches())
	f.state.Apply(sequence, key, uint64(before), f.clock.now())
}

func TestAForeignEventEndsAHit(t *testing.T) {
	f := followedAbroad(t)
	now := f.clock.now().Unix()
	f.mustSwap(good, false)
	f.ends(1, "other", now+1000)
	f.mustSwap(good, true)
	f.ends(2, "user", now) // of before it was issued
	f.mustSwap(good, true)
	f.ends(3, "user", now+1)
	f.mustSwap(good, false)
	// What the issuer says now is passed on; and not kept, while the event is remembered.
	f.mustSwap(good, false)
	f.clock.advance(2 * time.Second) // another login's token
	f.state.Heard(f.clock.now())
	f.mustSwap(good, false)
	f.mustSwap(good, true)
	f.state.Forget("foreign", 4, f.clock.now())
	f.mustSwap(good, false)
}

func TestAForeignAnswerThatAnEventOvertakes(t *testing.T) {
	f := followedAbroad(t)
	asked := 0
	f.issuer.answer = func(*http.Request) *http.Response {
		if asked++; asked > 1 {
			return inactive()
		}
		resp := respond(http.StatusOK, "application/jwt", f.issuer.mint())
		f.ends(1, "user", f.clock.now().Unix()+61) // while the answer is on its way
		return resp
	}
	if _, _, err := f.swap(good); err != ErrInactive {
		t.Errorf("an answer that was overtaken: %v", err)
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

func TestWhatAForeignTokenDoesNotSay(t *testing.T) {
	for name, test := range map[string]struct {
		claims map[string]any
		cached bool
	}{
		"no session":          {map[string]any{"sid": nil}, true},
		"a session of 7":      {map[string]any{"sid": 7}, false},
		"another's spelling":  {map[string]any{"sid": nil, "SID": 7}, true},
		"a subject in a list": {map[string]any{"sub": []string{"user"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := followedAbroad(t)
			f.issuer.claims = test.claims
			f.mustSwap(good, false)
			f.mustSwap(good, test.cached)
			f.ends(1, "", f.clock.now().Unix()+61) // whoever does not say
			f.mustSwap(good, test.cached)
		})
	}
}

func TestBeforeAForeignFeedIsHeard(t *testing.T) {
	f := &followed{}
	f.fixture = newForeign(t, AnswerJWT, func(c *Config) {
		f.state = feed.NewForeignState(10*time.Minute, c.Now())
		c.Feed, c.MaxStaleness, c.MaxAge = f.state, staleAfter, time.Minute
	})
	f.mustSwap(good, false)
	f.state.Forget("foreign", 0, f.clock.now())
	f.state.Heard(f.clock.now())
	f.clock.advance(refillFor)
	f.mustSwap(good, false) // what was asked before is not believed
	f.mustSwap(good, true)
	f.clock.advance(staleAfter + time.Second)
	f.mustSwap(good, false)
	f.mustSwap(good, false)
}
