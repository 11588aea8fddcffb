"""Supervision keeps a run alive: connection, workers, tiers of the model, and the lines that say what happened.

Of the packages of a run it alone logs. It polls now and then what was counted; the audio path never asks it
anything.
"""
