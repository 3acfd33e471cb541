// Package plugins is the root of phantomgate's gateway-neutral core. It holds no code: the rooms are gateway (what a
// binding calls), policy, phantomtoken, feed, tokenhandler, claims and plugintest, and the bindings are modules of their own beside them.
//
// Its tests hold the module to what its size is for (see deps_test.go), and show that the safety tests of the rooms
// can fail (see controls_test.go).
package plugins
