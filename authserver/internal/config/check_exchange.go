package config

import (
	"fmt"
	"slices"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// checkExchanges judges the rules of token exchange, client by client and against each other.
func checkExchanges(d *decoder, c *Config) {
	owners := map[string]string{} // by scope, its audience
	var audiences []string
	for _, audience := range c.Audiences {
		audiences = append(audiences, audience.Name)
		for _, scope := range audience.Scopes {
			owners[scope.Name] = audience.Name
		}
	}
	services := map[string]string{} // by audience, the client that is its service
	for i, client := range c.Clients {
		key := fmt.Sprintf("clients[%d]", i)
		offered := slices.Contains(client.GrantTypes, oauth.GrantTokenExchange)
		switch {
		case offered && len(client.Exchange) == 0:
			d.fault(key+".exchange", "is missing, and token exchange needs a rule", "write - {from: its own audience, audience: the one it calls, scopes: […]}")
		case !offered && len(client.Exchange) > 0:
			d.fault(key+".exchange", "is of no use without the grant type "+oauth.GrantTokenExchange, "remove it, or add the grant type")
		}
		for j, rule := range client.Exchange {
			at := fmt.Sprintf("%s.exchange[%d]", key, j)
			checkExchangeEnds(d, at, rule, audiences)
			checkExchangeScopes(d, at, rule, owners)
			if slices.ContainsFunc(client.Exchange[:j], func(r Exchange) bool { return r.From == rule.From && r.Audience == rule.Audience }) {
				d.fault(at, "is a second rule from "+shown(rule.From)+" to "+shown(rule.Audience), "keep one, with the scopes of both")
			}
			if other, taken := services[rule.From]; taken && other != client.ID {
				d.fault(at+".from", shown(rule.From)+" is the audience of client "+shown(other)+" already", "name the audience that this client is the service of")
			} else if rule.From != "" {
				services[rule.From] = client.ID
			}
		}
	}
}

func checkExchangeEnds(d *decoder, at string, rule Exchange, audiences []string) {
	for _, end := range []struct{ key, name, fix string }{
		{at + ".from", rule.From, "name the audience that this client is the service of"},
		{at + ".audience", rule.Audience, "name the audience that this client calls"},
	} {
		switch {
		case end.name == "":
			d.fault(end.key, "is missing", end.fix)
		case !slices.Contains(audiences, end.name):
			d.fault(end.key, "audience "+shown(end.name)+" is not declared", "declare it under audiences, or remove the rule")
		}
	}
	if rule.From != "" && rule.From == rule.Audience {
		d.fault(at+".audience", "is where the token comes from", "name another audience: a service has no need to exchange for its own")
	}
}

func checkExchangeScopes(d *decoder, at string, rule Exchange, owners map[string]string) {
	if len(rule.Scopes) == 0 {
		d.fault(at+".scopes", "is missing", "name the scopes that the service needs there")
	}
	for i, scope := range rule.Scopes {
		key := fmt.Sprintf("%s.scopes[%d]", at, i)
		switch owner, known := owners[scope]; {
		case !known:
			d.fault(key, "scope "+shown(scope)+" is not declared", "declare it at an audience, or remove it here")
		case owner != rule.Audience:
			d.fault(key, "scope "+shown(scope)+" belongs to audience "+shown(owner), "name scopes of "+shown(rule.Audience)+" only")
		case slices.Contains(rule.Scopes[:i], scope):
			d.fault(key, "names "+shown(scope)+" a second time", "keep one")
		}
	}
}
