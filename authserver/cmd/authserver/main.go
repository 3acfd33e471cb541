// Command authserver is phantomgate's issuer as a program: it runs one node, checks a configuration, and makes what a
// configuration wants.
//
// It exits with 2 when the configuration is refused, having told every fault on a line of its own, and with 1 after
// any other error.
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
	exitError  = 1
	exitConfig = 2
)

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
		return exitConfig
	}
	message := err.Error()
	if !strings.HasPrefix(message, "authserver: ") {
		message = "authserver: " + message
	}
	fmt.Fprintln(os.Stderr, message)
	return exitError
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "authserver",
		Short:         "phantomgate's issuer",
		SilenceErrors: true, // exitCode tells them
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(runCommand(), checkCommand(), healthCommand(), restoredCommand(), hashPasswordCommand(), dataKeyCommand(), versionCommand())
	return root
}

func checkCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Tell every fault of a configuration; change nothing",
		Args:  cobra.NoArgs,
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

func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", "", "the configuration `FILE` (YAML)")
	if err := c.MarkFlagRequired("config"); err != nil { // only a flag that is not there can bring this about
		panic(err)
	}
}

func dataKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "datakey",
		Short: "Print a fresh data key; keep it apart from the database and its backups",
		Args:  cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintln(c.OutOrStdout(), config.NewDataKey())
		},
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
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
