// Package oidc holds the issuer to OpenID Connect over real HTTP: clients that other people wrote log in unchanged, the
// modules of the OpenID Foundation's Basic OP plan hold, and every reach of a revocation ends every path.
package oidc
