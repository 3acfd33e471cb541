// Package browser holds the tests of the shop in a real Chromium: what a person sees, what a browser keeps, and what it
// refuses to foreign pages. The page alone runs against a small stand-in for the gateway, the rest against the whole demo.
package browser
