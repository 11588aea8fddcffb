"""Callback and worker move the samples while music plays, by rings and counters that they share.

It imports no `logging`, no `threading` and no Python object into the path: what runs there is compiled, and the
callback allocates nothing and waits for nobody. What is late is counted and covered, never raised.
"""
