package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

func hashPasswordCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash-password",
		Short: "Read a password, from the terminal or the first line of standard input, and print its bcrypt hash",
		Args:  noArguments, // never an argument: the list of processes shows those
		RunE: func(c *cobra.Command, _ []string) error {
			password, err := readPassword(c.ErrOrStderr())
			if err != nil {
				return err
			}
			hash, err := config.HashPassword(password)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), hash)
			return nil
		},
	}
}

func readPassword(prompt io.Writer) (string, error) {
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
	}
	var typed [2]string
	for i, question := range []string{"Password: ", "Once more: "} {
		fmt.Fprint(prompt, question)
		answer, err := term.ReadPassword(terminal)
		fmt.Fprintln(prompt)
		if err != nil {
			return "", err
		}
		typed[i] = string(answer)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ; nothing was hashed")
	}
	return typed[0], nil
}
