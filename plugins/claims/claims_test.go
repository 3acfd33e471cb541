package claims_test

import (
	"testing"

	"github.com/phantomgate/phantomgate/plugins/claims"
)

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		data, sub string
		fails     string
	}{
		"read":                    {`{"sub":"alice"}`, "alice", ""},
		"not there":               {`{}`, "unset", ""},
		"another case before":     {`{"Sub":"bob","sub":"alice"}`, "alice", ""},
		"another case after":      {`{"sub":"alice","SUB":"bob"}`, "alice", ""},
		"another case alone":      {`{"Sub":"bob"}`, "unset", ""},
		"a letter that folds too": {`{"sub":"alice","ſub":"bob"}`, "alice", ""},
		"a letter that folds":     {`{"ſub":"bob"}`, "unset", ""}, // the long s, which case folding makes an s
		"another type elsewhere":  {`{"sub":"alice","other":[{}]}`, "alice", ""},
		"another type":            {`{"sub":["alice"]}`, "unset", "the claim sub has another type"},
		"a list":                  {`["alice"]`, "unset", "the claims are not a JSON object"},
		"no JSON":                 {`{"sub":"alice"`, "unset", "the claims are not a JSON object"},
		"something comes after":   {`{"sub":"alice"}{}`, "unset", "the claims are not a JSON object"},
		"nothing":                 {``, "unset", "the claims are not a JSON object"},
		"null keeps what it was":  {`{"sub":null}`, "unset", ""},
		"no object at all but ok": {`null`, "unset", ""},
	} {
		t.Run(name, func(t *testing.T) {
			sub, said := "unset", ""
			if err := claims.Read([]byte(c.data), map[string]any{"sub": &sub}); err != nil {
				said = err.Error()
			}
			if sub != c.sub || said != c.fails {
				t.Errorf("sub %q, error %q; want %q, %q", sub, said, c.sub, c.fails)
			}
		})
	}
}
