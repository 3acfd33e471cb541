//go:build !race

package race

// BuildFlag is that of `go build` for programs like this one.
const BuildFlag = "-race=false"
