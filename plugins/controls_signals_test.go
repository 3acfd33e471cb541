package plugins_test

import (
	"testing"

	"github.com/phantomgate/phantomgate/plugins/controltest"
)

// signalControls are faults in what a gateway makes of a foreign issuer's feed, and the tests that must see them.
var signalControls = [][5]string{
	{"another's user is ours", "feed/subjects.go", `s.Format == "iss_sub" && s.Issuer == issuer &&`, `s.Format == "iss_sub" &&`, "TestSubjects"},
	{"an address names nobody", "feed/subjects.go", "	return keys, len(keys) > 0\n}\n\n// endedBefore", "	return keys, true\n}\n\n// endedBefore", "TestSubjects"},
	{"who does not say the session has none", "feed/subjects.go", "			keys = append(keys, subjectKey(kindSession, \"\"))\n", "", "TestSubjects"},
	{"who does not say the user is nobody", "feed/subjects.go", `subjectKey(kindUser, user), subjectKey(kindUser, "")`, "subjectKey(kindUser, user)", "TestSubjects"},
	{"the second of the event is not ended", "feed/subjects.go", "+ uint64(skew/time.Second) + 1", "+ uint64(skew/time.Second)", "TestEndedBefore"},
	{"clocks do not differ", "feed/subjects.go", "+ uint64(skew/time.Second) + 1", "+ 1", "TestEndedBefore"},
	{"an event without a time ends nothing", "feed/subjects.go", "		return math.MaxInt64\n", "		return 0\n", "TestEndedBefore"},
	{"the tenant of an event is its user's", "feed/subjects.go", "	if len(keys) == 0 {\n", "	if true {\n", "TestSubjects"},
	{"of several names one counts", "feed/subjects.go", "names = append(names, s.Aliases[i].names(issuer)...)", "if names = s.Aliases[i].names(issuer); len(names) > 0 {\n\t\t\t\t\treturn names\n\t\t\t\t}", "TestSubjects"},
	{"fresh without proof", "feed/foreign.go", "case f.foreign.proven:", "case true:", "TestForeignFreshness"},
	{"a proof that does not come changes nothing", "feed/foreign.go", "	case late:\n", "	case false:\n", "TestForeignFreshness"},
	{"a proof is believed again when asked for", "feed/foreign.go", "		f.foreign.proven = false // the one before has not come\n", "", "TestForeignFreshness"},
	{"any state is a proof", "feed/foreign.go", `said.State != "" && said.State == f.foreign.state`, "true", "TestForeignFreshness"},
	{"a stopped stream is heard", "feed/foreign.go", "	case f.foreign.paused:\n", "", "TestForeignFreshness"},
	{"half of what there is counts as all", "feed/foreign.go", "	case a.More:\n		return hastyPause, nil\n", "", "TestForeignFreshness"},
	{"what has no key yet is acknowledged, abroad", "feed/foreign.go", "	if errors.Is(err, ErrUndecided) {\n", "	if false {\n", "TestForeignFreshness"},
	{"a forged event is passed over, abroad", "feed/foreign.go", "		f.flush(\"an event could not be used\", endedBefore(nil, 0))\n", "", "TestForeignEvents"},
	{"events of another issuer count, abroad", "feed/foreign.go", "case c.Issuer != f.cfg.Issuer:", "case false:", "TestForeignEvents"},
	{"events for another count, abroad", "feed/foreign.go", "case !slices.ContainsFunc(c.Audience, meant):", "case false && !slices.ContainsFunc(c.Audience, meant):", "TestForeignEvents"},
	{"an event under another's id counts, abroad", "feed/foreign.go", "case c.ID != id:", "case false:", "TestForeignEvents"},
	{"only revocations count", "feed/foreign.go", "	keys, known := subjectKeys(", "	if name != eventRevoked {\n\t\treturn\n\t}\n	keys, known := subjectKeys(", "TestForeignEvents"},
	{"a login ends a token", "feed/foreign.go", "case eventEstablished, eventPresented:", "case eventPresented:", "TestForeignEvents"},
	{"who cannot be told apart is nobody", "feed/foreign.go", "		f.flush(\"an event is about somebody who cannot be told apart here\", endedBefore(event, c.IssuedAt))\n", "", "TestForeignEvents"},
	{"the transmitter chooses where tokens go", "feed/foreign.go", "one.Host == other.Host", "true", "TestForeignStreamsThatAreNotUsed"},
	{"a stream without revocations will do", "feed/foreign.go", "case !slices.Contains(m.Delivered, eventRevoked):", "case false:", "TestForeignStreamsThatAreNotUsed"},
	{"a refused token is kept", "feed/wire.go", "		f.authorization = \"\" // the next step gets another token\n", "", "TestForeignTokenEnds"},
	{"a new stream forgets nothing", "feed/foreign.go", "	f.state.Forget(foreignEpoch, f.applied, f.cfg.Now())\n", "", "TestAForeignStreamThatIsGone"},
	{"the secret goes where it was not to go", "feed/foreigntoken.go", "	if !f.cfg.Foreign.SecretInForm {\n", "	if true {\n", "TestForeignWire"},
	{"an older event is not remembered", "feed/state.go", "max(s.young.byKey[key], s.old.byKey[key])", "s.young.byKey[key]", "TestUntouched"},
	{"a flush is not remembered", "feed/state.go", "	s.young.anyone = max(s.young.anyone, generation)\n", "", "TestAFlushIsRemembered"},
	{"a flush is remembered for ever", "feed/state.go", "s.turn(now)\n}\n\n// Flush", "}\n\n// Flush", "TestAFlushIsRemembered"},
	{"another stream forgets what was named", "feed/state.go", "	if !s.foreign {\n", "	if true {\n", "TestAFlushIsRemembered"},
	{"an event about nobody is not remembered", "feed/foreign.go", "cannot be told apart here\", endedBefore(event, c.IssuedAt))", "cannot be told apart here\", 0)", "TestForeignEvents"},
	{"statuses count in the order of their ids", "feed/foreign.go", "last == nil || found.at > last.at || found.at == last.at && found.paused", "last == nil || last != nil", "TestForeignStatusesCountByTheirTime"},
	{"a status that comes late counts", "feed/foreign.go", "found == nil || found.at < f.foreign.changed", "found == nil", "TestForeignStatusesCountByTheirTime"},
	{"what was heard before a proof fails is believed", "feed/foreign.go", "		f.state.Lose() // what was heard since the last proof may not be all there was\n", "", "TestForeignFreshness"},
	{"who cannot be asked for a proof needs none", "feed/foreign.go", " || since >= f.foreign.every+proofWait", "", "TestForeignPollsGoOnWithoutProofOrToken"},
	{"without another token nothing is heard", "feed/foreigntoken.go", "	err := do()\n", "	f.authorization = \"\"\n	err := do()\n", "TestForeignPollsGoOnWithoutProofOrToken"},
	{"a stream that is refused is left", "feed/foreign.go", "		f.endStream(made.ID)\n", "", "TestForeignStreamsThatAreNotUsed"},
	{"a verification endpoint that is not there means no stream", "feed/foreign.go", `errors.New("asking for a verification event was answered 404; check issuer.feedVerificationEndpoint")`, "errNoStream", "TestForeignVerificationThatIsNotThere"},
	{"Close leaves the foreign stream that is being made", "feed/foreign.go", "ctx, cancel := f.making()", "ctx, cancel := f.ctx, f.stop", "TestForeignClosed"},
	{"a stream is not ended without a token", "feed/wire.go", "f.cfg.Foreign != nil && f.authorization == \"\"", "false", "TestForeignClosed"},
	{"a stream is not ended by another token", "feed/wire.go", "err != nil && f.authorization == \"\" {", "false {", "TestForeignClosed"},
	{"what was too long is asked for again", "feed/foreign.go", "		f.foreign.most = max(f.foreign.most/2, 1)\n", "", "TestForeignAnswersThatAreTooLong"},
	{"a fault flushes each time it comes", "feed/foreign.go", "if !f.newFault(id, raw) {", "if f.newFault(id, raw); false {", "TestForeignFaultsThatComeAgain"},
	{"faults are asked for in haste", "feed/foreign.go", "hurry := len(f.acks) > 0 || f.applied != flushed", "hurry := len(a.Sets) > 0 || f.applied != flushed", "TestForeignFaultsThatComeAgain"},
	{"what an event named is kept again", "phantomtoken/revocation.go", " && (!s.feed.Foreign() || s.feed.Untouched(l.on.reaches))", "", "TestAForeignEventEndsAHit"},
	{"where the feed stood is looked up too late", "phantomtoken/revocation.go", "position, known := found.at, found.placed", "position, known := s.feed.Here()", "TestAForeignAnswerThatAnEventOvertakes"},
	{"a sid that is no text is none", "phantomtoken/revocation.go", `"iat": &issuedAt}); err != nil {` + "\n\t\treturn revocation{fault: err}\n", "\"iat\": &issuedAt}); err != nil {\n\t\tn = feed.Named{}\n", "TestWhatAForeignTokenDoesNotSay"},
}

func TestSignalControls(t *testing.T) { controltest.Run(t, controltest.Table(signalControls)) }
