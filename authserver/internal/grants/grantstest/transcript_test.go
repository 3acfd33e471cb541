package grantstest

import "testing"

// TestACodeHasAName holds for every letter that base64url may put first or last.
func TestACodeHasAName(t *testing.T) {
	for _, code := range []string{
		"afS1ThY1QI6S4NYhY11ki1tpbxvAdW3srgJng22gCog",
		"-fS1ThY1QI6S4NYhY11ki1tpbxvAdW3srgJng22gCog",
		"_fS1ThY1QI6S4NYhY11ki1tpbxvAdW3srgJng22gCo-",
	} {
		tr := &Transcript{names: map[string]string{}}
		if got := tr.named(code); got != "<code 1>" {
			t.Errorf("%s is written as %s", code, got)
		}
	}
}
