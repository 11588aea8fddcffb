"""Programs measure what no test can: a start, hours at rest, a flood of MIDI, pictures of the screen.

Each is run by `python -m` in a process of its own. What it prints or draws goes into the docs by hand or by a
benchmark.
"""
