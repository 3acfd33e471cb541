package plugins_test

import (
	"testing"

	"github.com/phantomgate/phantomgate/plugins/controltest"
)

// feedControls are faults in what a gateway makes of the revocation feed, and the tests that must see them.
var feedControls = [][5]string{
	{"generations are not compared", "feed/state.go", "s.young.byKey[key] > generation ||", "", "TestHolds"},
	{"the older half is not looked at", "feed/state.go", " || p.Sequence < s.old.last && s.old.byKey[key] > generation", "", "TestEventsAreKeptLongEnough"},
	{"what is forgotten still holds", "feed/state.go", "		s.floor = max(s.floor, s.old.last)\n", "", "TestAFloodOfRevocationsIsBounded"},
	{"keys are kept without bound", "feed/state.go", " || len(s.young.byKey) >= s.limit/2", "", "TestAFloodOfRevocationsIsBounded"},
	{"the era is not compared", "feed/state.go", "	if p.Era != s.era.Load() {\n		return false\n	}\n", "", "TestHolds"},
	{"nothing is forgotten", "feed/state.go", "	s.era.Add(1)\n", "", "TestForget"},
	{"the floor is forgotten", "feed/state.go", "s.epoch, s.floor = epoch, sequence", "s.epoch = epoch", "TestForget"},
	{"other epochs are known", "feed/state.go", ` && s.epoch == epoch`, "", "TestForget"},
	{"silence is fresh", "feed/state.go", "heard != never && monotonic-heard <= longest && wall-s.heardWall.Load() <= longest", "heard != never", "TestNothingIsFreshBeforeTheFirstAnswer"},
	{"a machine that slept heard just now", "feed/state.go", " && wall-s.heardWall.Load() <= longest", "", "TestSleepIsNotFresh"},
	{"whoever sets the clock back is fresh", "feed/state.go", " monotonic-heard <= longest &&", "", "TestSleepIsNotFresh"},
	{"fresh before the first answer", "feed/state.go", "s.heard.Store(never)\n	s.forgotten", "s.Heard(now)\n	s.forgotten", "TestNothingIsFreshBeforeTheFirstAnswer"},
	{"no keys means no danger", "feed/state.go", "if !ok || s.young", "if !ok {\n\t\t\treturn true\n\t\t}\n\t\tif s.young", "TestHolds"},
	{"an epoch is not seen", "feed/events.go", "case a.Epoch != f.epoch:", "case false:", "TestWhatMayBeMissingForgetsEverything"},
	{"a step back is not seen", "feed/events.go", "case *a.To < f.applied:", "case false:", "TestWhatMayBeMissingForgetsEverything"},
	{"gaps and holes are not seen", "feed/events.go", "			f.forget(a, \"events are missing\")\n			return nil\n", "			f.applied = *a.To\n			continue\n", "TestWhatMayBeMissingForgetsEverything"},
	{"what another tenant revoked is a gap", "feed/events.go", "if skipped[sequence] {", "if false {", "TestAnotherTenantsAreSkipped"},
	{"whatever is not there was skipped", "feed/events.go", "if skipped[sequence] {", "if len(skipped) > 0 && a.Sets[a.Epoch+\".\"+strconv.FormatUint(sequence, 10)] == \"\" {", "TestAnotherTenantsAreSkipped"},
	{"a poll does not say where it is", "feed/wire.go", "Position: f.position(), ", "", "TestWire"},
	{"a reset is forgotten again and again", "feed/events.go", " && f.applied < *a.To {", " {", "TestWhatMayBeMissingForgetsEverything"},
	{"forged events are passed over", "feed/events.go", "			f.forget(a, \"an event could not be used\")\n			return nil\n", "			f.state.Skip(sequence)\n", "TestWhatMayBeMissingForgetsEverything"},
	{"forged events are acknowledged", "feed/events.go", "_, faulty := f.errs[id]; !faulty", "true", "TestWhatMayBeMissingForgetsEverything"},
	{"events of other issuers count", "feed/events.go", "case c.Issuer != f.cfg.Issuer:", "case false:", "TestEventsOfOthers"},
	{"events for other gateways count", "feed/events.go", "case !slices.Contains(c.Audience, f.cfg.ClientID):", "case false && !slices.Contains(c.Audience, f.cfg.ClientID):", "TestEventsOfOthers"},
	{"an event may come under another's id", "feed/events.go", "case c.ID != id:", "case false:", "TestEventsOfOthers"},
	{"what has no key yet is acknowledged", "feed/events.go", "		case errors.Is(err, ErrUndecided):\n			return err\n		case err != nil:", "		case err != nil:", "TestTroubleIsNotFreshness"},
	{"acknowledged before it is applied", "feed/events.go", "			f.state.Apply(sequence, e.key, e.revoked.Generation, f.cfg.Now())\n", "			defer f.state.Skip(sequence)\n", "TestEventsAreAppliedThenAcknowledged"},
	{"half an answer is fresh", "feed/wire.go", "if !a.MoreAvailable {", "if true {", "TestWhatIsMoreIsNotFresh"},
	{"any answer is one", "feed/wire.go", "	if err := a.check(); err != nil {\n		return 0, err\n	}\n", "	if a.check() != nil {\n		f.state.Heard(sent)\n		return 0, errors.New(\"x\")\n	}\n", "TestTroubleIsNotFreshness"},
	{"a stream that is gone changes nothing", "feed/feed.go", "		f.state.Lose()\n	}\n", "	}\n", "TestAStreamThatIsGone"},
	{"a new stream goes on where the old one was", "feed/wire.go", "f.stream = stream{id: made.ID, failed: f.failed}", "f.id = made.ID", "TestAStreamThatIsGone"},
	{"failures are repeated at once", "feed/feed.go", "pause = f.failure(err)", "f.failure(err)", "TestPausesGrow"},
	{"hasty answers are asked for in a tight loop", "feed/wire.go", "return hastyPause, nil", "return 0, nil", "TestHastyAnswersDoNotMakeATightLoop"},
	{"a panic is no failure", "feed/feed.go", "			err = errors.New(\"panic\")\n", "", "TestTroubleIsNotFreshness"},
	{"the issuer chooses where to poll", "feed/wire.go", `f.cfg.Endpoint+"/"+url.PathEscape(f.id)+"/poll"`, `"http://elsewhere.example/"+url.PathEscape(f.id)+"/poll"`, "TestWire"},
	{"Close leaves the stream that is being made", "feed/wire.go", "context.WithCancel(context.WithoutCancel(f.ctx))", "context.WithCancel(f.ctx)", "TestClosedWhileItsStreamIsMade"},
	{"Close leaves the stream", "feed/feed.go", "	defer f.end()\n", "", "TestWire"},
	{"any JWT is an event", "phantomtoken/securityevent.go", `typeOf(token.Header) != "secevent+jwt"`, "false", "TestSecurityEvent"},
	{"a hit is not held against the feed", "phantomtoken/store.go", " && (st.feed == nil || st.feed.Holds(e.on.position, e.on.reaches))", "", "TestARevocationEndsAHit"},
	{"a hit hangs on nothing", "phantomtoken/entry.go", "	packed = append(packed, reaches...)\n", "	packed = append(packed, make([]byte, len(reaches))...)\n", "TestARevocationEndsAHit"},
	{"a silent feed is believed", "phantomtoken/revocation.go", "s.feed.Fresh(now, ask.maxStaleness)", "true", "TestASilentFeedHasTheIssuerAsked"},
	{"a route's own staleness is not looked at", "phantomtoken/phantomtoken.go", "	other.maxStaleness = maxStaleness\n", "", "TestASilentFeedHasTheIssuerAsked"},
	{"a silent feed does not keep a flight from the cache", "phantomtoken/phantomtoken.go", "	if fresh {\n", "	if true {\n", "TestASilentFeedHasTheIssuerAsked"},
	{"an overtaken answer is passed on and cached", "phantomtoken/phantomtoken.go", "if l.followed && !s.vouched(l) {", "if false {", "TestAnOvertakenAnswerIsAskedForAgain"},
	{"what cannot be followed is cached", "phantomtoken/phantomtoken.go", "s.keepable(l) && ", "", "TestWhatCannotBeFollowedIsNotCached"},
	{"malformed keys are none", "phantomtoken/revocation.go", `feed.ParseKeys(h.Values("Revocation-Keys"))`, `feed.ParseKeys([]string{"AAAAAAAAAAAAAAAAAAAAAA=0"})`, "TestWhatCannotBeFollowedIsNotCached"},
	{"who comes later shares any answer", "phantomtoken/phantomtoken.go", "|| fresh && s.vouched(found) {", "|| true {", "TestWhoComesLaterSharesAnAnswerOnlyIfTheFeedVouches"},
	{"a silent feed vouches", "phantomtoken/phantomtoken.go", "|| fresh && s.vouched(found) {", "|| s.vouched(found) {", "TestWhoComesLaterSharesAnAnswerOnlyIfTheFeedVouches"},
	{"vouched for once is enough", "phantomtoken/phantomtoken.go", "fresh && s.vouched(found) {", "fresh && (s.feed == nil || found.followed) {", "TestWhoComesAsAFlightLands"},
	{"a refill is not spread", "phantomtoken/revocation.go", "!s.feed.JustForgot(now, refillFor)", "true", "TestARefillIsSpread"},
	{"an event without its key is a forgery", "phantomtoken/securityevent.go", "case undecided(keyErr):", "case false:", "TestSecurityEventWithoutKeys"},
}

func TestFeedControls(t *testing.T) { controltest.Run(t, controltest.Table(feedControls)) }
