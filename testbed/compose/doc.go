// Package compose holds the test of docker-compose.yml: it builds the images, starts every container under a project name and
// on ports of its own, walks through it as clients, a person and an operator do, restarts each part, and takes all of it
// away. It takes minutes and Docker, so it runs when it is asked for: make compose-test.
package compose
