"""The command line: phasefront --help."""
