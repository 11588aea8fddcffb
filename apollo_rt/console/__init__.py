"""A program's terminal: lines, progress bars, and the signals that end it.

Every line that a command prints passes `say`, which makes the text of strangers harmless. Nothing here knows what the
program does.
"""
