package demo

import "strings"

// Step is something to try by hand.
type Step struct {
	Title   string
	Command string
	Browser bool // it waits for a person
	Person  bool // it leans on the token that a person has got
}

// Steps are the walk as commands for a shell, in order: each leans on the variables that those before it set.
func (d *Demo) Steps() []Step {
	curl, ca := "curl -sS", ""
	if d.CAFile != "" {
		curl += " --cacert " + quote(d.CAFile)
		ca = " -ca " + quote(d.CAFile)
	}
	issuer := ""
	if d.IssuerURL != "http://localhost:8090" {
		issuer = " -issuer " + d.IssuerURL
	}
	token := func(variable, client, scope string) string {
		return variable + "=$(" + curl + " -u " + client + ":" + client + "-demo-secret -d grant_type=client_credentials -d scope=" + scope + " " +
			d.IssuerURL + `/oauth/token | sed -nE 's/.*"access_token": *"([^"]*)".*/\1/p'); echo "$` + variable + `"`
	}
	events := d.GatewayURL + "/api/eventcatalog/events"
	bearer := ` -H "Authorization: Bearer $TOKEN" `
	return []Step{
		{Title: "What the issuer offers", Command: curl + " " + d.IssuerURL + "/.well-known/openid-configuration"},
		{Title: "A job logs in and gets a reference: opaque, good for nothing but asking", Command: token("TOKEN", "batch", "eventcatalog.read")},
		{Title: "It calls the API through the gateway", Command: curl + bearer + events},
		{Title: "The API got a narrow JWT instead", Command: curl + bearer + d.GatewayURL + "/api/eventcatalog/whoami"},
		{Title: "The same for a person, in your browser; then try the two calls above again", Command: "TOKEN=$(go -C testbed run ./cmd/login" + issuer + ca + "); echo \"$TOKEN\"", Browser: true},
		{Title: "That person puts two tickets into the basket, which asks the discount API on their behalf", Person: true,
			Command: curl + bearer + `-H "Content-Type: application/json" -d '{"event":"e1","quantity":2}' ` + d.GatewayURL + "/api/shoppingbasket/basket"},
		{Title: "What the discount API got for that: a token exchanged for it alone; act says by whom", Person: true,
			Command: curl + bearer + d.GatewayURL + "/api/shoppingbasket/whoami/discount"},
		{Title: `An operator revokes the token (or a whole user: {"user":"alice"})`, Command: token("ADMIN", "operator", "admin") + "\n" +
			curl + ` -H "Authorization: Bearer $ADMIN" -H "Content-Type: application/json" -d "{\"token\":\"$TOKEN\"}" ` + d.AdminURL + "/admin/v1/revocations"},
		{Title: "It is refused: the gateway had it in its cache, and has heard from the issuer", Command: "sleep 0.5; " + curl + " -i" + bearer + events},
	}
}

// quote makes a shell take s as one word.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
