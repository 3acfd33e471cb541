package tokenhandler

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// purpose is what a cookie is for.
type purpose int

const (
	forLogin    purpose = iota // state, nonce and verifier of a login under way
	forAccess                  // the access reference
	forRefresh                 // the refresh reference
	forIdentity                // the ID token's claims
	forCSRF                    // what the CSRF header must say
	purposes
)

var suffixes = [purposes]string{"login", "at", "rt", "id", "csrf"}

// purposeOf finds the purpose of a suffix; purposes when there is none. It is asked of each cookie of each request.
func purposeOf(suffix string) purpose {
	switch suffix {
	case "login":
		return forLogin
	case "at":
		return forAccess
	case "rt":
		return forRefresh
	case "id":
		return forIdentity
	case "csrf":
		return forCSRF
	}
	return purposes
}

const (
	maxChunks     = 3
	maxCookieLine = 4096 // a browser keeps a cookie up to this many bytes, name, value and attributes together
	maxCookies    = 8192 // what all cookies of a session may take in a request's header
)

// names are the names of the cookies.
type names struct {
	prefix string                      // of all of them
	full   [purposes][maxChunks]string // the chunks after the first have names of their own
}

func newNames(prefix string) (n names) {
	n.prefix = "__Host-" + prefix + "-"
	for p := range purposes {
		n.full[p][0] = n.prefix + suffixes[p]
		for i := 1; i < maxChunks; i++ {
			n.full[p][i] = fmt.Sprintf("%s-%d", n.full[p][0], i)
		}
	}
	return n
}

// jar holds what a request says about our cookies.
type jar struct {
	values  [purposes][maxChunks]string
	seen    [purposes]uint8 // bit i: the i-th chunk came, be it empty
	doubled bool            // a name came twice: which one counts would be anybody's guess
}

// read collects our cookies in j, which is empty, from all Cookie headers; HTTP/2 may split them (RFC 9113 section
// 8.2.3).
func (n *names) read(h http.Header, j *jar) {
	for _, line := range h["Cookie"] {
		for line != "" {
			pair := line
			if i := strings.IndexByte(line, ';'); i >= 0 {
				pair, line = line[:i], line[i+1:]
			} else {
				line = ""
			}
			for pair != "" && isBlank(pair[0]) {
				pair = pair[1:]
			}
			if strings.HasPrefix(pair, n.prefix) {
				j.keep(pair[len(n.prefix):])
			}
		}
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// keep puts one of our cookies in its place, if it has one. pair is what follows the common prefix.
func (j *jar) keep(pair string) {
	i := strings.IndexByte(pair, '=')
	if i < 0 {
		return
	}
	name, value, chunk := pair[:i], pair[i+1:], 0
	if i > 2 && name[i-2] == '-' && name[i-1] > '0' && name[i-1] < '0'+maxChunks {
		name, chunk = name[:i-2], int(name[i-1]-'0')
	}
	p := purposeOf(name)
	if p == purposes {
		return
	}
	for value != "" && isBlank(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	j.doubled = j.doubled || j.seen[p]&(1<<chunk) != 0
	j.seen[p] |= 1 << chunk
	j.values[p][chunk] = value
}

// value returns the whole value of a cookie. Its first character says how many chunks it has; a chunk that was left
// behind by an earlier, longer value is not looked at.
func (j *jar) value(p purpose) (value string, ok bool) {
	first := j.values[p][0]
	if first == "" || j.doubled {
		return "", false
	}
	n := int(first[0]) - '0'
	if n < 1 || n > maxChunks || slices.Contains(j.values[p][1:n], "") {
		return "", false
	}
	if n == 1 {
		return first[1:], true
	}
	return first[1:] + strings.Join(j.values[p][1:n], ""), true
}

// has tells whether the request brought a cookie for p, in whatever state.
func (j *jar) has(p purpose) bool { return j.values[p][0] != "" }

// size returns how much room p's cookie takes in the request.
func (n *names) size(p purpose, j *jar) (size int) {
	for i, value := range j.values[p] {
		if value != "" {
			size += cookieSize(n.full[p][i], value)
		}
	}
	return size
}

func cookieSize(name, value string) int { return len(name) + len("=; ") + len(value) }

const cookieAttributes = "; Path=/; Secure; HttpOnly; SameSite=Strict"

// set returns the Set-Cookie lines that make value p's cookie, and ends chunks of an earlier value that the request
// still brings. size is what the cookie will take in a request; lines is nil when it needs too many chunks.
//
// The cookies live until the browser ends; the session inside ends by itself.
func (n *names) set(p purpose, value string, j *jar) (lines []string, size int) {
	var parts []string
	for i := 0; value != "" && i < maxChunks; i++ {
		room := maxCookieLine - len(n.full[p][i]) - len("=") - len(cookieAttributes)
		if i == 0 {
			room-- // the number of chunks
		}
		part := value[:min(room, len(value))]
		parts, value = append(parts, part), value[len(part):]
	}
	if value != "" {
		return nil, 0
	}
	parts[0] = string(rune('0'+len(parts))) + parts[0]
	for i, part := range parts {
		lines = append(lines, n.full[p][i]+"="+part+cookieAttributes)
		size += cookieSize(n.full[p][i], part)
	}
	for i := len(parts); i < maxChunks; i++ {
		if j.values[p][i] != "" {
			lines = append(lines, ending(n.full[p][i]))
		}
	}
	return lines, size
}

// clear returns the Set-Cookie lines that end p's cookie: every chunk there can be, so that a request which was
// stripped of some still ends them all.
func (n *names) clear(p purpose) (lines []string) {
	for _, name := range n.full[p] {
		lines = append(lines, ending(name))
	}
	return lines
}

// clearAll ends every cookie of ours. Name, path and attributes are those that they were set with: with others, a
// browser would keep them.
func (n *names) clearAll() (lines []string) {
	for p := range purposes {
		lines = append(lines, n.clear(p)...)
	}
	return lines
}

func ending(name string) string { return name + "=" + cookieAttributes + "; Max-Age=0" }

// stripCookies leaves only the cookies that keep names, and none whose name begins with ours.
func stripCookies(h http.Header, ours string, keep []string) {
	if len(keep) == 0 {
		delete(h, "Cookie")
		return
	}
	var kept []string
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			name, _, _ := strings.Cut(pair, "=")
			if slices.Contains(keep, name) && !strings.HasPrefix(name, ours) {
				kept = append(kept, pair)
			}
		}
	}
	if kept == nil {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = []string{strings.Join(kept, "; ")}
}
