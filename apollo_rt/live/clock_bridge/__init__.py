"""A clock bridge joins devices of two clocks or rates: a ring, read at a rate that a delay-locked loop steers.

Its callbacks keep the rules of `realtime`. The latency that it adds is constant: what can't be steered is mended by one
jump, which is counted.
"""
