"""Reports make pages of saved runs: read, compared, drawn, written, and the README's figures.

Nothing is measured here. A figure in the docs comes from a saved run, never from a hand.
"""
