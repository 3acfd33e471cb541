// Package replicas holds the tests of two gateways that share nothing but their configuration, with a browser app before them
// and one whole issuer behind: they race one refresh, and both obey what ends a session at the issuer.
package replicas
