"""Graphs are the nets once more with the shapes of the model contract: few nodes, constants folded, one set of weights.

They compute what the net computes, within what `verify` allows. Only operators that every provider has are used.
"""
