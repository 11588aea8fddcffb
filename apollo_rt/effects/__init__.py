"""An effect restores arrays in a Python script, by Pedalboard's call contract.

It takes any sample rate and any block, and says its latency in samples. A board keeps all its branches aligned to the
sample.
"""
