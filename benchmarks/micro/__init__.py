"""Micro benchmarks time one call each: ring, mixer, callback, resampler, model step, transforms.

Each stands beside what one writes with Python and its libraries. A result that is wrong fails before it is timed.
"""
