package plugintest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// jwtCases: a phantom token is verified before it is used or cached. Each
// fault is tried twice, so that one kept unverified shows on the hit.
func jwtCases() []Case {
	edit := func(change func(header map[string]any, claims jwt.MapClaims)) Behaviour {
		return Behaviour{Mint: change}
	}
	claim := func(name string, value any) Behaviour {
		return edit(func(_ map[string]any, claims jwt.MapClaims) { claims[name] = value })
	}
	without := func(name string) Behaviour {
		return edit(func(_ map[string]any, claims jwt.MapClaims) { delete(claims, name) })
	}
	header := func(name string, value any) Behaviour {
		return edit(func(header map[string]any, _ jwt.MapClaims) { header[name] = value })
	}
	hour := func(n int) int64 { return time.Now().Add(time.Duration(n) * time.Hour).Unix() }
	behaviours := map[string]Behaviour{
		"another key's signature":  {Sign: signedByStranger},
		"altered payload":          {Sign: alteredPayload},
		"no signature":             {Sign: unsigned},
		"alg none":                 {Sign: algNone},
		"HS256 over public key":    {Sign: hmacOverPublicKey},
		"unknown kid":              header("kid", "nobody's"),
		"kid as a path":            header("kid", "../../../../dev/null"),
		"typ JWT":                  header("typ", "JWT"),
		"no typ":                   edit(func(header map[string]any, _ jwt.MapClaims) { delete(header, "typ") }),
		"an introspection's typ":   header("typ", "token-introspection+jwt"),
		"another issuer":           claim("iss", "https://elsewhere.example"),
		"the issuer plus slash":    edit(func(_ map[string]any, c jwt.MapClaims) { c["iss"] = c["iss"].(string) + "/" }),
		"no iss":                   without("iss"),
		"another audience":         claim("aud", "shoppingbasket"),
		"an extra audience":        claim("aud", []string{"eventcatalog", "shoppingbasket"}),
		"no aud":                   without("aud"),
		"aud empty":                claim("aud", []string{}),
		"an extra scope":           claim("scope", "eventcatalog.read eventcatalog.admin"),
		"expired":                  claim("exp", hour(-1)),
		"no exp":                   without("exp"),
		"exp as a string":          claim("exp", "tomorrow"),
		"from the future":          claim("iat", hour(1)),
		"not yet valid":            claim("nbf", hour(1)),
		"no scope":                 without("scope"),
		"scope as a number":        claim("scope", 7),
		"a JWT bigger than 64 KiB": claim("padding", strings.Repeat("a", 64<<10)),
	}
	var cases []Case
	for _, name := range slices.Sorted(maps.Keys(behaviours)) {
		b := behaviours[name]
		cases = append(cases, Case{Name: "jwt/" + name, Check: func(w *Walk) {
			w.Issuer.Behave(b)
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			for range 2 {
				r := w.Get(Events, reference)
				if name == "no scope" && r.Status == http.StatusForbidden {
					continue // alive with nothing for this route is as good a reading
				}
				w.Refused(r, http.StatusBadGateway, "issuer_error")
			}
			w.NothingPassed()
		}})
	}
	return cases
}

// The forgeries below are all of a token whose claims are right.

func signedByStranger(_ *keyring, header map[string]any, claims jwt.MapClaims) string {
	return signES256(newSigningKey("stranger").private, header, claims)
}

func alteredPayload(k *keyring, header map[string]any, claims jwt.MapClaims) string {
	was := strings.Split(k.sign(header, claims), ".")
	claims["sub"] = "mallory"
	is := strings.Split(k.sign(header, claims), ".")
	return is[0] + "." + is[1] + "." + was[2]
}

func unsigned(k *keyring, header map[string]any, claims jwt.MapClaims) string {
	signed := k.sign(header, claims)
	return signed[:strings.LastIndex(signed, ".")+1]
}

func algNone(k *keyring, header map[string]any, claims jwt.MapClaims) string {
	header["alg"] = "none"
	signed, _ := (&jwt.Token{Header: header, Claims: claims, Method: jwt.SigningMethodNone}).
		SignedString(jwt.UnsafeAllowNoneSignatureType)
	return signed
}

// hmacOverPublicKey is the oldest confusion: the public key, which everybody
// has, as the secret of an HMAC.
func hmacOverPublicKey(k *keyring, header map[string]any, claims jwt.MapClaims) string {
	header["alg"] = "HS256"
	x, y := k.current().coordinates()
	point := append([]byte{4}, append(x, y...)...)
	signed, _ := (&jwt.Token{Header: header, Claims: claims, Method: jwt.SigningMethodHS256}).SignedString(point)
	return signed
}
