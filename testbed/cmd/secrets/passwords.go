package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
)

// passwords tells what a person signs in with, and what an app outside of the containers needs.
func (f folder) passwords(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "USER\tPASSWORD")
	for _, login := range users {
		if err := f.row(table, login, login+".password"); err != nil {
			return err
		}
	}
	fmt.Fprintln(table, "\nCLIENT\tSECRET")
	for _, id := range []string{"batch", "partner"} {
		if err := f.row(table, id, id+".secret"); err != nil {
			return err
		}
	}
	return table.Flush()
}

func (f folder) row(out io.Writer, shown, name string) error {
	secret, err := f.read(people, name)
	switch {
	case err != nil:
		return err
	case secret == "":
		return errors.New("there are no secrets yet; docker compose up makes them")
	}
	fmt.Fprintf(out, "%s\t%s\n", shown, secret)
	return nil
}
