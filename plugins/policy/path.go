package policy

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// normalPath returns the decoded path of u, and whether it is in the one form that every program between the client
// and the API reads alike. A path that is not could be judged here under one rule and served there under another, so
// it is refused rather than repaired. Refused are: empty segments, `.` and `..` segments, `;`, backslash, control
// characters, what is not UTF-8, and the escapes of `/`, `.`, `%`, `?`, `#` and of all these: a rewrite between here and
// the API may put a decoded path together again, and a `?` would then end it early. Upper and lower case differ, as in
// RFC 3986: an API that ignores case needs rules that name no path twice. An address with another scheme than HTTP's (RFC 9112
// section 3.2.2) is refused too: some gateways follow one of their own (tyk://) to another API than the one that was judged.
func normalPath(u *url.URL) (string, bool) {
	path := u.Path
	if u.Opaque != "" || path == "" || path[0] != '/' || !isHTTP(u.Scheme) {
		return "", false
	}
	segment := 1 // where the current segment begins
	ascii := true
	for i := 1; i < len(path); i++ {
		switch kinds[path[i]] {
		case plain:
		case forbidden:
			return "", false
		case slash:
			if i == segment || isDots(path[segment:i]) {
				return "", false
			}
			segment = i + 1
		case beyondASCII:
			ascii = false
		}
	}
	if isDots(path[segment:]) || !ascii && !utf8.ValidString(path) {
		return "", false
	}
	// RawPath is set only when the path was escaped in a way that decoding forgets.
	if u.RawPath != "" && hidesStructure(u.RawPath) {
		return "", false
	}
	return path, true
}

// isHTTP tells whether a scheme, which is in lower case, is one that may stand before a path; most often there is none.
func isHTTP(scheme string) bool { return scheme == "" || scheme == "http" || scheme == "https" }

// kinds says what each byte of a decoded path is. A "%", "?" or "#" can only come from an escaped one.
var kinds = func() (table [256]byte) {
	for c := range table {
		switch {
		case c < ' ' || c == 0x7f || c == '%' || c == '?' || c == '#' || c == ';' || c == '\\':
			table[c] = forbidden
		case c == '/':
			table[c] = slash
		case c >= utf8.RuneSelf:
			table[c] = beyondASCII
		}
	}
	return table
}()

const (
	plain = iota
	forbidden
	slash
	beyondASCII
)

func isDots(segment string) bool {
	return segment == "." || segment == ".."
}

// hidesStructure tells whether raw has an escape that decoding turns into structure: `/` or `.`. The other forbidden
// characters are seen after decoding.
func hidesStructure(raw string) bool {
	for {
		i := strings.IndexByte(raw, '%')
		if i < 0 || i+2 >= len(raw) {
			return i >= 0 // an escape cut short
		}
		if raw[i+1] == '2' && strings.IndexByte("eEfF", raw[i+2]) >= 0 {
			return true
		}
		raw = raw[i+3:]
	}
}
