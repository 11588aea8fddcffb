"""A soak runs hours of random faults, on virtual devices or on a real sound server, and listens for clicks.

A seed makes the schedule, so that a run can be had again. It fails on a click, a moved latency or memory that grows.
"""
