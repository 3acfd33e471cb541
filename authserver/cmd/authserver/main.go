// Command authserver is phantomgate's issuer as a program: it runs one node, checks a configuration, and makes what a
// configuration wants.
//
// It exits with 2 after wrong use, and when the configuration is refused, having told every fault on a line of its own;
// and with 1 after any other error.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/phantomgate/phantomgate/authserver"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

const (
	exitError   = 1
	exitRefused = 2 // the command line, or the configuration
)

// usageError says that the command was used in a wrong way: nothing was done.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	if err := authserver.ForbidCoreDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "authserver: core dumps could not be forbidden, and would hold secrets:", err)
		os.Exit(exitError)
	}
	os.Exit(exitCode(command().Execute()))
}

// exitCode tells the error and gives the code to exit with.
func exitCode(err error) int {
	var refused *authserver.ConfigError
	var faults config.Faults
	switch {
	case err == nil:
		return 0
	case errors.As(err, &refused), errors.As(err, &faults):
		fmt.Fprintln(os.Stderr, err)
		return exitRefused
	}
	message := err.Error()
	if !strings.HasPrefix(message, "authserver: ") {
		message = "authserver: " + message
	}
	fmt.Fprintln(os.Stderr, message)
	var usage usageError
	if errors.As(err, &usage) {
		return exitRefused
	}
	return exitError
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "authserver",
		Short:         "phantomgate's issuer",
		Args:          noArguments,
		SilenceErrors: true, // exitCode tells them
		SilenceUsage:  true,
		RunE: func(*cobra.Command, []string) error {
			return usagef("name a command: run, check, restored, hash-password, datakey or version (see authserver --help)")
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(runCommand(), checkCommand(), healthCommand(), restoredCommand(), hashPasswordCommand(), dataKeyCommand(), versionCommand())
	return root
}

// noArguments does not repeat what it refuses, as cobra's own check does: it may be a password.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no such argument (see %s --help)", c.CommandPath(), c.CommandPath())
	}
	return nil
}

func checkCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Tell every fault of a configuration; change nothing",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, os.LookupEnv)
			if err != nil {
				return err
			}
			for _, warning := range cfg.Warnings {
				c.PrintErrln("warning: " + warning)
			}
			return nil
		},
	}
	configFlag(c, &file)
	return c
}

// configFlag gives c the flag that it cannot do without.
func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", "", "the configuration `FILE` (YAML)")
	c.PreRunE = func(*cobra.Command, []string) error {
		if *file == "" {
			return usagef("--config is missing: name the configuration file")
		}
		return nil
	}
}

func dataKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "datakey",
		Short: "Print a fresh data key; keep it apart from the database and its backups",
		Args:  noArguments,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintln(c.OutOrStdout(), config.NewDataKey())
		},
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		Run: func(c *cobra.Command, _ []string) {
			version, goVersion := "(devel)", ""
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = " " + info.GoVersion
				if info.Main.Version != "" {
					version = info.Main.Version
				}
			}
			fmt.Fprintln(c.OutOrStdout(), "authserver "+version+goVersion)
		},
	}
}
