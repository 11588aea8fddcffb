"""Checkpoints restore files, in PyTorch, whatever their length.

Music in pieces gives the numbers that music at once gives. It needs nothing of how a net was trained.
"""
