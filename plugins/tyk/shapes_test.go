package main

import (
	"encoding/json"
	"testing"
)

// shape is a way to write an API definition. Both suites, the one against the contract and the one against a real gateway,
// run in each.
type shape struct {
	name string
	// definition returns the definition of an API that has config in it and forwards to upstream. plugin is the .so.
	definition func(config map[string]any, upstream, plugin string) map[string]any
	oas        bool
}

// shapes are all of them.
func shapes() []shape {
	return []shape{
		{name: "keyless", definition: func(config map[string]any, upstream, plugin string) map[string]any {
			d := classic(config, upstream, plugin)
			d["use_keyless"] = true
			return d
		}},
		{name: "auth_check", definition: classic},
		{name: "strip_auth_data", definition: func(config map[string]any, upstream, plugin string) map[string]any {
			d := classic(config, upstream, plugin)
			d["strip_auth_data"] = true
			return d
		}},
		{name: "OAS", definition: openAPI, oas: true},
	}
}

// classic is a classic definition with every symbol where it belongs.
func classic(config map[string]any, upstream, plugin string) map[string]any {
	symbol := func(name string) map[string]any { return map[string]any{"name": name, "path": plugin} }
	return map[string]any{
		"name": "the API", "api_id": "api", "org_id": "org", "active": true,
		"definition":   map[string]any{"location": "header", "key": "x-api-version"},
		"version_data": map[string]any{"not_versioned": true, "versions": map[string]any{"Default": map[string]any{"name": "Default", "use_extended_paths": true}}},
		"proxy":        map[string]any{"listen_path": "/", "target_url": upstream, "strip_listen_path": false},
		"use_keyless":  false, "custom_plugin_auth_enabled": true,
		"custom_middleware": map[string]any{
			"driver": "goplugin", "pre": []any{symbol(preSymbol)}, "auth_check": symbol(authSymbol), "post": []any{symbol(postSymbol)},
		},
		"config_data": config,
	}
}

// openAPI is the same as an OAS definition.
func openAPI(config map[string]any, upstream, plugin string) map[string]any {
	symbol := func(name string) map[string]any {
		return map[string]any{"enabled": true, "functionName": name, "path": plugin}
	}
	return map[string]any{
		"openapi": "3.0.3", "info": map[string]any{"title": "the API", "version": "1"}, "paths": map[string]any{},
		"components": map[string]any{},
		"x-tyk-api-gateway": map[string]any{
			"info":     map[string]any{"name": "the API", "id": "api", "orgId": "org", "state": map[string]any{"active": true}},
			"upstream": map[string]any{"url": upstream},
			"server": map[string]any{
				"listenPath":     map[string]any{"value": "/", "strip": false},
				"authentication": map[string]any{"enabled": true, "custom": map[string]any{"enabled": true, "config": symbol(authSymbol)}},
			},
			"middleware": map[string]any{"global": map[string]any{
				"pluginConfig": map[string]any{"driver": "goplugin", "data": map[string]any{"enabled": true, "value": config}},
				"prePlugins":   []any{symbol(preSymbol)}, "postPlugins": []any{symbol(postSymbol)},
			}},
		},
	}
}

// object reads JSON.
func object(t testing.TB, data []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// text writes JSON.
func text(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
