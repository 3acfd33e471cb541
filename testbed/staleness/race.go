//go:build race

package main

const raceDetector = true // this program is built with -race
