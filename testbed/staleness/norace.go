//go:build !race

package main

const raceDetector = false // this program is built without -race
