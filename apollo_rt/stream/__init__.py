"""A stream of samples passes from hop to hop: framing, model, shaping, mixing.

There are no threads, no devices and no clock here, so that one code serves engine, effect and files. A stream that was
reset equals a new one.
"""
