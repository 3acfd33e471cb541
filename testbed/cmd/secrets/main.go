// Command secrets makes the secrets of docker-compose.yml at its first start, each into the folders of those who need it, and
// shows a person those that are a person's. None is in the repository, and none is printed by make.
//
//	secrets make FOLDER
//	secrets show FOLDER
//
// FOLDER has a folder for each consumer (secrets.go), which docker-compose.yml mounts from a volume of its own. What is there
// is kept, so that a restart changes nothing.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "secrets:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "make":
		return folder(args[1]).make(out)
	case len(args) == 2 && args[0] == "show":
		return folder(args[1]).show(out)
	}
	return fmt.Errorf("wrong use: secrets make FOLDER, or secrets show FOLDER")
}
