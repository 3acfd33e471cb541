package phantomtoken

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestVerify(t *testing.T) {
	type m = map[string]any
	at := func(d time.Duration) int64 { return newClock().now().Add(d).Unix() }
	tests := map[string]struct {
		header, claims m
		want           error
	}{
		"good":                        {nil, nil, nil},
		"application/at+jwt":          {m{"typ": "application/AT+JWT"}, nil, nil},
		"one audience in a list":      {nil, m{"aud": []string{"orders"}}, nil},
		"iat by a fast clock":         {nil, m{"iat": at(8 * time.Second)}, nil},
		"fewer scopes than asked":     {nil, m{"scope": ""}, nil},
		"tenant by name":              {nil, m{"tenant": "default"}, nil},
		"just expired":                {nil, m{"exp": at(0)}, ErrInactive},
		"long expired":                {nil, m{"exp": at(-time.Minute)}, ErrIssuer},
		"no exp":                      {nil, m{"exp": nil}, ErrIssuer},
		"exp as text":                 {nil, m{"exp": "soon"}, ErrIssuer},
		"no iat":                      {nil, m{"iat": nil}, ErrIssuer},
		"iat in the future":           {nil, m{"iat": at(time.Minute)}, ErrIssuer},
		"nbf in the future":           {nil, m{"nbf": at(time.Minute)}, ErrIssuer},
		"other issuer":                {nil, m{"iss": testIssuer + "/"}, ErrIssuer},
		"no issuer":                   {nil, m{"iss": nil}, ErrIssuer},
		"other audience":              {nil, m{"aud": "basket"}, ErrIssuer},
		"no audience":                 {nil, m{"aud": nil}, ErrIssuer},
		"two audiences":               {nil, m{"aud": []string{"orders", "basket"}}, ErrIssuer},
		"one audience twice":          {nil, m{"aud": []string{"orders", "orders"}}, ErrIssuer},
		"more scopes than asked":      {nil, m{"scope": "orders.read orders.admin"}, ErrIssuer},
		"scope as a list":             {nil, m{"scope": []string{"orders.read"}}, ErrIssuer},
		"other tenant":                {nil, m{"tenant": "acme"}, ErrIssuer},
		"Tenant is another claim":     {nil, m{"Tenant": "acme"}, nil},
		"EXP is not exp":              {nil, m{"exp": nil, "EXP": at(time.Minute)}, ErrIssuer},
		"Iat is not iat":              {nil, m{"iat": nil, "Iat": at(0)}, ErrIssuer},
		"Iss is not iss":              {nil, m{"iss": nil, "Iss": testIssuer}, ErrIssuer},
		"AUD is not aud":              {nil, m{"aud": nil, "AUD": "orders"}, ErrIssuer},
		"ID token":                    {m{"typ": "JWT"}, nil, ErrIssuer},
		"no typ":                      {m{"typ": nil}, nil, ErrIssuer},
		"security event":              {m{"typ": "secevent+jwt"}, nil, ErrIssuer},
		"critical extension":          {m{"crit": []string{"b64"}, "b64": false}, nil, ErrIssuer},
		"no kid":                      {m{"kid": nil}, nil, ErrIssuer},
		"unknown kid":                 {m{"kid": "2"}, nil, ErrIssuer},
		"kid as a path":               {m{"kid": "../../dev/null"}, nil, ErrIssuer},
		"kid as a number":             {m{"kid": 1}, nil, ErrIssuer},
		"jku and x5u are looked over": {m{"jku": "https://evil.example", "x5u": "https://evil.example"}, nil, nil},
		"alg other than the key's":    {m{"alg": "RS256"}, nil, ErrIssuer},
		"alg none":                    {m{"alg": "none"}, nil, ErrIssuer},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.issuer.header, f.issuer.claims = test.header, test.claims
			_, _, err := f.swap(good)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			// What was refused must not come out of the cache either.
			if _, cached, again := f.swap(good); cached != (err == nil || test.want == ErrInactive) || (again == nil) != (err == nil) {
				t.Errorf("asked again: cached %t, %v", cached, again)
			}
		})
	}
}

// TestWrongClocksAreNamed: what an operator reads when issuer and gateway do not agree what time it is.
func TestWrongClocksAreNamed(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"the issuer is ahead":           {"iat": newClock().now().Add(5 * time.Minute).Unix()},
		"the issuer is behind":          {"exp": newClock().now().Add(-time.Minute).Unix()},
		"the issuer is a little behind": {"iat": newClock().now().Add(-5 * time.Minute).Unix(), "exp": newClock().now().Unix()},
	} {
		f := newFixture(t)
		f.issuer.claims = claims
		if _, _, err := f.swap(good); !errors.Is(err, ErrIssuer) || !strings.Contains(err.Error(), "the clocks of issuer and gateway differ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignatureIsVerifiedBeforeCaching(t *testing.T) {
	f := newFixture(t)
	claims := jwt.MapClaims{
		"iss": testIssuer, "aud": "orders", "scope": "orders.read", "iat": f.clock.now().Unix(), "exp": f.clock.now().Add(time.Minute).Unix(),
	}
	sign := func(method jwt.SigningMethod, key any) string {
		token := jwt.NewWithClaims(method, claims)
		token.Header["typ"], token.Header["kid"] = "at+jwt", "1"
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f.mustSwap(good, false) // the keys are known
	genuine := f.issuer.mint()
	// The bytes of the public key as an HMAC secret: the classic confusion of RS256 or ES256 with HS256.
	public, err := f.issuer.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	forgeries := map[string]string{
		"stranger's key":    sign(jwt.SigningMethodES256, stranger),
		"HS256":             sign(jwt.SigningMethodHS256, public),
		"none":              sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"signature cut off": genuine[:strings.LastIndexByte(genuine, '.')+1],
		"changed":           genuine[:len(genuine)-10] + "AAAAAAAAAA",
		"four parts":        genuine + ".x",
	}
	for name, forged := range forgeries {
		f.issuer.answer = func(*http.Request) *http.Response { return respond(200, "application/jwt", forged) }
		for range 2 {
			if token, cached, err := f.swap(other); !errors.Is(err, ErrIssuer) || cached || token.Header != nil {
				t.Errorf("%s: cached %t, %v", name, cached, err)
			}
		}
	}
}

func TestSymmetricAndForeignKeysAreIgnored(t *testing.T) {
	set := `{"keys":[
		{"kty":"oct","kid":"a","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
		{"kty":"EC","kid":"b","use":"enc","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
		{"kty":"EC","kid":"e","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"},
		{"kty":"future","kid":"c"}, {"kty":"EC"}, 7,
		{"kty":"EC","kid":"d","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	keys, err := parseKeys([]byte(set))
	if err != nil || len(keys) != 1 || keys["d"] == nil {
		t.Errorf("%v, %v", keys, err)
	}
	for _, bad := range []string{"", "[]", `{"keys":[]}`, `{"keys":{}}`, `{}`} {
		if _, err := parseKeys([]byte(bad)); !errors.Is(err, ErrIssuer) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
