"""Trials measure what a graph's form costs or brings: folds, precisions, times in turns.

No model that leaves is made here. Graphs are timed in turns, so that a busy machine slows all of them alike.
"""
