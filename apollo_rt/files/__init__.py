"""A music file is read, restored and written, and lies on its source to the sample.

A result appears whole or not at all, and nothing that exists is replaced unasked. FFmpeg and libsndfile are reached by
this package alone.
"""
