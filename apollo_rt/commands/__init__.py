"""The command line: one module for each subcommand, and the options that several have.

A command parses and prints; what it does stands in the packages below. Heavy imports come late, so that `--help` is
quick.
"""
