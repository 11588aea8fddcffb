"""Examples make model files of nets that somebody else trained.

Each is run by a test as it stands. None is imported by anything of ours.
"""
