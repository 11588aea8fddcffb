"""A corpus of music for training is gathered and made: songs rendered from packages, and synthetic ones.

What only Debian can make stands here. `training.data` never needs it: any music will do.
"""
