"""Monitoring reads what the audio path leaves: snapshots, gauges, spectra, recordings, incidents.

It stores nothing in shared state, so that a run which is watched is the same run. A reader copies until its copy is
whole; a writer never waits for it.
"""
