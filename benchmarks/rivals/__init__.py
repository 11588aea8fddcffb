"""Rivals are what ours is measured beside: the plain way in Python, other programs, other sizes of the net.

Each does the same work behind the same call. What is not installed is left out, and the report says so.
"""
