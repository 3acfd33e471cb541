package plugins_test

import (
	"testing"

	"github.com/phantomgate/phantomgate/plugins/controltest"
)

// foreignControls are faults with issuers that are not phantomgate's, and the tests that must see them.
var foreignControls = [][5]string{
	{"what is not said to be inactive is active", "phantomtoken/dialect.go", `		case "true":
		case "false":
			return answer{}, ErrInactive
		default:
			return answer{}, fmt.Errorf("%w: it has no active that is true or false", ErrIssuer)
`, `		case "false":
			return answer{}, ErrInactive
`, "TestForeignAnswers"},
	{"the last of two members counts", "phantomtoken/dialect.go", "if _, twice := m[key]; twice {", "if false {", "TestForeignAnswers"},
	{"any content is JSON", "phantomtoken/dialect.go", "if !isMedia(resp, mediaJSON) {", "if false {", "TestForeignContentType"},
	{"any content is a JWT", "phantomtoken/dialect.go", "if !isMedia(resp, mediaJWT) {", "if false {", "TestForeignContentType"},
	{"tokens bound to a sender pass as bearers", "phantomtoken/dialect.go", `if err == nil && !strings.EqualFold(kind, "Bearer") {`, `if kind == "never" {`, "TestForeignAnswers"},
	{"anything exchanged is an access token", "phantomtoken/dialect.go", `if kind != typeAccessToken &&`, `if false && kind != typeAccessToken &&`, "TestForeignAnswers"},
	{"an unauthorized exchange logs people out", "phantomtoken/dialect.go", `case "invalid_request", "invalid_grant", "invalid_token":`, "default:", "TestForeignAnswers"},
	{"a JWT is a reference", "phantomtoken/reference.go", `(r.jwt || strings.Count(s, ".") < 2)`, "true", "TestForeignReferences"},
	{"any bytes are a reference", "phantomtoken/reference.go", "&& isB64Token(s)", "", "TestForeignReferences"},
	{"references are of any length", "phantomtoken/reference.go", "0 < length && length <= mostForeign", "0 < length", "TestForeignReferences"},
	{"the cache key is of the reference's beginning", "phantomtoken/entry.go", "unsafe.StringData(reference), len(reference))", "unsafe.StringData(reference), min(len(reference), referenceLength))", "TestForeignReferences"},
	{"JWTs for everybody pass", "phantomtoken/verify.go", "	case len(audiences) == 0:\n		return errors.New(\"its JWT has no aud\")\n", "	case len(audiences) == 0:\n		return nil\n", "TestForeignJWTs"},
	{"other APIs' JWTs pass", "phantomtoken/verify.go", "case v.accept.OtherAudiences && named:", "case v.accept.OtherAudiences:", "TestForeignJWTs"},
	{"other audiences pass unnamed", "phantomtoken/verify.go", "case v.accept.OtherAudiences && named:", "case named:", "TestForeignJWTs"},
	{"other scopes pass unnamed", "phantomtoken/verify.go", "if v.accept.OtherScopes {", "if true {", "TestForeignJWTs"},
	{"typ JWT passes unnamed", "phantomtoken/verify.go", `!(v.accept.TypJWT && typ == "jwt")`, `typ != "jwt"`, "TestForeignJWTs"},
	{"any typ passes for typ JWT", "phantomtoken/verify.go", `!(v.accept.TypJWT && typ == "jwt")`, "!v.accept.TypJWT", "TestForeignJWTs"},
	{"JWTs bound to a key pass", "phantomtoken/verify.go", "if len(c.Confirmation) > 0 {", "if false {", "TestForeignJWTs"},
	{"our own issuer may be lenient", "gateway/foreign.go", "		onlyForeign(i, fault)\n", "", "TestParseFaults"},
	{"a foreign issuer's addresses are guessed", "gateway/foreign.go", `if a.value == "" {`, "if false {", "TestParseFaults"},
}

func TestForeignControls(t *testing.T) { controltest.Run(t, controltest.Table(foreignControls)) }
