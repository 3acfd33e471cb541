package main

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

// TestALostAnswer: the revocation was done, its answer went nowhere. It is asked for again, and done once.
func TestALostAnswer(t *testing.T) {
	for name, args := range map[string][]string{
		"client": {"revoke", "--client", "batch"}, "everything": {"revoke", "--everything", "--yes"}, // which ends the token it is asked with
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			var keys []string
			admin := l.before(t, func(w http.ResponseWriter, r *http.Request, api http.Handler) {
				if keys = append(keys, r.Header.Get("Idempotency-Key")); len(keys) < 3 {
					lose(r, api)
				}
				api.ServeHTTP(w, r)
			})
			d := l.phantomctl(t, admin.URL, nil, args...)
			if d.code != 0 || !strings.Contains(d.out, " 1           1 ") {
				t.Errorf("exit code %d, generation and sequence are not 1:\n%s%s", d.code, d.out, d.err)
			}
			admin.look(func() {
				if len(keys) < 3 || keys[0] == "" || len(slices.Compact(keys)) != 1 {
					t.Errorf("the keys were %q", keys)
				}
			})
		})
	}
}

// TestALostAnswerWithoutItsKey is the control: whoever takes the key away sees it done twice.
func TestALostAnswerWithoutItsKey(t *testing.T) {
	l := newLab(t)
	first := true
	admin := l.before(t, func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		r.Header.Del("Idempotency-Key")
		if first {
			first = false
			lose(r, api)
		}
		api.ServeHTTP(w, r)
	})
	if d := l.phantomctl(t, admin.URL, nil, "revoke", "--client", "batch"); d.code != 0 || !strings.Contains(d.out, " 2           2 ") {
		t.Errorf("exit code %d, generation and sequence are not 2:\n%s%s", d.code, d.out, d.err)
	}
}

// TestAnAnswerThatNeverComes: it ends, says that it is not known what was done, and with the key that it names, the same
// request is still carried out once.
func TestAnAnswerThatNeverComes(t *testing.T) {
	l := newLab(t)
	admin := l.before(t, func(_ http.ResponseWriter, r *http.Request, api http.Handler) { lose(r, api) })
	d := l.phantomctl(t, admin.URL, nil, "revoke", "--client", "batch")
	if d.code != exitError || len(d.pauses) == 0 || !strings.Contains(d.err, "given up after") {
		t.Fatalf("exit code %d, waited %v:\n%s", d.code, d.pauses, d.err)
	}
	_, rest, ok := strings.Cut(d.err, "Run the same command again with --key ")
	if !ok {
		t.Fatalf("it does not say how to go on:\n%s", d.err)
	}
	key, _, _ := strings.Cut(rest, ":")
	d = l.phantomctl(t, l.Admin, nil, "revoke", "--client", "batch", "--key", key)
	if d.code != 0 || !strings.Contains(d.out, " 1           1 ") {
		t.Errorf("exit code %d, generation and sequence are not 1:\n%s%s", d.code, d.out, d.err)
	}
}

// TestItWaitsAsLongAsTheIssuerSays, and in all not longer than it may; what will not pass by waiting is not waited for.
func TestItWaitsAsLongAsTheIssuerSays(t *testing.T) {
	l := newLab(t)
	for name, c := range map[string]struct {
		status     int
		retryAfter string
		want       []time.Duration
	}{
		"as told":        {503, "7", []time.Duration{7 * time.Second, 7 * time.Second}},
		"not for ever":   {503, "86400", nil},
		"untold":         {503, "", []time.Duration{time.Second / 2, time.Second, 2 * time.Second, 4 * time.Second}},
		"a gateway's":    {502, "later", []time.Duration{time.Second / 2, time.Second, 2 * time.Second, 4 * time.Second}},
		"too many":       {429, "14", []time.Duration{14 * time.Second}},
		"our own fault":  {400, "1", nil},
		"its fault":      {500, "1", nil},
		"elsewhere":      {302, "", nil},
		"not for us":     {403, "", nil},
		"another's host": {421, "", nil},
	} {
		admin := l.before(t, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			if c.retryAfter != "" {
				w.Header().Set("Retry-After", c.retryAfter)
			}
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(c.status)
		})
		d := l.phantomctl(t, admin.URL, nil, "gateways")
		if d.code != exitError || !slices.Equal(d.pauses, c.want) {
			t.Errorf("%s: exit code %d, waited %v, want %v:\n%s", name, d.code, d.pauses, c.want, d.err)
		}
	}
}

// TestARunOutlivesItsToken, and a token that is refused for another reason is not asked for for ever.
func TestARunOutlivesItsToken(t *testing.T) {
	var hours atomic.Int64
	l := lab{authservertest.New(t, authservertest.Options{Config: config, Now: func() time.Time {
		return time.Now().Add(time.Duration(hours.Load()) * time.Hour)
	}})}
	tokens := map[string]bool{}
	admin := l.before(t, func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		tokens[r.Header.Get("Authorization")] = true
		api.ServeHTTP(w, r)
		hours.Add(1) // each batch finds that its token has ended
	})
	list := strings.Repeat("unknown\n", 2*batchSize+1)
	d := l.phantomctl(t, admin.URL, strings.NewReader(list), "revoke-leaked", "-")
	admin.look(func() {
		if d.code != 0 || !strings.HasPrefix(d.out, "2001 references: 0 revoked, 0 ended before, 2001 unknown") || len(tokens) != 3 {
			t.Errorf("exit code %d, %d tokens:\n%s%s", d.code, len(tokens), d.out, d.err)
		}
	})
	asked := 0
	admin = l.before(t, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		asked++
		w.WriteHeader(http.StatusUnauthorized)
	})
	d = l.phantomctl(t, admin.URL, nil, "gateways")
	admin.look(func() {
		if d.code != exitError || asked != 1 {
			t.Errorf("refused with a fresh token: exit code %d after %d requests:\n%s", d.code, asked, d.err)
		}
	})
}

// TestNothingIsRepeatedOfAStranger: what stands between us and the issuer may echo what it was sent, and write to terminals.
func TestNothingIsRepeatedOfAStranger(t *testing.T) {
	l := newLab(t)
	list := strings.Join(l.list(t, 3), "\n") + "\ncanary-jti\n"
	for name, answer := range map[string]func(w http.ResponseWriter, body string){
		"text":    func(w http.ResponseWriter, body string) { http.Error(w, body, http.StatusBadRequest) },
		"problem": func(w http.ResponseWriter, _ string) { problem(w, `{"detail":"\u001b[2Jred"}`) },
		"not JSON": func(w http.ResponseWriter, body string) {
			_, _ = io.WriteString(w, body[1:])
		},
	} {
		admin := l.before(t, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			body, _ := io.ReadAll(r.Body)
			answer(w, string(body))
		})
		d := l.phantomctl(t, admin.URL, strings.NewReader(list), "revoke-leaked", "-")
		if d.code != exitError || strings.Contains(d.err, "canary") || strings.Contains(d.err, "\x1b") {
			t.Errorf("%s: exit code %d:\n%q", name, d.code, d.err)
		}
	}
}

func problem(w http.ResponseWriter, text string) {
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, text)
}
