"""Fitting trains the waveform nets: losses, critics, schedule, and a run as Lightning sees it.

A run that was stopped goes on with the same command. Every field of a configuration is an option too.
"""
