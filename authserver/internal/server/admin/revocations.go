package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/revocation"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

type revocationAnswer struct {
	ID         string       `json:"id"`
	Kind       storage.Kind `json:"kind"`
	Generation int64        `json:"generation"`
	Sequence   int64        `json:"sequence"`
	At         time.Time    `json:"at"`
}

func answer(r storage.Revocation) revocationAnswer {
	return revocationAnswer{ID: r.ID, Kind: r.Kind, Generation: r.Generation, Sequence: r.Sequence, At: r.At.UTC()}
}

// maxBody is the largest body of one revocation, in bytes; maxLeaked that of a list, and maxReferences how many it may name.
const (
	maxBody       = 16 << 10
	maxLeaked     = 256 << 10
	maxReferences = 1000
)

func (h *Handler) revoke(w http.ResponseWriter, r *http.Request, operator string) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return oauth.Errorf(oauth.InvalidRequest, "the body could not be read, or is larger than %d bytes", maxBody)
	}
	target, err := parseTarget(body)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	done, err := h.Revoker.RevokeTarget(r.Context(), h.Tenant, target, operator, key)
	if err != nil {
		return err
	}
	h.Log.InfoContext(r.Context(), "revoked", "id", done.ID, "kind", string(done.Kind), "by", operator)
	wire.JSON(w, http.StatusOK, answer(done))
	return nil
}

// parseTarget is strict: an unknown, doubled or empty member is refused, so that no other revocation than meant is done.
func parseTarget(body []byte) (revocation.Target, error) {
	var target revocation.Target
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&target); err != nil {
		return target, oauth.Errorf(oauth.InvalidRequest,
			"send a JSON object with exactly one of token, grant, session, user, client, tenant, everything, or user and client")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return target, oauth.Errorf(oauth.InvalidRequest, "send one JSON object and nothing after it")
	}
	if ambiguous(body) {
		return target, oauth.Errorf(oauth.InvalidRequest, "a member is given twice, or is empty")
	}
	return target, nil
}

// ambiguous tells whether a flat JSON object names a member twice, in any case (encoding/json would take the last), or one
// that is empty: a script whose variable was not set would revoke a whole client where it meant one user of it.
func ambiguous(body []byte) bool {
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	seen := map[string]bool{}
	_, _ = decoder.Token() // the opening brace; the caller has parsed it
	for decoder.More() {
		name, err := decoder.Token()
		text, _ := name.(string)
		if err != nil || seen[strings.ToLower(text)] {
			return true
		}
		seen[strings.ToLower(text)] = true
		if value, err := decoder.Token(); err != nil || value == "" || value == nil || value == false {
			return true
		}
	}
	return false
}

// idempotencyKey reads the key with which a request may be sent again and is carried out once; "" when there is none.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	visible := func(c rune) bool { return c > 0x20 && c < 0x7f }
	if len(values) > 1 || key == "" || len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return !visible(c) }) {
		return "", oauth.Errorf(oauth.InvalidRequest, "send one Idempotency-Key, of 1 to 255 visible ASCII characters")
	}
	return key, nil
}

// revokeLeaked ends what a list of leaked references stands for. What has ended already is counted and left alone, so a list
// whose answer was lost may be sent again.
func (h *Handler) revokeLeaked(w http.ResponseWriter, r *http.Request, operator string) error {
	var asked struct {
		Tokens []string `json:"tokens"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLeaked))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil || len(asked.Tokens) == 0 || len(asked.Tokens) > maxReferences {
		return oauth.Errorf(oauth.InvalidRequest, `send {"tokens": [...]} with 1 to %d references or jti`, maxReferences)
	}
	done, err := h.Revoker.RevokeLeaked(r.Context(), h.Tenant, asked.Tokens, operator)
	if err != nil {
		return err
	}
	h.Log.InfoContext(r.Context(), "leaked references revoked", "revoked", done.Revoked, "ended", done.Ended, "unknown", done.Unknown, "by", operator)
	wire.JSON(w, http.StatusOK, struct {
		Revoked  int   `json:"revoked"`
		Ended    int   `json:"ended"`
		Unknown  int   `json:"unknown"`
		Sequence int64 `json:"sequence,omitempty"` // of the last of them
	}{done.Revoked, done.Ended, done.Unknown, done.Last.Sequence})
	return nil
}

// appliedAnswer says when a gateway told that it had applied a revocation, and how long after it that was.
type appliedAnswer struct {
	Gateway string    `json:"gateway"`
	Client  string    `json:"client"`
	Stream  string    `json:"stream"`
	At      time.Time `json:"at"`
	Millis  int64     `json:"ms"`
}

func (h *Handler) revocation(w http.ResponseWriter, r *http.Request, _ string) error {
	found, applied, err := h.Revoker.Find(r.Context(), h.Tenant, r.PathValue("id"))
	if err != nil {
		return err
	}
	list := []appliedAnswer{}
	for _, a := range applied {
		list = append(list, appliedAnswer{cmp.Or(a.Description, a.StreamID), a.ClientID, a.StreamID, a.At.UTC(), a.At.Sub(found.At).Milliseconds()})
	}
	wire.JSON(w, http.StatusOK, struct {
		revocationAnswer
		Applied []appliedAnswer `json:"applied"`
	}{answer(found), list})
	return nil
}
