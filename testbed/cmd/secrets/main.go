// Command secrets makes the secrets of docker-compose.yml at its first start, each into the folders of those who need it, and
// shows a person those that are a person's. None is in the repository, and none is printed by make.
//
//	secrets make [FOLDER]
//	secrets passwords [FOLDER]
//
// FOLDER has a folder for each consumer (secrets.go), which docker-compose.yml mounts from a volume of its own. What is there
// is kept, so that a restart changes nothing.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/phantomgate/phantomgate/authserver"
)

func main() {
	if err := authserver.ForbidCoreDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "secrets: core dumps could not be forbidden, and would hold secrets:", err)
		os.Exit(1)
	}
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "secrets:", err)
		os.Exit(1)
	}
}

// mounted is where docker-compose.yml mounts the consumers' volumes.
const mounted = "/var/lib/phantomgate/secrets"

func run(args []string, out io.Writer) error {
	f := folder(mounted)
	if len(args) == 2 {
		f = folder(args[1])
	}
	if len(args) == 1 || len(args) == 2 {
		switch args[0] {
		case "make":
			return f.make(out)
		case "passwords":
			return f.passwords(out)
		}
	}
	return errors.New("wrong use: secrets make [FOLDER], or secrets passwords [FOLDER]")
}
