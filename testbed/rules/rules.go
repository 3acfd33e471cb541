// Package rules holds the repository's architecture: what may import what, which module may require what, and what every
// package owes its reader. Its test reads the tree itself, source files and go.mod files of every build tag, and reports
// each breach together with the rule's reason.
//
// A rule that is in the way is changed here, with its reason, in the same change that needs it.
package rules

// Rule is one thing that holds for the whole repository.
type Rule struct {
	Name string
	Why  string               // the reason, shown with each breach
	find func(*Tree) []string // the breaches, each beginning with the place
}

// All are the repository's rules.
func All() []Rule {
	return []Rule{
		{"no-workspace", "go.work hides the versions that each module asks for by itself, and with them the plugin's version floor", noWorkspace},
		{"known-modules", "a module that `make test` does not loop over is a module whose tests nobody runs", knownModules},
		{"replace-inside", "a replacement outside the repository builds on one machine only", replaceInside},
		{"plugin-requirements", "a Tyk plugin loads only if every package it shares with the gateway has the very same version, so the core asks for few modules and for the lowest version that any supported gateway has", pluginRequirements},
		{"apiguard-requirements", "users import apiguard into their APIs: each requirement of ours becomes theirs", apiguardRequirements},
		{"meet-on-the-wire", "issuer and plugins are deployed apart and updated apart: shared code would hide what the wire must say", meetOnTheWire},
		{"one-way", "imports point from wiring to rooms to leaves, so that a room can be read, tested and replaced without the server around it", oneWay},
		{"test-support", "what exists for tests is lenient where production must not be, and drags the testing package along", testSupportInTests},
		{"drivers-in-storage", "a storage driver's errors and types never leave storage: a room that sees them works with one database only", driversInStorage},
		{"package-comment", "a reader who opens a package first asks what it is for", packageComment},
		{"no-package-state", "state at package level is shared by every test and every instance in a process (the demo runs all in one)", noPackageState},
		{"no-init", "init runs wherever a package is imported, in an order nobody sees; only a host that demands registration gets one", noInit},
	}
}

// Breaches are the places in the tree where the rule does not hold.
func (r Rule) Breaches(t *Tree) []string { return r.find(t) }
