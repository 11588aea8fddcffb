"""Footprint measures two commits in turns: starts, memory, a hop at cadence; and weighs the packages.

Both commits are run by the same interpreter, with the same packages. A figure is a ratio of two medians of one run.
"""
