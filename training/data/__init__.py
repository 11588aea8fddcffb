"""Recordings become pairs of clean and damaged music: stores, crops, codecs, mixes.

What is drawn at random is drawn from a seed. PyTorch is imported where crops are handed to it, and nowhere else.
"""
