"""Measuring: times with their percentiles, the machine, the load beside, a device that keeps time.

It knows nothing of what is measured. Every figure carries machine, versions and commit.
"""
