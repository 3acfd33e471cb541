// Package attack goes against the issuer over real HTTP, as somebody would who has not seen its code: each test is an
// attack that is known to have worked on other issuers, and says what must be left of it here.
package attack
