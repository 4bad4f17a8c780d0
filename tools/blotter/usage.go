package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// placesNote ends the help of commands that take flags for places and do not list them.
const placesNote = `
Where a system keeps something elsewhere than in --dir, the folder remembers it since
` + "`blotter up`" + `; else say it with the flags of ` + "`blotter places --help`" + `, such as --raw.
`

// explainPlaces has the help of every command that works on a site end with placesNote,
// unless it lists the flags itself.
func explainPlaces(c *cobra.Command) {
	subs := c.Commands()
	for _, sub := range subs {
		explainPlaces(sub)
	}
	own := c.LocalNonPersistentFlags()
	if len(subs) == 0 && own.Lookup("raw") == nil && own.Lookup("dir") == nil {
		c.SetUsageTemplate(c.UsageTemplate() + placesNote)
	}
}

// newHelp is the command that shows the help of others, and refuses what is none.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]...",
		Short:   "Help about a command",
		Example: `  blotter help table show`,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("there is no command `blotter %s`: see `blotter --help`", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// buildVersion says which build this is: the version of the module and the commit, as
// far as the build knows them.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	said := []string{info.Main.Version}
	if info.Main.Version == "" {
		said[0] = "(devel)"
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			said = append(said, "commit "+s.Value)
		case s.Key == "vcs.modified" && s.Value == "true":
			said = append(said, "with changes")
		}
	}
	return strings.Join(append(said, info.GoVersion), ", ")
}

// needsFlag has a command refuse to run without a flag, and say what to do.
func needsFlag(cmd *cobra.Command, name, what string) {
	check(cmd, func(cmd *cobra.Command) error {
		if cmd.Flags().Changed(name) {
			return nil
		}
		return fmt.Errorf("%s; see `%s --help`", what, cmd.CommandPath())
	})
}

// oneOf has a command refuse to run with two of some flags.
func oneOf(cmd *cobra.Command, names ...string) {
	check(cmd, func(cmd *cobra.Command) error {
		var given []string
		for _, name := range names {
			if cmd.Flags().Changed(name) {
				given = append(given, "--"+name)
			}
		}
		if len(given) < 2 {
			return nil
		}
		return fmt.Errorf("%s say different things: give one of them; see `%s --help`", strings.Join(given, " and "), cmd.CommandPath())
	})
}

// check adds to what is checked before a command runs.
func check(cmd *cobra.Command, fault func(*cobra.Command) error) {
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if before != nil {
			if err := before(cmd, args); err != nil {
				return err
			}
		}
		return fault(cmd)
	}
}
