"""The programs: command line and live screen."""
