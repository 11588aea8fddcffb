"""Evaluation measures how well systems restore: clips, damages, measures, reports, listening pages.

A measure knows no system, and a system knows no measure. What was measured once is kept by the digest of the file and
of the code.
"""
