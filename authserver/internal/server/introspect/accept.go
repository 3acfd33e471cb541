package introspect

import (
	"strconv"
	"strings"
)

// The forms of an answer.
const (
	formJSON   = "application/json"
	formJWT    = "application/jwt"
	formSigned = "application/token-introspection+jwt"
)

// negotiate chooses the form that the Accept header likes best (RFC 9110, 12.5.1): the highest weight; of equal weights a
// form that is named before a wildcard, and the one named first. Whatever names none of our forms gets RFC 7662's JSON,
// which is never a token.
func negotiate(accept []string) string {
	if len(accept) == 1 { // what gateways send; the rest is for everybody else
		switch accept[0] {
		case formJWT, formJSON, formSigned:
			return accept[0]
		}
	}
	form, best, named := formJSON, 0.0, false
	for element := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		media, weight, ok := weighed(element)
		if !ok || weight == 0 {
			continue
		}
		isNamed := media == formJWT || media == formJSON || media == formSigned
		if !isNamed && media != "*/*" && media != "application/*" {
			continue
		}
		if weight < best || weight == best && (named || !isNamed) {
			continue
		}
		best, named, form = weight, isNamed, formJSON
		if isNamed {
			form = media
		}
	}
	return form
}

// weighed reads one element of an Accept header. Parameters other than q narrow nothing that we have.
func weighed(element string) (media string, weight float64, ok bool) {
	media, parameters, _ := strings.Cut(element, ";")
	media, weight = strings.ToLower(strings.TrimSpace(media)), 1
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || !(q >= 0 && q <= 1) { // NaN is neither
			return "", 0, false
		}
		weight = q
	}
	return media, weight, media != ""
}
