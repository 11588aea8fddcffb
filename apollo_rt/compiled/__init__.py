"""Compiled code reaches the system: records, address tables, atomics, clock and sockets for Numba, its cache on disk.

Nothing here knows what audio is. What is compiled with `native.realtime` does without Numba's run time, so that code
which allocates does not compile.
"""
