"""Compiled code: where it is kept, and what Numba needs to reach the system."""
