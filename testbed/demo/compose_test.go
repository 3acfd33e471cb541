package demo

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composeFolder has the configuration of docker-compose.yml's issuer and gateway.
const composeFolder = "../../deploy/compose/"

// TestTheContainersAreTheDemo: the issuer's file of docker-compose.yml differs from the demo's in addresses, folders and
// secrets, and in nothing else.
func TestTheContainersAreTheDemo(t *testing.T) {
	theirs, err := os.ReadFile(composeFolder + "issuer.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`\bdemo:`).FindAll(theirs, -1); found != nil {
		t.Errorf("it has demo secrets: %d", len(found))
	}
	want, got := parts(t, issuerFile), parts(t, theirs)
	for _, name := range []string{"policies", "audiences", "clients", "users"} {
		if !reflect.DeepEqual(want[name], got[name]) {
			t.Errorf("%s: the demo has\n%v\nand the containers have\n%v", name, want[name], got[name])
		}
	}
	for name := range got {
		if !slices.Contains([]string{"issuer", "listen", "hosts", "admin", "storage", "data_key", "policies", "audiences", "clients", "users"}, name) {
			t.Errorf("the containers' issuer has %s, of which the demo's knows nothing", name)
		}
	}
}

// parts reads an issuer's file, and replaces each secret by its kind.
func parts(t *testing.T, file []byte) map[string]any {
	t.Helper()
	var read map[string]any
	if err := yaml.Unmarshal(file, &read); err != nil {
		t.Fatal(err)
	}
	for list, secret := range map[string]string{"clients": "secret", "users": "password"} {
		for _, one := range read[list].([]any) {
			if one := one.(map[string]any); one[secret] != nil {
				one[secret] = "one of its own"
			}
		}
	}
	return read
}

// TestTheContainersGatewayIsTheDemos: the same routes, the same token handler.
func TestTheContainersGatewayIsTheDemos(t *testing.T) {
	theirs, err := os.ReadFile(composeFolder + "Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[string]string{
		"GATEWAY_URL": "http://localhost:8080", "GATEWAY_REACHED_AT": "http://gateway:8080", "GATEWAY_PORT": "8080",
		"ISSUER_URL": "http://localhost:8090", "ISSUER_REACHED_AT": "http://issuer:8090",
		// of the demo only
		"DATA_DIR": "/data", "GATEWAY_HOST": "localhost", "GATEWAY_SCHEME": "http", "GATEWAY_PROTOCOLS": "h1", "LOG_LEVEL": "WARN",
		"ISSUER_LISTEN": "issuer:8090", "EVENTCATALOG": "eventcatalog:9000", "SHOPPINGBASKET": "shoppingbasket:9000", "ACCOUNT": "account:9000", "SHOP": "shop:9000",
	}
	demos, containers := handling(t, gatewayFile, addresses), handling(t, string(theirs), addresses)
	if routes, ok := containers["phantom_token"].(map[string]any)["routes"].([]any); ok { // what the container's own health check asks
		containers["phantom_token"].(map[string]any)["routes"] = slices.DeleteFunc(routes, func(r any) bool {
			return r.(map[string]any)["path"] == "/healthz"
		})
	}
	if len(demos) != 3 {
		t.Errorf("the demo's gateway has %d of the three: phantomgate, phantom_token, oauth_agent", len(demos))
	}
	if !reflect.DeepEqual(demos, containers) {
		want, _ := json.MarshalIndent(demos, "", " ")
		got, _ := json.MarshalIndent(containers, "", " ")
		t.Errorf("the demo's gateway has\n%s\nand the containers'\n%s", want, got)
	}
}

// handling gives what a Caddyfile makes of phantomgate: the app, without its folders, and the handlers by name.
func handling(t *testing.T, file string, settings map[string]string) map[string]any {
	t.Helper()
	config, err := adapt(file, settings)
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	if err := json.Unmarshal(config, &read); err != nil {
		t.Fatal(err)
	}
	app := read["apps"].(map[string]any)["phantomgate"].(map[string]any)
	delete(app, "caddyfilePlaces") // lines of the file
	found := map[string]any{"phantomgate": app}
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, one := range value {
				walk(one)
			}
		case map[string]any:
			if name := value["handler"]; name == "phantom_token" || name == "oauth_agent" {
				found[name.(string)] = value
			}
			for key, one := range value {
				if text, ok := one.(string); ok && regexp.MustCompile(`[fF]ile$`).MatchString(key) {
					value[key] = regexp.MustCompile(`^.*/`).ReplaceAllString(text, "")
				}
				walk(one)
			}
		}
	}
	walk(read["apps"])
	return found
}
