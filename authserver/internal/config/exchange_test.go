package config

import (
	"reflect"
	"strings"
	"testing"
)

// TestExchangeRules: what a rule says is what is read, and a service may have several.
func TestExchangeRules(t *testing.T) {
	yaml := validYAML(t)
	for _, edit := range [][2]string{
		{"claims: [region]\nclients:", "claims: [region]\n  - name: discount\n    scopes: [{name: discount.fullaccess}]\n" +
			"  - name: mail\n    scopes: [{name: mail.send}]\nclients:"},
		{"introspects: [eventcatalog]", "grant_types: [urn:ietf:params:oauth:grant-type:token-exchange]\n    exchange:\n" +
			"      - {from: eventcatalog, audience: discount, scopes: [discount.fullaccess]}\n" +
			"      - {from: eventcatalog, audience: mail, scopes: [mail.send]}"},
	} {
		if !strings.Contains(yaml, edit[0]) {
			t.Fatalf("the valid file has no %q", edit[0])
		}
		yaml = strings.Replace(yaml, edit[0], edit[1], 1)
	}
	want := []Exchange{
		{From: "eventcatalog", Audience: "discount", Scopes: []string{"discount.fullaccess"}},
		{From: "eventcatalog", Audience: "mail", Scopes: []string{"mail.send"}},
	}
	if got := mustParse(t, yaml).Clients[2].Exchange; !reflect.DeepEqual(got, want) {
		t.Errorf("the rules are %+v, want %+v", got, want)
	}
}
